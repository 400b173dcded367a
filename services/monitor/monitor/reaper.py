"""The reaper: it frees the parts of owners that show no life any more."""

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
    """Takes parts whose lease has run out from their owners, and publishes them again.

    When it starts, and after each outage of its own, it only watches for the length of a lease before it frees
    anything. The cause of its outage (a stalled machine, a database that was away) may have kept the owners from
    renewing their leases, too, and this gives them the time to renew.

    It stops when more than ``max_expired`` leases have expired at once. So many owners do not die together, so the
    cause is another one, and all of them would lose their work.
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
        """Free the parts that may be freed. Return their number."""
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
