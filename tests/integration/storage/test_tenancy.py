"""The storage of one organisation's job answers nothing, and changes nothing, for another organisation."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from collect.errors import NotFound
from collect.jobs.states import Verb
from collect.protocol import corrections, verbs
from collect.storage import audit, datasets, files, jobs, ledger, rejects
from collect.storage.database import Database, transact
from collect.storage.files import InputFile
from integration.storage.hands import ORG, make, request, run_until_rest, snapshot

OTHER = "other"

REFUSED: dict[str, Callable[[Database, str, str], object]] = {
    "jobs.get": lambda db, org, job: jobs.get(db, org_id=org, job_id=job),
    "jobs.get_in": lambda db, org, job: transact(db, lambda tx: jobs.get_in(tx, org_id=org, job_id=job)),
    "jobs.patch": lambda db, org, job: jobs.patch(db, org_id=org, job_id=job, changes={"priority": "high"}),
    "jobs.wait": lambda db, org, job: jobs.wait(db, org_id=org, job_id=job, until=lambda _: True, seconds=0),
    "verbs.perform": lambda db, org, job: verbs.perform(
        db, org_id=org, job_id=job, verb=Verb.UNDO, request=request("theirs")
    ),
}
"""Operations on a job by its id: each raises NotFound for another organisation."""

LISTS: dict[str, Callable[[Database, str, str], Iterable[Any]]] = {
    "jobs.page": lambda db, org, _: jobs.page(db, org_id=org, filters=jobs.Filters(), limit=10)[0],
    "audit.page": lambda db, org, job: audit.page(db, org_id=org, job_id=job, limit=10)[0],
    "ledger.of_job": lambda db, org, job: ledger.of_job(db, org_id=org, job_id=job),
    "rejects.page": lambda db, org, job: rejects.page(db, org_id=org, job_id=job, limit=10)[0],
    "rejects.stream": lambda db, org, job: rejects.stream(db, org_id=org, job_id=job),
    "corrections.page": lambda db, org, job: corrections.page(db, org_id=org, job_id=job, limit=10)[0],
    "datasets.names": lambda db, org, _: datasets.names(db, org_id=org),
}
"""Lists of an organisation, or of one of its jobs: each is empty for another organisation."""


@pytest.fixture
def job(db: Database) -> str:
    """The id of a job of ``ORG`` that has written rows, with a reject and a correction beside them."""
    written = make(db)
    run_until_rest(db)
    for collection in (db.rejects, db.corrections):
        collection.insert_one({"job_id": written.id, "org_id": ORG, "row": 1, "revision": 1, "line": "", "errors": []})
    return written.id


@pytest.mark.parametrize("name", REFUSED)
def test_a_job_is_not_found_by_another_organisation(db: Database, job: str, name: str) -> None:
    before = snapshot(db)
    with pytest.raises(NotFound):
        REFUSED[name](db, OTHER, job)
    assert snapshot(db) == before


@pytest.mark.parametrize("name", REFUSED)
def test_a_job_is_found_by_its_own_organisation(db: Database, job: str, name: str) -> None:
    REFUSED[name](db, ORG, job)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_empty_for_another_organisation(db: Database, job: str, name: str) -> None:
    assert list(LISTS[name](db, OTHER, job)) == []


@pytest.mark.parametrize("name", [name for name in LISTS if name != "datasets.names"])
def test_a_list_holds_something_for_its_own_organisation(db: Database, job: str, name: str) -> None:
    assert list(LISTS[name](db, ORG, job))


def test_a_file_is_not_found_by_another_organisation(db: Database) -> None:
    file = InputFile.model_validate(
        {
            "_id": "file-1", "org_id": ORG, "name": "f.csv", "bytes": 1, "sha256": "0" * 64, "blob": "b",
            "created_at": "2026-01-01T00:00:00Z", "expires_at": "2036-01-01T00:00:00Z",
        }
    )  # fmt: skip
    transact(db, lambda tx: files.insert(tx, file))
    assert files.get(db, org_id=ORG, file_id=file.id).id == file.id
    with pytest.raises(NotFound):
        files.get(db, org_id=OTHER, file_id=file.id)
