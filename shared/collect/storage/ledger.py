"""One entry for each committed chunk: what it counted, and what undo needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING

from collect.jobs.model import Part, entry_id
from collect.jobs.outcomes import Applied, Conflict
from collect.storage.database import Database, Transaction


def insert(tx: Transaction, *, part: Part, applied: Applied) -> None:
    """Enter the chunk that is being committed. Its ``_id`` makes it one, whatever is tried twice."""
    tx.db.ledger.insert_one(
        {
            "_id": entry_id(part.job_id, part.n, part.seq),
            "job_id": part.job_id,
            "org_id": part.org_id,
            "n": part.n,
            "seq": part.seq,
            "epoch": part.epoch,
            "at": datetime.now(UTC),
            "cursor": part.cursor,
            "counts": {
                "succeeded": applied.succeeded,
                "rejected": applied.rejected,
                "created": applied.created,
                "changed": applied.changed,
            },
            "undo": applied.undo,
            "objects": list(applied.objects),
            "undone": False,
            "conflicts": [],
        },
        session=tx.session,
    )


def mark_undone(tx: Transaction, *, entry_id: str, conflicts: Iterable[Conflict]) -> None:
    """The entry has been looked at by undo; its conflicts replace those of an earlier look."""
    listed = [{"id": conflict.id, "row": conflict.row, "why": conflict.why} for conflict in conflicts]
    tx.db.ledger.update_one({"_id": entry_id}, {"$set": {"undone": True, "conflicts": listed}}, session=tx.session)


def of_job(db: Database, *, org_id: str, job_id: str) -> Iterator[dict[str, Any]]:
    """All entries of a job, in the order of parts and chunks."""
    order = [("n", ASCENDING), ("seq", ASCENDING)]
    yield from db.ledger.find({"job_id": job_id, "org_id": org_id}).sort(order).batch_size(20)


def conflicts(
    db: Database, *, org_id: str, job_id: str, limit: int, skip: int = 0
) -> tuple[list[dict[str, Any]], int | None]:
    """What undo left alone: ``{id, row, why}``; and how many to skip next time, if there are more."""
    found = list(
        db.ledger.aggregate(
            [
                {"$match": {"job_id": job_id, "org_id": org_id, "conflicts.0": {"$exists": True}}},
                {"$sort": {"n": 1, "seq": 1}},
                {"$unwind": "$conflicts"},
                {"$replaceRoot": {"newRoot": "$conflicts"}},
                {"$skip": skip},
                {"$limit": limit + 1},
            ]
        )
    )
    return found[:limit], skip + limit if len(found) > limit else None
