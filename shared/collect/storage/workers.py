"""The workers, as they are known from their heartbeats, and the heartbeats, which are kept for an hour.

``at`` is the time when a heartbeat arrived. It is never the time of the worker's own clock, which can be wrong: only
the time since the last heartbeat matters. ``sent_at`` is the time of the worker's clock. It is only for people, who can
see from it that a clock is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, InsertOne, UpdateOne

from collect.messaging.messages import Heartbeat
from collect.storage.database import Database

SEEN_WITHIN_SECONDS = 10.0
"""Longest time since its last heartbeat for which a worker counts as alive, in seconds."""


def store(db: Database, heartbeats: Sequence[Heartbeat], *, received_at: datetime) -> None:
    """Store the heartbeats, and each worker's last heartbeat in its own document.

    The index of ``heartbeats`` removes the former after an hour.
    """
    if not heartbeats:
        return
    kept = [InsertOne({**_fields(beat), "worker_id": beat.worker_id, "at": received_at}) for beat in heartbeats]
    db.heartbeats.bulk_write(kept, ordered=False)
    db.workers.bulk_write([_latest(beat) for beat in heartbeats], ordered=True)


def slots(db: Database, *, within_seconds: float = SEEN_WITHIN_SECONDS) -> dict[str, int]:
    """Return kind → number of slots of the workers whose last heartbeat came within that time."""
    pipeline: list[dict[str, Any]] = [
        {"$match": _heard_of(within_seconds)},
        {"$group": {"_id": "$kind", "slots": {"$sum": {"$size": "$slots"}}}},
    ]
    return {found["_id"]: found["slots"] for found in db.workers.aggregate(pipeline)}


def seen(db: Database, *, within_seconds: float = SEEN_WITHIN_SECONDS) -> list[dict[str, Any]]:
    """Return the workers whose last heartbeat came within that time, in the order of their ids."""
    return list(db.workers.find(_heard_of(within_seconds)).sort("_id", ASCENDING))


def forget(db: Database, *, silent_seconds: float) -> int:
    """Delete the workers whose last heartbeat is older than ``silent_seconds``. Return how many were deleted."""
    return db.workers.delete_many({"$nor": [_heard_of(silent_seconds)]}).deleted_count


def _heard_of(within_seconds: float) -> dict[str, Any]:
    since = {"$subtract": ["$$NOW", round(within_seconds * 1000)]}
    return {"$expr": {"$gte": ["$at", since]}}


def _fields(beat: Heartbeat) -> dict[str, Any]:
    slots = [slot.model_dump() for slot in beat.slots]
    return {"kind": beat.kind, "version": beat.version, "slots": slots, "sent_at": beat.at}


def _latest(beat: Heartbeat) -> UpdateOne:
    fields = {name: {"$literal": value} for name, value in _fields(beat).items()}
    return UpdateOne({"_id": beat.worker_id}, [{"$set": {**fields, "at": "$$NOW"}}], upsert=True)


def rates(db: Database, *, within_seconds: float = SEEN_WITHIN_SECONDS) -> dict[str, float]:
    """Return job id → present rate in rows per second, summed over the slots that run parts of the job."""
    pipeline: list[dict[str, Any]] = [
        {"$match": _heard_of(within_seconds)},
        {"$unwind": "$slots"},
        {"$match": {"slots.job_id": {"$ne": None}}},
        {"$group": {"_id": "$slots.job_id", "rate": {"$sum": "$slots.rate"}}},
    ]
    return {found["_id"]: found["rate"] for found in db.workers.aggregate(pipeline)}
