"""For any small file, cut and ordered anyhow, the outcome is that of reading it downwards; and undo is exact."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymongo.errors import PyMongoError

from collect.jobs.template import Template
from collect.runtime.task import ChunkSize
from collect.storage import indexes
from collect.storage.database import Database, Transaction, begin, connect
from support.in_memory import MemoryBlobs
from support.upload_driver import ORG, Upload, new_dataset, new_job

TEMPLATE = Template.model_validate(
    {
        "key": ["k"],
        "columns": [
            {"name": "k", "type": "string"},
            {"name": "n", "type": "integer"},
            {"name": "s", "type": "string"},
        ],
    }
)
HEADER = "k,n\n"
KEYS = "abcd"
OTHER_JOB = "another"


@pytest.fixture(scope="module")
def db(mongodb_url: str, database_name: str) -> Iterator[Database]:
    database = connect(mongodb_url, database=database_name, app_name="tests")
    indexes.migrate(database)
    yield database
    database.close()


@dataclass(frozen=True)
class Case:
    """A file, what is there before it, and how it is worked on."""

    mode: str
    rows: list[tuple[str, str]]
    before: dict[str, int]
    cut_at: list[int]
    sizes: list[int]
    order: list[int]
    tries: int
    data: bytes = field(init=False)

    def __post_init__(self) -> None:
        lines = "".join(f"{key},{number}\n" for key, number in self.rows)
        object.__setattr__(self, "data", (HEADER + lines).encode())


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows = draw(
        st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(["1", "2", "", "x"])), min_size=1, max_size=14)
    )
    return Case(
        mode=draw(st.sampled_from(["insert", "upsert"])),
        rows=rows,
        before=draw(st.dictionaries(st.sampled_from(KEYS), st.integers(0, 9), max_size=2)),
        cut_at=draw(st.lists(st.integers(2, 14), max_size=3)),
        sizes=draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)),
        order=draw(st.lists(st.integers(0, 3), min_size=1, max_size=12)),
        tries=draw(st.integers(1, 2)),
    )


def start(db: Database, case: Case) -> Upload:
    dataset = new_dataset(db, TEMPLATE)
    documents = [
        {
            "_id": f"{ORG}|{dataset}|{key}", "org_id": ORG, "dataset": dataset,
            "values": {"k": key, "n": n, "s": "kept"}, "row": n, "written_by": f"{OTHER_JOB}:1:0", "revision": 4,
        }
        for key, n in case.before.items()
    ]  # fmt: skip
    if documents:
        db.rows.insert_many(documents)
    upload = Upload(db, MemoryBlobs({"f": case.data}), new_job(blob="f", dataset=dataset, mode=case.mode))
    upload.plan(cut_at=case.cut_at or [1])
    return upload


def work(upload: Upload, case: Case) -> None:
    """Commit the chunks of the parts in turn as the case says, each chunk of the size that it says."""
    size = ChunkSize(rows=1)
    running = {n: upload.chunks(n, size) for n in upload.parts}
    turn = 0
    while running:
        waiting = sorted(running)
        n = waiting[case.order[turn % len(case.order)] % len(waiting)]
        size.rows = case.sizes[turn % len(case.sizes)]
        turn += 1
        chunk = next(running[n], None)
        if chunk is None:
            del running[n]
        else:
            upload.commit(n, chunk, tries=case.tries)


@dataclass
class Expected:
    """What reading from top to bottom gives: the rows by key, the rejects by row, and the counts."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    rejects: dict[int, tuple[str, str]] = field(default_factory=dict)
    succeeded: int = 0


def read_downwards(case: Case) -> Expected:
    expected = Expected()
    for key, n in case.before.items():
        values = {"k": key, "n": n, "s": "kept"}
        expected.rows[key] = {"values": values, "row": n, "job": OTHER_JOB, "revision": 4}
    for row, (key, text) in enumerate(case.rows, start=1):
        there = expected.rows.get(key)
        values = {"k": key, "n": int(text) if text.isdigit() else None}
        if text == "x":
            expected.rejects[row] = ("not_an_integer", "n 'x' is no whole number as 1024 is one.")
        elif there is None:
            expected.rows[key] = {"values": values, "row": row, "job": "", "revision": 1}
            expected.succeeded += 1
        elif case.mode == "upsert":
            revision = there["revision"] + (there["job"] == OTHER_JOB)
            values = {**there["values"], **values}
            expected.rows[key] = {"values": values, "row": row, "job": "", "revision": revision}
            expected.succeeded += 1
        elif there["job"] == OTHER_JOB:
            expected.rejects[row] = ("duplicate_key", f"k '{key}' is there already.")
        else:
            first = f"k '{key}' is that of row {there['row']}; the first row of a file with a key counts."
            expected.rejects[row] = ("duplicate_key", first)
    return expected


def seen(upload: Upload) -> dict[str, dict[str, Any]]:
    return {
        id_.rpartition("|")[2]: {
            "values": document["values"],
            "row": document["row"],
            "job": document["written_by"].partition(":")[0].replace(upload.job.id, ""),
            "revision": document["revision"],
        }
        for id_, document in upload.rows().items()
    }


@given(case=cases())
@example(case=Case("insert", [("a", "1"), ("a", "2"), ("a", "1")], {}, [2], [1], [1, 1, 1, 0], 1))
@settings(max_examples=120, deadline=None)
def test_any_order_of_parts_and_chunks_has_the_outcome_of_reading_downwards(db: Database, case: Case) -> None:
    upload = start(db, case)
    work(upload, case)
    expected = read_downwards(case)
    assert seen(upload) == expected.rows
    rejected = upload.rejected()
    assert {row: (reject["code"], reject["message"]) for row, reject in rejected.items()} == expected.rejects
    assert all(reject["errors"][0]["message"] == reject["message"] for reject in rejected.values())
    assert {row: reject["line"] for row, reject in rejected.items()} == {
        row: ",".join(case.rows[row - 1]) for row in expected.rejects
    }
    assert upload.counts == (expected.succeeded, len(expected.rejects))


@given(case=cases(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_undo_of_the_entries_in_any_order_brings_back_the_rows_document_for_document(
    db: Database, case: Case, data: st.DataObject
) -> None:
    upload = start(db, case)
    before = upload.rows()
    work(upload, case)
    taken = [upload.undo(mark, record) for mark, record in data.draw(st.permutations(upload.entries))]
    assert upload.rows() == before
    assert not [conflict for each in taken for conflict in each.conflicts]
    again = [upload.undo(mark, record) for mark, record in upload.entries]
    assert upload.rows() == before
    assert not any(each.deleted or each.restored or each.conflicts for each in again)


@given(case=cases(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_undo_leaves_alone_and_lists_what_another_writer_has_touched_since(
    db: Database, case: Case, data: st.DataObject
) -> None:
    upload = start(db, case)
    before = upload.rows()
    work(upload, case)
    written = upload.rows()
    ours = {id_ for id_, document in written.items() if document["written_by"].startswith(upload.job.id)}
    changed = set(data.draw(st.lists(st.sampled_from(sorted(written)), unique=True))) if written else set()
    deleted = set(data.draw(st.lists(st.sampled_from(sorted(written)), unique=True))) - changed if written else set()
    for id_ in changed:
        db.rows.update_one({"_id": id_}, {"$set": {"written_by": "later:1:0", "values.n": 77}})
    db.rows.delete_many({"_id": {"$in": sorted(deleted)}})
    after = upload.rows()
    taken = [upload.undo(mark, record) for mark, record in data.draw(st.permutations(upload.entries))]
    conflicts = {conflict.id: conflict.why for each in taken for conflict in each.conflicts}
    assert conflicts == {
        **dict.fromkeys(changed & ours, "Changed since by job later."),
        **{id_: "Deleted since." for id_ in deleted & ours if id_ in before},
    }
    left_alone = changed | deleted
    expected = {id_: document for id_, document in before.items() if id_ not in left_alone}
    expected.update({id_: after[id_] for id_ in changed})
    assert upload.rows() == expected


def test_two_parts_that_write_one_key_at_the_same_time_come_to_the_outcome_of_reading_downwards(db: Database) -> None:
    case = Case("insert", [("a", "1"), ("a", "2")], {}, [2], [1], [0], 1)
    upload = start(db, case)
    first, second = (next(upload.chunks(n, ChunkSize(rows=1))) for n in (1, 2))
    with db.client.start_session() as session:
        session.start_transaction()
        upload.write(1, first, Transaction(db=db, session=session))
        with db.client.start_session() as other, pytest.raises(PyMongoError), begin(other):
            upload.write(2, second, Transaction(db=db, session=other))
        session.abort_transaction()
    upload.commit(2, second)
    upload.commit(1, first)
    assert seen(upload) == read_downwards(case).rows
    assert upload.counts == (1, 1)
    assert upload.rejected()[2]["line"] == "a,2"
