"""The timers of jobs: the end of a pause, a start time, a confirmation that did not come in time, a time limit."""

from __future__ import annotations

import logging
from collections.abc import Callable

from collect.clock import Clock
from collect.jobs.model import Job
from collect.messaging.outbox import OutboxSender
from collect.protocol import maintenance
from collect.storage.database import Database
from collect.storage.outbox import OutboxEntry
from monitor.ticking import each

_log = logging.getLogger(__name__)


class Timers:
    """Runs the timers that are due. A timer acts only if its job has not changed since it was read."""

    def __init__(self, *, db: Database, sender: OutboxSender, clock: Clock) -> None:
        self._db = db
        self._sender = sender
        self._clock = clock

    def tick(self) -> int:
        """Run all timers that are due. Return the number of jobs that a timer changed."""
        done: list[str] = []
        due = maintenance.due(self._db, self._clock.now())
        each(due, lambda found: self._act(*found, done), name=lambda found: found[0].id)
        return len(done)

    def _act(self, job: Job, act: Callable[[], list[OutboxEntry]], done: list[str]) -> None:
        entries = act()
        if not entries:
            return
        done.append(job.id)
        self._sender.send(entries)
        self._sender.poke(job.kind, job.id)
        _log.info("timer_went_off", extra={"job": job.id, "state": job.state.value})
