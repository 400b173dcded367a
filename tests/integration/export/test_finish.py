"""What an export does when a part of its result is not in the store any more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from ulid import ULID

import byhand
import exported
from collect.errors import TaskRefused
from collect.storage import indexes, ledger, organisations, results
from collect.storage.blobs import FileBlobs
from collect.storage.database import Database, connect
from export_worker.task import ExportTask


@pytest.fixture
def db(mongodb_url: str) -> Iterator[Database]:
    found = connect(mongodb_url, database=f"finish_{ULID()}", app_name="test")
    indexes.migrate(found)
    organisations.ensure(found, org_id=byhand.ORG, name=byhand.ORG)
    yield found
    found.close()
    with MongoClient[dict[str, object]](mongodb_url) as client:
        client.drop_database(found.db.name)


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
        list(ExportTask(db=db, blobs=blobs).finish(byhand.read_job(db, job)))
    assert refused.value.code == "result_damaged"
    assert name in refused.value.detail
