"""With ``blank: keep`` each column has the value of the last row that has one, however a file is cut and ordered."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from bson.raw_bson import RawBSONDocument
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collect.jobs.template import Template
from collect.runtime.task import ChunkSize
from collect.storage import indexes
from collect.storage.database import Database, connect
from support.in_memory import MemoryBlobs
from support.upload_driver import ORG, Upload, new_dataset, new_job

TEMPLATE = Template.model_validate(
    {
        "key": ["k"],
        "columns": [
            {"name": "k", "type": "string"},
            {"name": "n", "type": "integer", "null_values": ["-"]},
            {"name": "m", "type": "string", "required": True},
            {"name": "s", "type": "string"},
        ],
    }
)
HEADER = "k,n,m\n"
KEYS = "abc"
OTHER_JOB = "another"
Row = tuple[str, str, str]


@pytest.fixture(scope="module")
def db(mongodb_url: str, database_name: str) -> Iterator[Database]:
    database = connect(mongodb_url, database=database_name, app_name="tests")
    indexes.migrate(database)
    yield database
    database.close()


@dataclass(frozen=True)
class Case:
    """A file, what is there before it, and how it is worked on."""

    rows: list[Row]
    before: dict[str, int]
    cut_at: list[int]
    sizes: list[int]
    order: list[int]

    @property
    def data(self) -> bytes:
        return (HEADER + "".join(f"{k},{n},{m}\n" for k, n, m in self.rows)).encode()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    row = st.tuples(
        st.sampled_from(KEYS), st.sampled_from(["1", "2", "", "-", " ", "x"]), st.sampled_from(["p", "q", "", "\u200b"])
    )
    return Case(
        rows=draw(st.lists(row, min_size=1, max_size=14)),
        before=draw(st.dictionaries(st.sampled_from(KEYS), st.integers(0, 9), max_size=2)),
        cut_at=draw(st.lists(st.integers(2, 14), max_size=3)),
        sizes=draw(st.lists(st.integers(1, 4), min_size=1, max_size=5)),
        order=draw(st.lists(st.integers(0, 3), min_size=1, max_size=12)),
    )


def start(db: Database, case: Case) -> Upload:
    dataset = new_dataset(db, TEMPLATE)
    documents = [
        {
            "_id": f"{ORG}|{dataset}|{key}", "org_id": ORG, "dataset": dataset,
            "values": {"k": key, "n": n, "m": "before", "s": "kept"}, "row": n, "written_by": f"{OTHER_JOB}:1:0",
            "revision": 4, "from_rows": {"m": 1},
        }
        for key, n in case.before.items()
    ]  # fmt: skip
    if documents:
        db.rows.insert_many(documents)
    job = new_job(blob="f", dataset=dataset, mode="upsert", blank="keep")
    upload = Upload(db, MemoryBlobs({"f": case.data}), job)
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
            upload.commit(n, chunk)


@dataclass
class Expected:
    """What reading from top to bottom gives: the values and rows by key, the rejects by row, and the count written."""

    rows: dict[str, tuple[dict[str, Any], int, str, int]] = field(default_factory=dict)
    rejects: dict[int, str] = field(default_factory=dict)
    succeeded: int = 0


def read_downwards(case: Case) -> Expected:
    expected = Expected()
    for key, n in case.before.items():
        expected.rows[key] = ({"k": key, "n": n, "m": "before", "s": "kept"}, n, OTHER_JOB, 4)
    for row, (key, number, text) in enumerate(case.rows, start=1):
        values, _, _, _ = expected.rows.get(key, ({}, 0, "", 0))
        if number == "x":
            expected.rejects[row] = "not_an_integer"
        elif not text and key not in case.before:
            expected.rejects[row] = "required"
        else:
            cells = {"k": key, "n": int(number) if number.isdigit() else None, "m": text or None}
            said = {name: value for name, value in cells.items() if value is not None}
            revision = 5 if key in case.before else 1
            expected.rows[key] = ({"n": None, **values, **said}, row, "", revision)
            expected.succeeded += 1
    return expected


def seen(upload: Upload) -> dict[str, tuple[dict[str, Any], int, str, int]]:
    return {
        id_.rpartition("|")[2]: (
            document["values"],
            document["row"],
            document["written_by"].partition(":")[0].replace(upload.job.id, ""),
            document["revision"],
        )
        for id_, document in upload.rows().items()
    }


def trimmed(case: Case) -> Case:
    """The same with nothing in cells that show nothing: where blanks keep, these are blank."""
    rows = [(k, n.strip(), m.replace("\u200b", "")) for k, n, m in case.rows]
    return Case(rows, case.before, case.cut_at, case.sizes, case.order)


@given(case=cases())
@example(case=Case([("a", "1", ""), ("a", "", "q"), ("a", "", "")], {"a": 7}, [2, 3], [1], [2, 1, 0]))
@example(case=Case([("a", "1", "p"), ("a", "", "q"), ("a", "2", "")], {}, [2, 3], [1], [2, 1, 0]))
@example(case=Case([("a", "1", "p"), ("a", "", "q"), ("a", "2", "q")], {}, [], [4], [0]))
@settings(max_examples=150, deadline=None)
def test_any_order_of_parts_and_chunks_has_the_outcome_of_reading_downwards(db: Database, case: Case) -> None:
    upload = start(db, case)
    work(upload, case)
    expected = read_downwards(trimmed(case))
    assert seen(upload) == expected.rows
    assert {row: reject["code"] for row, reject in upload.rejected().items()} == expected.rejects
    assert upload.counts == (expected.succeeded, len(expected.rejects))


@given(case=cases(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_undo_of_the_entries_in_any_order_brings_back_the_rows_document_for_document(
    db: Database, case: Case, data: st.DataObject
) -> None:
    upload = start(db, case)
    before = upload.rows()
    work(upload, case)
    taken = [upload.undo(mark, record) for mark, record in data.draw(st.permutations(upload.entries))]
    assert upload.rows() == before
    assert not [conflict for each in taken for conflict in each.conflicts]


def test_a_document_says_from_which_row_a_value_comes_and_another_job_drops_that(db: Database) -> None:
    upload = start(db, Case([("a", "1", "p"), ("a", "", "q"), ("b", "", "p")], {"c": 1}, [2], [1], [0]))
    upload.run(ChunkSize(rows=1))
    stored = {id_[-1]: document.get("from_rows") for id_, document in upload.rows().items()}
    assert stored == {"a": {"n": 1}, "b": {"n": 0}, "c": {"m": 1}}
    job = new_job(blob="g", dataset=upload.job.params["dataset"], mode="upsert")
    later = Upload(db, MemoryBlobs({"g": b"k,n,m\na,3,r\nc,4,r\n"}), job)
    later.plan()
    later.run(ChunkSize(rows=5))
    after = {id_[-1]: document.get("from_rows") for id_, document in later.rows().items()}
    assert after == {"a": None, "b": {"n": 0}, "c": None}


def test_a_file_that_lacks_a_required_column_changes_what_is_stored_and_makes_nothing(db: Database) -> None:
    dataset = new_dataset(db, TEMPLATE)
    first = Upload(db, MemoryBlobs({"f": b"k,n,m\na,1,p\n"}), new_job(blob="f", dataset=dataset))
    first.plan()
    first.run(ChunkSize(rows=5))
    job = new_job(blob="g", dataset=dataset, mode="upsert", blank="keep")
    second = Upload(db, MemoryBlobs({"g": b"k,n\na,\nb,2\na,5\n"}), job)
    second.plan()
    second.run(ChunkSize(rows=5))
    assert {reject["row"]: reject["code"] for reject in second.rejected().values()} == {2: "required"}
    assert [document["values"] for document in second.rows().values()] == [{"k": "a", "n": 5, "m": "p"}]
    assert second.counts == (2, 1)


def test_only_rows_that_need_it_are_merged_one_by_one(db: Database) -> None:
    upload = start(db, Case([("a", "1", "p"), ("b", "", "p")], {}, [], [5], [0]))
    (chunk,) = upload.chunks(1, ChunkSize(rows=5))
    assert not isinstance(chunk.payload.bodies[0], RawBSONDocument)
    assert chunk.payload.keeps
    assert chunk.payload.incomplete == {}
