"""Feeding jobs that could run and have fewer parts out than they may."""

from __future__ import annotations

import logging

from collect.jobs.model import Job
from collect.messaging.outbox import OutboxSender
from collect.observability.metrics import FED
from collect.protocol import maintenance
from collect.storage.database import Database
from monitor.ticking import each

_log = logging.getLogger(__name__)


class Feeder:
    """Needed where nothing of the job itself gives the occasion: a cap that has room again, a window that has grown."""

    def __init__(self, *, db: Database, sender: OutboxSender) -> None:
        self._db = db
        self._sender = sender

    def tick(self) -> int:
        """Feed all that are hungry, by priority, then age; returns how many parts were published."""
        published: list[int] = []
        each(maintenance.hungry(self._db), lambda job: self._feed(job, published), name=lambda job: job.id)
        return sum(published)

    def _feed(self, job: Job, published: list[int]) -> None:
        fed = maintenance.feed_again(self._db, job.id)
        self._sender.send(fed.outbox)
        published.append(fed.value)
        if fed.value:
            FED.labels(kind=job.kind).inc(fed.value)
            _log.info("job_fed", extra={"job": job.id, "parts": fed.value})
