"""Freeing the parts of owners that have gone silent."""

from __future__ import annotations

import logging

from collect.clock import Clock
from collect.jobs.model import Part
from collect.messaging.outbox import OutboxSender
from collect.observability.metrics import REAPED, REAPER_STOPPED
from collect.protocol import reaper
from collect.storage.database import Database
from monitor.ticking import each

_log = logging.getLogger(__name__)


class Reaper:
    """Takes parts away whose lease has run out, and gives them out again.

    It watches for a full lease before it frees anything, when it starts and after every outage of its own: whatever
    kept it from looking (a stalled machine, a database that was away) may have kept the owners from renewing, and they
    get the time to do so. And it stops when too many leases expire at once: that many owners do not die together, and
    freeing them would take the work away from all of them.
    """

    def __init__(
        self,
        *,
        db: Database,
        sender: OutboxSender,
        clock: Clock,
        lease_seconds: float,
        max_expired: int,
        tick_seconds: float = 1.0,
    ) -> None:
        self._db = db
        self._sender = sender
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._max_expired = max_expired
        self._outage_seconds = max(lease_seconds / 2, 5 * tick_seconds)
        self._looked_at: float | None = None
        self._watch_until = 0.0
        self._stopped = False

    def tick(self) -> int:
        """Free what may be freed; returns how many parts were."""
        reaper.presume_free(self._db, lease_seconds=self._lease_seconds)
        expired = reaper.expired(self._db, limit=self._max_expired + 1)
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at > self._outage_seconds:
            self._watch_until = now + self._lease_seconds
            _log.info("reaper_watches", extra={"seconds": self._lease_seconds})
        self._looked_at = now
        if now < self._watch_until or self._too_many(len(expired)):
            return 0
        freed: list[str] = []
        each(expired, lambda part: self._reap(part, freed), name=lambda part: part.id)
        self._looked_at = self._clock.monotonic()
        return len(freed)

    def _too_many(self, expired: int) -> bool:
        stopped = expired > self._max_expired
        if stopped and not self._stopped:
            _log.error("reaper_stopped", extra={"expired": expired, "most": self._max_expired})
        if self._stopped and not stopped:
            _log.info("reaper_goes_on", extra={"expired": expired})
        self._stopped = stopped
        REAPER_STOPPED.set(stopped)
        return stopped

    def _reap(self, part: Part, freed: list[str]) -> None:
        reaped = reaper.reap(self._db, part, why=f"its lease ran out, held by {part.owner}.")
        if reaped.value:
            freed.append(part.id)
            self._sender.send(reaped.outbox)
            REAPED.labels(kind=part.kind).inc()
            _log.warning("part_reaped", extra={"job": part.job_id, "part": part.n, "owner": part.owner})
