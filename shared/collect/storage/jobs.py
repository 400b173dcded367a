"""Read jobs, and make the few changes to jobs that do not change their state."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import DESCENDING, ReturnDocument

from collect.errors import NotFound
from collect.jobs.model import Job
from collect.jobs.restarts import MOST_ANCESTORS
from collect.storage.database import Again, Database, Transaction

POLL_SECONDS = 0.05
"""Time between two reads of a job in :func:`wait`, in seconds."""
_LISTED = {"result.objects": 0, "result.parts": 0}
"""The projection for lists of jobs. It leaves out two fields that are long for large exports."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The filters of a list of jobs.

    ``q`` is searched for in ids, names, datasets, forms and reasons. ``since`` and ``until`` bound the creation time.
    """

    states: tuple[str, ...] = ()
    kind: str | None = None
    created_by: str | None = None
    q: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def get(db: Database, *, org_id: str, job_id: str) -> Job:
    """Return one job of the organisation.

    Raises:
        NotFound: the organisation has no job with that id.
    """
    document = db.jobs.find_one({"_id": job_id, "org_id": org_id})
    if document is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return Job.model_validate(document)


def read(tx: Transaction, job_id: str) -> Job:
    """Return the job as it is in the transaction's snapshot.

    Raises:
        NotFound: there is no job with that id.
    """
    document = tx.db.jobs.find_one({"_id": job_id}, session=tx.session)
    if document is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return Job.model_validate(document)


def get_in(tx: Transaction, *, org_id: str, job_id: str) -> Job:
    """Return one job of the organisation, as it is in the transaction's snapshot.

    Raises:
        NotFound: the organisation has no job with that id.
    """
    job = read(tx, job_id)
    if job.org_id != org_id:
        raise NotFound(f"There is no job {job_id!r}.")
    return job


def ancestors(db: Database, job: Job) -> tuple[Job, ...]:
    """Return the jobs before ``job`` in its chain of restarts, nearest first. Each is a restart of the next.

    The chain ends at a job that is not stored any more, or at ``MOST_ANCESTORS`` jobs.
    """
    found: list[Job] = []
    parent_id = job.parent_id
    while parent_id is not None and len(found) < MOST_ANCESTORS:
        document = db.jobs.find_one({"_id": parent_id, "org_id": job.org_id}, _LISTED)
        if document is None:
            break
        found.append(Job.model_validate(document))
        parent_id = found[-1].parent_id
    return tuple(found)


def update(tx: Transaction, job: Job, changes: dict[str, Any]) -> Job:
    """Set fields other than the state; return the changed job.

    Compare-and-set: raises :class:`Again` if the job has changed since the transaction read it.
    """
    document = tx.db.jobs.find_one_and_update(
        {"_id": job.id, "v": job.v},
        {"$set": changes, "$inc": {"v": 1}},
        return_document=ReturnDocument.AFTER,
        session=tx.session,
    )
    if document is None:
        raise Again
    return Job.model_validate(document)


def patch(db: Database, *, org_id: str, job_id: str, changes: dict[str, Any]) -> Job:
    """Change ``priority``, ``max_rows_per_second`` or ``max_rejected`` of a job, in any state; return the changed job.

    Raises:
        NotFound: the organisation has no such job.
    """
    document = db.jobs.find_one_and_update(
        {"_id": job_id, "org_id": org_id},
        {"$set": changes, "$inc": {"v": 1}},
        return_document=ReturnDocument.AFTER,
    )
    if document is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return Job.model_validate(document)


def page(
    db: Database, *, org_id: str, filters: Filters, limit: int, before: str | None = None
) -> tuple[list[Job], str | None]:
    """Return one page of jobs, newest first, beginning with the first that is older than the id ``before``.

    The second value is the ``before`` of the next page, or ``None``.
    """
    query = _query(org_id, filters)
    if before is not None:
        query["_id"] = {**query.get("_id", {}), "$lt": before}
    documents = db.jobs.find(query, _LISTED).sort("_id", DESCENDING).limit(limit + 1)
    found = [Job.model_validate(document) for document in documents]
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def owned(db: Database, *, org_id: str, job_ids: Collection[str]) -> set[str]:
    """Return those of the jobs that belong to the organisation."""
    return set(db.jobs.distinct("_id", {"_id": {"$in": list(job_ids)}, "org_id": org_id}))


def wait(db: Database, *, org_id: str, job_id: str, until: Callable[[Job], bool], seconds: float) -> Job:
    """Wait until ``until`` is true for the job, at most ``seconds``; return the job. Blocks the calling thread."""
    deadline = time.monotonic() + seconds
    while True:
        job = get(db, org_id=org_id, job_id=job_id)
        left = deadline - time.monotonic()
        if until(job) or left <= 0:
            return job
        time.sleep(min(POLL_SECONDS, left))


def _query(org_id: str, filters: Filters) -> dict[str, Any]:
    query: dict[str, Any] = {"org_id": org_id}
    if filters.states:
        query["state"] = {"$in": list(filters.states)}
    if filters.kind is not None:
        query["kind"] = filters.kind
    if filters.created_by is not None:
        query["$and"] = [{"$or": [{"created_by.id": filters.created_by}, {"created_by.name": filters.created_by}]}]
    if filters.since is not None or filters.until is not None:
        bounds = {"$gte": filters.since, "$lt": filters.until}
        query["created_at"] = {operator: at for operator, at in bounds.items() if at is not None}
    if filters.q:
        words = {"$regex": _literal(filters.q), "$options": "i"}
        fields = ("_id", "file.name", "params.dataset", "params.form_id", "last_action.reason", "created_by.name")
        query["$or"] = [{field: words} for field in fields]
    return query


def _literal(text: str) -> str:
    """Return ``text`` as a regular expression that matches exactly this text."""
    return "".join(f"\\{c}" if c in r"\^$.|?*+()[]{}-/" else c for c in text)
