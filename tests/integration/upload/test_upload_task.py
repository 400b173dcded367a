"""The upload's task against a real database: what stands there afterwards, document for document."""

import gzip
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo.client_session import ClientSession

from collect.errors import ChunkTooBig, DatasetHeld, NotFound, TaskRefused
from collect.jobs.model import Job
from collect.jobs.outcomes import Applied, TakenBack
from collect.jobs.template import Template
from collect.rows import reread
from collect.runtime.task import Chunk, ChunkSize
from collect.storage import datasets, indexes, locks, rejects
from collect.storage.database import Database, Transaction, connect, transact
from collect.storage.object_store import Blobs, FileBlobs, GridFsBlobs
from support.in_memory import MemoryBlobs
from support.upload_driver import ORG, Upload, new_dataset, new_job

TEMPLATE = Template.model_validate(
    {
        "key": ["place", "on"],
        "columns": [
            {"name": "place", "type": "string"},
            {"name": "on", "type": "date"},
            {"name": "phone", "type": "phone", "country": "IN"},
            {"name": "latitude", "type": "latitude"},
            {"name": "seen", "type": "boolean", "required": True},
            {"name": "at", "type": "datetime"},
            {"name": "count", "type": "integer"},
        ],
    }
)
HEADER = b"place,on,phone,latitude,seen,at,count\n"
ROW = b"a|b,2017-05-31,98765 43210,12.5,yes,2017-05-31T05:30:00+05:30,7\n"
ID = "a\\|b|2017-05-31"


@pytest.fixture(scope="module")
def db(mongodb_url: str, database_name: str) -> Iterator[Database]:
    database = connect(mongodb_url, database=database_name, app_name="tests")
    indexes.migrate(database)
    yield database
    database.close()


@pytest.fixture
def dataset(db: Database) -> str:
    return new_dataset(db, TEMPLATE)


def upload(db: Database, dataset: str, data: bytes, blobs: Blobs | None = None, **params: Any) -> Upload:
    store = blobs or MemoryBlobs()
    name = secrets.token_hex(8)
    store.write(name, [data])
    made = Upload(db, store, new_job(blob=name, dataset=dataset, **params))
    made.plan()
    return made


def run(db: Database, dataset: str, data: bytes, **params: Any) -> Upload:
    made = upload(db, dataset, data, **params)
    made.run(ChunkSize(rows=100))
    return made


def test_a_row_is_stored_with_typed_values_under_its_composite_key(db: Database, dataset: str) -> None:
    made = run(db, dataset, HEADER + ROW)
    assert list(made.rows().values()) == [
        {
            "_id": f"{ORG}|{dataset}|{ID}",
            "org_id": ORG,
            "dataset": dataset,
            "values": {
                "place": "a|b",
                "on": datetime(2017, 5, 31, tzinfo=UTC),
                "phone": "+919876543210",
                "latitude": 12.5,
                "seen": True,
                "at": datetime(2017, 5, 31, tzinfo=UTC),
                "count": 7,
            },
            "row": 1,
            "written_by": f"{made.job.id}:1:0",
            "revision": 1,
        }
    ]
    assert datasets.find(db, org_id=ORG, name=dataset, key=["a|b", "2017-05-31"]) == list(made.rows().values())
    assert datasets.row_count(db, org_id=ORG, name=dataset) == 1


def test_an_upsert_replaces_the_columns_that_the_file_has_and_leaves_the_others(db: Database, dataset: str) -> None:
    first = run(db, dataset, HEADER + ROW)
    (before,) = first.rows().values()
    second = run(db, dataset, b"on,place,count\n2017-05-31,a|b,\n2017-05-31,new,1\n", mode="upsert")
    (after,) = second.rows().values()
    assert after["values"] == {**before["values"], "count": None}
    assert (after["revision"], after["row"], after["written_by"]) == (2, 1, f"{second.job.id}:1:0")
    assert second.counts == (1, 1)
    (reject,) = second.rejected().values()
    assert (reject["row"], reject["field"], reject["code"]) == (2, "seen", "required")


def test_keys_are_asked_for_once_an_insert_has_met_one_that_is_there(
    db: Database, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = b"c,%d-01-01,,,no,,1\n"
    run(db, dataset, HEADER + row % 2011)
    made = upload(db, dataset, HEADER + b"".join(row % year for year in (2010, 2011, 2012, 2011)))
    tried: list[int] = []
    write = made.write

    def written(n: int, chunk: Chunk, tx: Transaction) -> Applied:
        tried.append(chunk.cursor["row"] - 1)
        return write(n, chunk, tx)

    monkeypatch.setattr(made, "write", written)
    made.run(ChunkSize(rows=1))
    assert tried == [1, 2, 2, 3, 4]
    assert made.counts == (2, 2)


def test_an_upsert_of_all_columns_and_its_undo(db: Database, dataset: str) -> None:
    run(db, dataset, HEADER + ROW)
    before = run(db, dataset, HEADER + b"c,2017-01-01,,,no,,1\n").rows()
    made = run(db, dataset, HEADER + ROW.replace(b",7", b",8") + b"d,2017-01-01,,,no,,1\n", mode="upsert")
    assert [document["values"]["count"] for document in made.rows().values()] == [8, 1, 1]
    ((mark, record),) = made.entries
    taken = made.undo(mark, record)
    assert (taken.deleted, taken.restored, taken.conflicts) == (1, 1, ())
    assert made.rows() == before


def test_what_others_have_changed_is_asked_for_once_an_undo_has_met_it(
    db: Database, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = b"".join(b"c,%d-01-01,,,no,,1\n" % year for year in (2010, 2011, 2012))
    run(db, dataset, HEADER + rows)
    made = upload(db, dataset, HEADER + rows, mode="upsert")
    made.run(ChunkSize(rows=1))
    db.rows.update_one({"dataset": dataset, "row": 2}, {"$set": {"written_by": "later:1:0"}})
    tried: list[str] = []
    undo = made.task.undo

    def undone(job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        tried.append(entry_id)
        return undo(job, record, entry_id=entry_id, session=session)

    monkeypatch.setattr(made.task, "undo", undone)
    marks = [mark for mark, _ in made.entries]
    taken = [made.undo(mark, record) for mark, record in made.entries]
    assert tried == [marks[0], marks[1], marks[1], marks[2]]
    assert [(each.restored, len(each.conflicts)) for each in taken] == [(1, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("kind", ["gridfs", "file"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_the_line_of_a_displaced_row_is_read_again_from_wherever_it_lies(
    db: Database, dataset: str, tmp_path: Path, kind: str, pack: Any
) -> None:
    blobs: Blobs = GridFsBlobs(db=db) if kind == "gridfs" else FileBlobs(folder=tmp_path)
    fill = secrets.token_hex(450)
    first = f"x{fill},2017-01-01,,,no,,1\n"
    between = "".join(f'"{fill}\n{n}",2017-01-01,,,no,,{n}\n' for n in range(20_000))
    again = f"x{fill},2017-01-01,,,no,,2\n"
    data = HEADER + (first + between + again).encode()
    made = upload(db, dataset, pack(data), blobs=blobs)
    last = max(made.parts)
    assert last > 1
    for chunk in made.chunks(last, ChunkSize(rows=999)):
        made.commit(last, chunk)
    made.commit(1, next(made.chunks(1, ChunkSize(rows=10))))
    ((row, reject),) = made.rejected().items()
    assert row == 20_002
    assert reject["line"] == again.removesuffix("\n")
    assert "is that of row 1;" in reject["message"]


class CountedBlobs(MemoryBlobs):
    """It knows how often it was read."""

    reads = 0

    def read(self, name: str, offset: int, length: int) -> bytes:
        self.reads += 1
        return super().read(name, offset, length)


def twice(db: Database, dataset: str) -> tuple[Upload, CountedBlobs]:
    """Four rows in each of two parts, with the same keys; those of the second are committed."""
    rows = b"".join(b"k%d,2017-01-01,,,no,,1\n" % (n % 4) for n in range(8))
    blobs = CountedBlobs({"f": HEADER + rows})
    made = Upload(db, blobs, new_job(blob="f", dataset=dataset))
    made.plan(cut_at=[5])
    for chunk in made.chunks(2, ChunkSize(rows=4)):
        made.commit(2, chunk)
    return made, blobs


def test_no_transaction_reads_more_displaced_rows_again_than_it_has_time_for(
    db: Database, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reread, "MOST_READ_AGAIN", 2)
    made, _ = twice(db, dataset)
    with pytest.raises(ChunkTooBig) as error:
        made.commit(1, next(made.chunks(1, ChunkSize(rows=4))))
    assert error.value.rows == 4
    for chunk in made.chunks(1, ChunkSize(rows=2)):
        made.commit(1, chunk)
    assert made.counts == (4, 4)
    assert sorted(made.rejected()) == [5, 6, 7, 8]


def test_displaced_rows_that_will_not_be_stored_are_counted_and_not_read_again(db: Database, dataset: str) -> None:
    made, blobs = twice(db, dataset)
    full = [{"_id": f"{made.job.id}:-{n}", "job_id": made.job.id, "row": -n} for n in range(rejects.MOST_STORED)]
    db.rejects.insert_many(full)
    chunk = next(made.chunks(1, ChunkSize(rows=4)))
    blobs.reads = 0
    made.commit(1, chunk)
    assert blobs.reads == 0
    assert made.counts == (4, 4)
    assert rejects.count(db, job_id=made.job.id) == rejects.MOST_STORED


def test_a_job_whose_dataset_is_gone_is_refused(db: Database) -> None:
    made = Upload(db, MemoryBlobs({"f": HEADER}), new_job(blob="f", dataset="gone"))
    with pytest.raises(TaskRefused, match="no dataset 'gone'"):
        made.plan()


def test_a_held_dataset_keeps_its_template(db: Database, dataset: str) -> None:
    lock = datasets.lock_name(org_id=ORG, name=dataset)
    transact(db, lambda tx: locks.take_free(tx, lock, "job-1"))
    with pytest.raises(DatasetHeld) as held:
        transact(db, lambda tx: datasets.put(tx, org_id=ORG, name=dataset, template=TEMPLATE))
    assert held.value.holder == datasets.holder(db, org_id=ORG, name=dataset) == "job-1"


def test_datasets_of_one_organisation_are_unknown_to_another(db: Database, dataset: str) -> None:
    run(db, dataset, HEADER + ROW)
    with pytest.raises(NotFound):
        datasets.get(db, org_id="other", name=dataset)
    assert datasets.rows(db, org_id="other", name=dataset, limit=10) == ([], None)
    assert datasets.row_count(db, org_id="other", name=dataset) == 0


def test_rows_are_paged_in_the_order_of_their_keys(db: Database, dataset: str) -> None:
    made = run(db, dataset, HEADER + b"".join(b"p%d,2017-01-01,,,no,,\n" % n for n in range(5)))
    first, after = datasets.rows(db, org_id=ORG, name=dataset, limit=3)
    rest, end = datasets.rows(db, org_id=ORG, name=dataset, limit=3, after=after)
    assert [document["_id"] for document in first + rest] == sorted(made.rows())
    assert end is None
