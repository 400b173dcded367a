"""Rows that were not written, and why."""

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
"""Of one job. Its counts go on: they are in the ledger."""
MOST_ERRORS = 50
"""Of one row: a row in which every column is wrong needs no more to be understood."""
_HIDDEN = {"_id": 0, "job_id": 0, "org_id": 0}
FIRST = 1
"""The revision of a row as the file has it."""


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


def count(db: Database, *, job_id: str, session: ClientSession | None = None) -> int:
    """How many rejects of a job are stored."""
    return db.rejects.count_documents({"job_id": job_id}, session=session)


def reject_id(job_id: str, row: int) -> str:
    """The ``_id`` of a row's reject."""
    return f"{job_id}:{row}"


def revision_of(reject: Mapping[str, Any]) -> int:
    """Which revision of the row was rejected."""
    found: int = reject.get("revision", FIRST)
    return found


def some(
    db: Database, *, job_id: str, rows: Iterable[int], session: ClientSession | None = None
) -> Iterator[dict[str, Any]]:
    """Those of these rows that are rejected and stored: what says which they are, and their text."""
    fields = {"row": 1, "revision": 1, "correction": 1, "line": 1, "errors": 1}
    yield from db.rejects.find({"_id": {"$in": [reject_id(job_id, row) for row in rows]}}, fields, session=session)


def can_be_mended(tx: Transaction, *, job_id: str) -> bool:
    """Whether a stored reject is not being corrected."""
    return tx.db.rejects.find_one({"job_id": job_id, "correction": None}, {"_id": 1}, session=tx.session) is not None


def room(db: Database, *, job_id: str, session: ClientSession, most: int = MOST_STORED) -> int:
    """How many more rejects of the job are stored."""
    return max(0, most - count(db, job_id=job_id, session=session))


def most_frequent(db: Database, *, job_id: str) -> dict[str, Any] | None:
    """The commonest field and code among a job's stored rejects.

    ``{field, code, count, row, message, stored}``: ``row`` and ``message`` of the first, ``stored`` of all of them.
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
    """How many stored rejects of a job have this code, and ``words`` in their message."""
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
    """Store rejects within a chunk's transaction, one a row, until ``most`` of the job are stored.

    ``before``: how many rows this part has rejected so far, so that a part that has filled the store does not look.
    Chunks of other parts that commit at the same time are not seen: the job may get more than ``most``, never fewer.
    ``revisions``: those of rows that have been mended.
    """
    wanted = sorted(rejects, key=lambda reject: reject.row)
    if not wanted or before >= most:
        return
    stored = wanted[: room(db, job_id=job.id, session=session, most=most)]
    insert(db, job=job, rejects=stored, revisions=revisions or {}, session=session)


def insert(
    db: Database, *, job: Job, rejects: Iterable[Reject], revisions: Mapping[int, int], session: ClientSession
) -> None:
    """Store all of these, whether there is room or not."""
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
