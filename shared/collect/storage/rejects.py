"""Rows that were not written, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pymongo import ASCENDING
from pymongo.client_session import ClientSession

from collect.jobs.model import Job
from collect.jobs.outcomes import Reject
from collect.storage.database import Database

_HIDDEN = {"_id": 0, "job_id": 0, "org_id": 0}


def page(
    db: Database, *, org_id: str, job_id: str, limit: int, after: int = 0
) -> tuple[list[dict[str, Any]], int | None]:
    """Rejects by row, from those above row ``after``; and the row to go on after, if there are more."""
    query = {"job_id": job_id, "org_id": org_id, "row": {"$gt": after}}
    found = list(db.rejects.find(query, _HIDDEN).sort("row", ASCENDING).limit(limit + 1))
    return found[:limit], found[limit - 1]["row"] if len(found) > limit else None


def stream(db: Database, *, org_id: str, job_id: str) -> Iterator[dict[str, Any]]:
    """All rejects of a job by row, in flat memory."""
    yield from db.rejects.find({"job_id": job_id, "org_id": org_id}, _HIDDEN).sort("row", ASCENDING)


def most_frequent(db: Database, *, job_id: str) -> dict[str, Any] | None:
    """The commonest field and code among a job's rejects: ``{field, code, count, row, message}`` (of its first row)."""
    found = list(
        db.rejects.aggregate(
            [
                {"$match": {"job_id": job_id}},
                {"$sort": {"row": 1}},
                {
                    "$group": {
                        "_id": {"field": "$field", "code": "$code"},
                        "count": {"$sum": 1},
                        "row": {"$first": "$row"},
                        "message": {"$first": "$message"},
                    }
                },
                {"$sort": {"count": -1, "row": 1}},
                {"$limit": 1},
            ]
        )
    )
    if not found:
        return None
    return {**found[0]["_id"], "count": found[0]["count"], "row": found[0]["row"], "message": found[0]["message"]}


def store(db: Database, *, job: Job, rejects: Iterable[Reject], session: ClientSession) -> None:
    """Store rejects within a chunk's transaction. One a row: a row is rejected once."""
    documents = [_document(job, reject) for reject in rejects]
    if documents:
        db.rejects.insert_many(documents, ordered=False, session=session)


def _document(job: Job, reject: Reject) -> dict[str, Any]:
    first = reject.errors[0]
    return {
        "_id": f"{job.id}:{reject.row}",
        "job_id": job.id,
        "org_id": job.org_id,
        "row": reject.row,
        "field": first.field,
        "code": first.code,
        "message": first.message,
        "line": reject.line,
        "errors": [{"field": e.field, "code": e.code, "message": e.message} for e in reject.errors],
    }
