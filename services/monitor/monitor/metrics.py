"""What the monitor counts and measures. A closed list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prometheus_client import Counter, Gauge

from collect.jobs.model import OUT
from collect.jobs.states import ACTIVE, State
from collect.storage import workers
from collect.storage.database import Database

REAPED = Counter("collect_parts_reaped_total", "Parts taken from owners whose lease had run out.", ["kind"])
SWEPT = Counter("collect_tickets_swept_total", "Tickets published again whose messages seemed lost.", ["kind"])
REAPER_STOPPED = Gauge("collect_reaper_stopped", "1 while so many leases have expired that the reaper frees none.")
JOBS = Gauge("collect_jobs", "Jobs that are active or paused.", ["state"])
PARTS = Gauge("collect_parts_out", "Parts that can be claimed or are held.", ["kind", "status"])
SLOTS = Gauge("collect_slots", "Slots of the workers that have been heard of lately.", ["kind"])
OUTBOX = Gauge("collect_outbox_messages", "Committed messages that have not left.")
OUTBOX_SECONDS = Gauge("collect_outbox_oldest_seconds", "Age of the oldest of them.")

_STATES = sorted(ACTIVE | {State.PAUSED, State.AWAITING_CONFIRMATION})


class Gauges:
    """Reads from the stores what is not counted where it happens."""

    def __init__(self, *, db: Database, seen_seconds: float) -> None:
        self._db = db
        self._seen_seconds = seen_seconds

    def tick(self) -> None:
        """Read all once. Each is an index lookup or a count of few documents."""
        for state in _STATES:
            JOBS.labels(state=state.value).set(self._db.jobs.count_documents({"state": state.value}))
        self._parts()
        SLOTS.clear()
        for kind, slots in workers.slots(self._db, within_seconds=self._seen_seconds).items():
            SLOTS.labels(kind=kind).set(slots)
        OUTBOX.set(self._db.outbox.estimated_document_count())
        oldest = self._db.outbox.find_one({}, {"at": 1}, sort=[("at", 1)])
        OUTBOX_SECONDS.set((datetime.now(UTC) - oldest["at"]).total_seconds() if oldest else 0)

    def _parts(self) -> None:
        PARTS.clear()
        pipeline: list[dict[str, Any]] = [
            {"$match": {"status": {"$in": OUT}}},
            {"$group": {"_id": {"kind": "$kind", "status": "$status"}, "parts": {"$sum": 1}}},
        ]
        for found in self._db.parts.aggregate(pipeline):
            PARTS.labels(**found["_id"]).set(found["parts"])
