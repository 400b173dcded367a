"""Datasets on a real server: taking one away."""

import pytest

from collect.demo import baseline
from collect.errors import Conflict, DatasetHeld
from collect.jobs.states import Verb
from collect.storage import datasets
from collect.storage.database import Database, transact
from support import protocol_driver


def put(db: Database) -> None:
    transact(db, lambda tx: datasets.put(tx, org_id="labs", name="baseline", template=baseline.template()))


def remove(db: Database) -> None:
    transact(db, lambda tx: datasets.remove(tx, org_id="labs", name="baseline"))


def test_an_empty_dataset_is_removed_with_its_lock_and_can_be_made_again(db: Database) -> None:
    put(db)
    for _ in range(2):
        remove(db)
    assert datasets.names(db, org_id="labs") == []
    assert db.locks.count_documents({}) == 0
    put(db)
    assert datasets.names(db, org_id="labs") == ["baseline"]


def test_a_dataset_that_a_job_holds_stays(db: Database) -> None:
    put(db)
    job = protocol_driver.make_job(db)
    with pytest.raises(DatasetHeld, match=job.id):
        remove(db)
    assert datasets.names(db, org_id="labs") == ["baseline"]
    assert datasets.holder(db, org_id="labs", name="baseline") == job.id
    protocol_driver.ask(db, job, Verb.STOP)
    remove(db)


def test_a_dataset_with_rows_stays_whole(db: Database) -> None:
    put(db)
    protocol_driver.succeeded(db)
    with pytest.raises(Conflict, match="There are rows"):
        remove(db)
    assert datasets.names(db, org_id="labs") == ["baseline"]
    assert db.locks.count_documents({}) == 1
