"""Which workers there are, as their heartbeats tell; and the heartbeats themselves, kept for a while.

``at`` is when a heartbeat arrived, never what the worker's own clock says: a clock may be wrong, and what counts is
whether somebody has been heard of lately. ``sent_at`` is for people, who see from it that a clock is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, InsertOne, UpdateOne

from collect.messaging.messages import Heartbeat
from collect.storage.database import Database

SEEN_WITHIN_SECONDS = 10.0
"""A worker that has been silent for longer is not counted on."""


def store(db: Database, heartbeats: Sequence[Heartbeat], *, received_at: datetime) -> None:
    """Keep the heartbeats, which the index removes in time, and of each worker the last."""
    if not heartbeats:
        return
    kept = [InsertOne({**_fields(beat), "worker_id": beat.worker_id, "at": received_at}) for beat in heartbeats]
    db.heartbeats.bulk_write(kept, ordered=False)
    db.workers.bulk_write([_latest(beat) for beat in heartbeats], ordered=True)


def slots(db: Database, *, within_seconds: float = SEEN_WITHIN_SECONDS) -> dict[str, int]:
    """Kind → slots of the workers that have been heard of within that time."""
    pipeline: list[dict[str, Any]] = [
        {"$match": _heard_of(within_seconds)},
        {"$group": {"_id": "$kind", "slots": {"$sum": {"$size": "$slots"}}}},
    ]
    return {found["_id"]: found["slots"] for found in db.workers.aggregate(pipeline)}


def seen(db: Database, *, within_seconds: float = SEEN_WITHIN_SECONDS) -> list[dict[str, Any]]:
    """The workers that have been heard of within that time, by id."""
    return list(db.workers.find(_heard_of(within_seconds)).sort("_id", ASCENDING))


def forget(db: Database, *, silent_seconds: float) -> int:
    """Delete the workers that have been silent for longer. Returns how many."""
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
    """Job → rows a second at the moment, summed over the slots that work on it."""
    pipeline: list[dict[str, Any]] = [
        {"$match": _heard_of(within_seconds)},
        {"$unwind": "$slots"},
        {"$match": {"slots.job_id": {"$ne": None}}},
        {"$group": {"_id": "$slots.job_id", "rate": {"$sum": "$slots.rate"}}},
    ]
    return {found["_id"]: found["rate"] for found in db.workers.aggregate(pipeline)}
