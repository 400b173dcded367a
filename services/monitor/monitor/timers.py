"""What happens by the clock: a pause that is over, a start, a confirmation that never came, a time limit."""

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
    """Asks the clock and does what is due. Each is valid only for the job as it was found."""

    def __init__(self, *, db: Database, sender: OutboxSender, clock: Clock) -> None:
        self._db = db
        self._sender = sender
        self._clock = clock

    def tick(self) -> int:
        """Do all that is due; returns for how many jobs something was."""
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
