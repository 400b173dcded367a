"""What an export does when a part of its result is not in the store any more."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pymongo import MongoClient
from ulid import ULID

from collect.errors import TaskRefused
from collect.jobs.model import Reason
from collect.protocol import commits
from collect.runtime.task import ChunkSize
from collect.storage import indexes, ledger, organisations, results
from collect.storage.database import Database, connect, now
from collect.storage.object_store import FileBlobs
from export_worker.task import ExportTask
from support import exported, protocol_driver


@pytest.fixture
def db(mongodb_url: str) -> Iterator[Database]:
    found = connect(mongodb_url, database=f"finish_{ULID()}", app_name="test")
    indexes.migrate(found)
    organisations.ensure(found, org_id=protocol_driver.ORG, name=protocol_driver.ORG)
    yield found
    found.close()
    with MongoClient[dict[str, object]](mongodb_url) as client:
        client.drop_database(found.db.name)


def test_an_export_is_not_gone_on_with_when_what_it_had_written_is_gone_with_its_time(
    db: Database, tmp_path: Path
) -> None:
    blobs = FileBlobs(folder=tmp_path)
    job = exported.make(db)
    exported.plan(db, blobs, job)
    with protocol_driver.holding(db, job, 1) as lease:
        part = lease.part
        exported.write(db, blobs, lease, job, b"r-1,31\n")
        commits.fail(lease, Reason(code="store_full", message="No room."))
    late = now() - timedelta(days=60)
    db.jobs.update_one({"_id": job.id}, {"$set": {"ended_at": late}})
    assert [found.id for found in results.expired(db, now())] == [job.id]
    job, task = protocol_driver.read_job(db, job), ExportTask(db=db, blobs=blobs)
    for steps in (task.plan(job, None), task.chunks(job, part, ChunkSize(rows=1)), task.finish(job)):
        with pytest.raises(TaskRefused) as refused:
            next(steps)
        assert refused.value.code == "result_expired"


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("header", [True, False])
def test_a_result_of_which_something_is_missing_fails_the_job_and_says_so(
    db: Database, tmp_path: Path, gone: bool, header: bool
) -> None:
    blobs = FileBlobs(folder=tmp_path)
    job = exported.make(db)
    exported.plan(db, blobs, job)
    exported.run(db, blobs, job)
    _, first = next(ledger.objects(db, org_id=job.org_id, job_id=job.id))
    name, size = (results.header_name(job.id), 0) if header else (first.name, first.bytes)
    blobs.delete(name)
    if not gone:
        blobs.write(name, [b"x" * size])
    with pytest.raises(TaskRefused) as refused:
        list(ExportTask(db=db, blobs=blobs).finish(protocol_driver.read_job(db, job)))
    assert refused.value.code == "result_damaged"
    assert name in refused.value.detail
