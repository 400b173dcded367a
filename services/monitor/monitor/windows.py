"""The windows of jobs: the slots of all workers are divided among the jobs that need them."""

from __future__ import annotations

from collect.protocol import maintenance
from collect.storage import workers
from collect.storage.database import Database

FORGET_SECONDS = 3600.0


class Windows:
    """Sets how many parts of a job may be out, from the slots of the workers that sent a heartbeat lately.

    While no worker of a kind has sent one, the windows of its jobs stay unchanged: perhaps only the heartbeats are
    lost, and the workers run.
    """

    def __init__(self, *, db: Database, seen_seconds: float) -> None:
        self._db = db
        self._seen_seconds = seen_seconds

    def tick(self) -> int:
        """Set the windows. Return how many jobs got another window. Workers silent for an hour are deleted."""
        workers.forget(self._db, silent_seconds=FORGET_SECONDS)
        slots = workers.slots(self._db, within_seconds=self._seen_seconds)
        return sum(maintenance.set_windows(self._db, kind=kind, slots=found) for kind, found in slots.items() if found)
