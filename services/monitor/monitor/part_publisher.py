"""Publish the parts of jobs that could run and have fewer parts out than they may."""

from __future__ import annotations

import logging

from collect.jobs.model import Job
from collect.messaging.outbox import OutboxSender
from collect.observability.metrics import FED
from collect.protocol import maintenance
from collect.storage.database import Database
from monitor.ticking import each

_log = logging.getLogger(__name__)


class PartPublisher:
    """Publishes parts that no event of their own job publishes.

    Examples: an organisation's cap has room again, or the job's window has grown.
    """

    def __init__(self, *, db: Database, sender: OutboxSender) -> None:
        self._db = db
        self._sender = sender

    def tick(self) -> int:
        """Publish the parts of all runnable jobs, by priority, then age. Return how many parts were published."""
        published: list[int] = []
        each(maintenance.runnable_jobs(self._db), lambda job: self._publish(job, published), name=lambda job: job.id)
        return sum(published)

    def _publish(self, job: Job, published: list[int]) -> None:
        again = maintenance.publish_runnable(self._db, job.id)
        self._sender.send(again.outbox)
        published.append(again.value)
        if again.value:
            FED.labels(kind=job.kind).inc(again.value)
            _log.info("job_fed", extra={"job": job.id, "parts": again.value})
