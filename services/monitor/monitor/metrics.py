"""The gauges that only the monitor can set: the numbers of jobs, parts, workers, slots and overdue messages."""

from __future__ import annotations

from collections import Counter
from typing import Any

from collect.jobs.model import OUT
from collect.jobs.states import ACTIVE, State
from collect.observability.metrics import JOBS, LEASES_EXPIRED, OUTBOX_WAITING, PARTS, SLOTS, WORKERS
from collect.protocol import reaper
from collect.storage import outbox, workers
from collect.storage.database import Database

MOST_OVERDUE = 1_000
_STATES = sorted(ACTIVE | {State.PAUSED, State.AWAITING_CONFIRMATION})


class Gauges:
    """Sets gauges from the database, for numbers that no process counts by itself."""

    def __init__(self, *, db: Database, seen_seconds: float, overdue_seconds: float) -> None:
        self._db = db
        self._seen_seconds = seen_seconds
        self._overdue_seconds = overdue_seconds

    def tick(self) -> None:
        """Read and set all gauges once. Each read is an index lookup, or a count of few documents."""
        for state in _STATES:
            JOBS.labels(state=state.value).set(self._db.jobs.count_documents({"state": state.value}))
        overdue = outbox.overdue(self._db, older_than_seconds=self._overdue_seconds, limit=MOST_OVERDUE)
        OUTBOX_WAITING.set(len(overdue))
        LEASES_EXPIRED.set(reaper.count_expired(self._db))
        self._parts()
        self._workers()

    def _parts(self) -> None:
        PARTS.clear()
        pipeline: list[dict[str, Any]] = [
            {"$match": {"status": {"$in": OUT}}},
            {"$group": {"_id": {"kind": "$kind", "status": "$status"}, "parts": {"$sum": 1}}},
        ]
        for found in self._db.parts.aggregate(pipeline):
            PARTS.labels(**found["_id"]).set(found["parts"])

    def _workers(self) -> None:
        seen = workers.seen(self._db, within_seconds=self._seen_seconds)
        WORKERS.clear()
        for kind, number in Counter(worker["kind"] for worker in seen).items():
            WORKERS.labels(kind=kind).set(number)
        SLOTS.clear()
        slots = Counter(
            (worker["kind"], "busy" if slot["job_id"] else "free") for worker in seen for slot in worker["slots"]
        )
        for (kind, state), number in slots.items():
            SLOTS.labels(kind=kind, state=state).set(number)
