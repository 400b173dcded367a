"""Find and remove data that is not needed any more: expired input files, and blobs that no document names.

Every function is idempotent, and can run in several processes at the same time. A blob is written before the document
that names it, and removed after that document.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from pymongo.client_session import ClientSession

from collect.jobs.model import Job
from collect.jobs.states import FINAL, State
from collect.storage import ledger, results
from collect.storage.database import Database, Transaction, transact
from collect.storage.files import PREFIX as FILES
from collect.storage.files import InputFile
from collect.storage.object_store import Blobs

TAKEN_BACK = (State.TERMINATED.value, State.UNDONE.value)
"""The states of a job whose writes were undone."""
LATELY = timedelta(hours=1)
"""How long after the end of a job in :data:`TAKEN_BACK` its objects are removed again and again."""
UNDER_WAY = timedelta(hours=1)
"""How long an expired file is kept, so that a request that found it before it expired can end."""
REWRITTEN = "jobs/"
"""The prefix of the blobs with input that a plan has rewritten: ``jobs/<job id>/…``."""


def taken_back(db: Database, at: datetime) -> Iterator[str]:
    """Yield the ids of exports that were terminated or undone within :data:`LATELY`.

    A worker may have written an object of such an export after its objects were removed.
    """
    query = {"kind": results.KIND, "state": {"$in": TAKEN_BACK}, "ended_at": {"$gte": at - LATELY}}
    for job in db.jobs.find(query, {"_id": 1}):
        yield job["_id"]


def is_taken_back(db: Database, *, job_id: str) -> bool:
    """Return whether the job's writes were undone, or are being undone."""
    states = [*TAKEN_BACK, State.TERMINATING.value, State.UNDOING.value]
    return db.jobs.find_one({"_id": job_id, "state": {"$in": states}}, {"_id": 1}) is not None


def orphans(db: Database, blobs: Blobs, *, at: datetime, before: datetime) -> Iterator[str]:
    """Yield the names of blobs that no document needs at ``at`` and that were written before ``before``.

    Results of terminated and undone jobs are yielded whatever their age.
    """
    for job_id, found in groupby(blobs.stored(results.PREFIX), key=lambda one: one[0].split("/")[1]):
        yield from _of_result(db, job_id, list(found), before)
    for prefix, is_named in ((FILES, _is_input), (REWRITTEN, _is_rewritten)):
        for name, written in blobs.stored(prefix):
            if written < before and not is_named(db, name, at):
                yield name


def _of_result(db: Database, job_id: str, found: list[tuple[str, datetime]], before: datetime) -> Iterator[str]:
    fields = {"org_id": 1, "state": 1, "result.expired_at": 1, "result.objects.name": 1}
    job = db.jobs.find_one({"_id": job_id}, fields)
    if job is not None and job["state"] in TAKEN_BACK:
        yield from (name for name, _ in found)
        return
    old = [name for name, written in found if written < before]
    kept = _named(db, job) if job is not None and old else set()
    yield from (name for name in old if name not in kept)


def _named(db: Database, job: dict[str, Any]) -> set[str]:
    result = job.get("result") or {}
    if result.get("expired_at") is not None:
        return set()
    committed = {stored.name for _, stored in ledger.objects(db, org_id=job["org_id"], job_id=job["_id"])}
    return {
        results.header_name(job["_id"]),
        *committed,
        *(one["name"] for one in result.get("objects", ()) if "name" in one),
    }


def _is_input(db: Database, name: str, at: datetime) -> bool:
    file_id = name.rpartition("/")[2]
    return _is_known(db, file_id) or _is_needed(db, file_id, at)


def _is_rewritten(db: Database, name: str, at: datetime) -> bool:
    """Return whether rewritten input is still needed.

    A part must read it. Also, the job must still need its input, or the job's input file must still be stored.
    """
    document = db.jobs.find_one({"_id": name.split("/")[1]})
    if document is None:
        return False
    job = Job.model_validate(document)
    if not needs_input(job, at) and not (job.file is not None and _is_known(db, job.file.id)):
        return False
    return db.parts.find_one({"job_id": job.id, "source.blob": name}, {"_id": 1}) is not None


def needs_input(job: Job, at: datetime) -> bool:
    """Return whether the job may still read its input: it has not ended, or it can still be undone."""
    return job.state not in FINAL or (job.undo_until is not None and at < job.undo_until)


def _is_known(db: Database, file_id: str) -> bool:
    return db.files.find_one({"_id": file_id}, {"_id": 1}) is not None


def _is_needed(db: Database, file_id: str, at: datetime, session: ClientSession | None = None) -> bool:
    found = db.jobs.find({"file.id": file_id}, session=session)
    return any(needs_input(Job.model_validate(document), at) for document in found)


def expired_files(db: Database, at: datetime) -> Iterator[InputFile]:
    """Yield the input files that expired at least :data:`UNDER_WAY` before ``at``, even if a job still needs them."""
    for document in db.files.find({"expires_at": {"$lte": at - UNDER_WAY}}):
        yield InputFile.model_validate(document)


def forget(db: Database, blobs: Blobs, file: InputFile, *, at: datetime) -> bool:
    """Remove a file and its blob.

    Return ``False`` if a job may still read it, or if another process has removed it.
    """

    def work(tx: Transaction) -> bool:
        if _is_needed(tx.db, file.id, at, tx.session):
            return False
        return bool(tx.db.files.delete_one({"_id": file.id}, session=tx.session).deleted_count)

    forgotten = transact(db, work).value
    if forgotten:
        blobs.delete(file.blob)
    return forgotten
