"""The rejects: rows that were not written, with the reasons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pymongo import ASCENDING
from pymongo.client_session import ClientSession

from collect.jobs.model import Job
from collect.jobs.outcomes import Reject
from collect.storage.database import Database, Transaction

MOST_STORED = 10_000
"""Most rejects stored for one job. The counts include all rejects, because they are in the ledger."""
MOST_ERRORS = 50
"""Most errors stored for one row. These are enough to understand a row in which every column is wrong."""
_HIDDEN = {"_id": 0, "job_id": 0, "org_id": 0}
FIRST = 1
"""The revision of a row in the original file. Each correction of the row has a higher revision."""


def page(
    db: Database, *, org_id: str, job_id: str, limit: int, after: int = 0
) -> tuple[list[dict[str, Any]], int | None]:
    """Return one page of rejects in the order of their rows, beginning after row ``after``.

    The second value is the ``after`` of the next page, or ``None``.
    """
    query = {"job_id": job_id, "org_id": org_id, "row": {"$gt": after}}
    found = list(db.rejects.find(query, _HIDDEN).sort("row", ASCENDING).limit(limit + 1))
    return found[:limit], found[limit - 1]["row"] if len(found) > limit else None


def stream(db: Database, *, org_id: str, job_id: str) -> Iterator[dict[str, Any]]:
    """Yield all stored rejects of a job in the order of their rows, in flat memory."""
    yield from db.rejects.find({"job_id": job_id, "org_id": org_id}, _HIDDEN).sort("row", ASCENDING)


def count(db: Database, *, job_id: str, session: ClientSession | None = None) -> int:
    """Count the stored rejects of a job."""
    return db.rejects.count_documents({"job_id": job_id}, session=session)


def reject_id(job_id: str, row: int) -> str:
    """Return the ``_id`` of a row's reject."""
    return f"{job_id}:{row}"


def revision_of(reject: Mapping[str, Any]) -> int:
    """Return the revision of the row that was rejected."""
    found: int = reject.get("revision", FIRST)
    return found


def some(
    db: Database, *, job_id: str, rows: Iterable[int], session: ClientSession | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the stored rejects of these rows: row, revision, correction, line (the row's text) and errors."""
    fields = {"row": 1, "revision": 1, "correction": 1, "line": 1, "errors": 1}
    yield from db.rejects.find({"_id": {"$in": [reject_id(job_id, row) for row in rows]}}, fields, session=session)


def can_be_corrected(tx: Transaction, *, job_id: str) -> bool:
    """Return whether the job has a stored reject that no correction is working on."""
    return tx.db.rejects.find_one({"job_id": job_id, "correction": None}, {"_id": 1}, session=tx.session) is not None


def room(db: Database, *, job_id: str, session: ClientSession, most: int = MOST_STORED) -> int:
    """Return how many more rejects of the job can be stored."""
    return max(0, most - count(db, job_id=job_id, session=session))


def most_frequent(db: Database, *, job_id: str) -> dict[str, Any] | None:
    """Return the most frequent pair of field and code among the job's stored rejects; ``None`` without rejects.

    The answer is ``{field, code, count, row, message, stored}``. ``row`` and ``message`` are those of the first reject
    with this pair. ``stored`` is the number of all stored rejects of the job.
    """
    group = {
        "_id": {"field": "$field", "code": "$code"},
        "count": {"$sum": 1},
        "row": {"$first": "$row"},
        "message": {"$first": "$message"},
    }
    found = list(db.rejects.aggregate([{"$match": {"job_id": job_id}}, {"$sort": {"row": 1}}, {"$group": group}]))
    if not found:
        return None
    worst = min(found, key=lambda one: (-one["count"], one["row"]))
    return {**worst.pop("_id"), **worst, "stored": sum(one["count"] for one in found)}


def saying(db: Database, *, job_id: str, code: str, words: str) -> int:
    """Count the job's stored rejects that have this code, and ``words`` in their message."""
    query = {"job_id": job_id, "code": code, "message": {"$regex": re.escape(words)}}
    return db.rejects.count_documents(query)


def store(
    db: Database,
    *,
    job: Job,
    rejects: Iterable[Reject],
    session: ClientSession,
    before: int = 0,
    most: int = MOST_STORED,
    revisions: Mapping[int, int] | None = None,
) -> None:
    """Store rejects in a chunk's transaction, one for each row, until ``most`` of the job are stored.

    ``before``: how many rows this part has rejected so far. If that is ``most`` already, the stored rejects are not
    counted. Chunks of other parts that commit at the same time are not counted either, so a job can get more than
    ``most`` stored rejects, never fewer. ``revisions``: row → revision, for corrected rows.
    """
    wanted = sorted(rejects, key=lambda reject: reject.row)
    if not wanted or before >= most:
        return
    stored = wanted[: room(db, job_id=job.id, session=session, most=most)]
    insert(db, job=job, rejects=stored, revisions=revisions or {}, session=session)


def insert(
    db: Database, *, job: Job, rejects: Iterable[Reject], revisions: Mapping[int, int], session: ClientSession
) -> None:
    """Store all these rejects, even if the job then has more than :data:`MOST_STORED`."""
    made = [_document(job, reject, revisions.get(reject.row, FIRST)) for reject in rejects]
    if made:
        db.rejects.insert_many(made, ordered=False, session=session)


def _document(job: Job, reject: Reject, revision: int) -> dict[str, Any]:
    first = reject.errors[0]
    return {
        "_id": reject_id(job.id, reject.row),
        "job_id": job.id,
        "org_id": job.org_id,
        "row": reject.row,
        "revision": revision,
        "correction": None,
        "field": first.field,
        "code": first.code,
        "message": first.message,
        "line": reject.line,
        "errors": [{"field": e.field, "code": e.code, "message": e.message} for e in reject.errors[:MOST_ERRORS]],
    }
