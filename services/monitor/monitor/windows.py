"""Dividing the slots that there are among the jobs that want them."""

from __future__ import annotations

from collect.protocol import maintenance
from collect.storage import workers
from collect.storage.database import Database

FORGET_SECONDS = 3600.0


class Windows:
    """Sets how many parts of a job may be out, by the slots of the workers that have been heard of lately.

    While none has been, windows stay as they are: heartbeats may be what is missing, not workers.
    """

    def __init__(self, *, db: Database, seen_seconds: float) -> None:
        self._db = db
        self._seen_seconds = seen_seconds

    def tick(self) -> int:
        """Set the windows; returns how many jobs got another one. Workers that are long gone are forgotten."""
        workers.forget(self._db, silent_seconds=FORGET_SECONDS)
        slots = workers.slots(self._db, within_seconds=self._seen_seconds)
        return sum(maintenance.set_windows(self._db, kind=kind, slots=found) for kind, found in slots.items() if found)
