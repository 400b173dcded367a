"""Undo goes by the first touch: a job that touches one row in several chunks leaves one mark and one before-image."""

from collections.abc import Iterator
from itertools import permutations

import pytest

from collect.jobs.template import Template
from collect.runtime.task import ChunkSize
from collect.storage import indexes
from collect.storage.database import Database, connect
from support.in_memory import MemoryBlobs
from support.upload_driver import ORG, Upload, new_dataset, new_job

TEMPLATE = Template.model_validate(
    {"key": ["k"], "columns": [{"name": "k", "type": "string"}, {"name": "n", "type": "integer"}]}
)
FILE = b"k,n\na,1\nb,1\na,2\nb,2\na,3\nb,3\n"
"""Each key three times, in chunks of two rows: each chunk touches both."""
CHUNKS = 3


@pytest.fixture(scope="module")
def db(mongodb_url: str, database_name: str) -> Iterator[Database]:
    database = connect(mongodb_url, database=database_name, app_name="tests")
    indexes.migrate(database)
    yield database
    database.close()


def upserted(db: Database) -> tuple[Upload, dict[str, object]]:
    """Return an upsert of ``FILE`` that is written, and the rows before it: ``a`` is another job's, ``b`` is new."""
    dataset = new_dataset(db, TEMPLATE)
    stored = {
        "_id": f"{ORG}|{dataset}|a", "org_id": ORG, "dataset": dataset, "values": {"k": "a", "n": 0}, "row": 1,
        "written_by": "another:1:0", "revision": 1,
    }  # fmt: skip
    db.rows.insert_one(stored)
    upload = Upload(db, MemoryBlobs({"f": FILE}), new_job(blob="f", dataset=dataset, mode="upsert"))
    before = upload.rows()
    upload.plan()
    upload.run(ChunkSize(rows=2))
    assert len(upload.entries) == CHUNKS
    return upload, dict(before)


def test_every_touch_keeps_the_mark_of_the_first_one(db: Database) -> None:
    upload, _ = upserted(db)
    first_entry = upload.entries[0][0]
    assert {document["written_by"] for document in upload.rows().values()} == {first_entry}
    assert {document["values"]["n"] for document in upload.rows().values()} == {3}


def test_only_the_first_touch_stores_what_stood_there_before(db: Database) -> None:
    upload, _ = upserted(db)
    first, *later = (record for _, record in upload.entries)
    assert first["before"]
    assert first["created"]
    assert not any(record["before"] or record["created"] for record in later)


@pytest.mark.parametrize("order", list(permutations(range(CHUNKS))))
def test_undo_in_any_order_restores_what_stood_there_before(db: Database, order: tuple[int, ...]) -> None:
    upload, before = upserted(db)
    taken_back = [upload.undo(*upload.entries[place]) for place in order]
    assert upload.rows() == before
    assert sum(each.deleted for each in taken_back) == 1
    assert sum(each.restored for each in taken_back) == 1
    assert not any(each.conflicts for each in taken_back)


def test_undo_leaves_alone_what_another_job_has_touched_since(db: Database) -> None:
    upload, _ = upserted(db)
    for row in upload.rows():
        db.rows.update_one({"_id": row}, {"$set": {"written_by": "later:1:0", "values.n": 77}})
    after = upload.rows()
    taken_back = [upload.undo(mark, record) for mark, record in upload.entries]
    assert upload.rows() == after
    assert sum(each.deleted + each.restored for each in taken_back) == 0
    assert {conflict.id for each in taken_back for conflict in each.conflicts} == set(after)
