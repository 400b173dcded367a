"""The heartbeats of the workers: received from the broker, stored in the database."""

from __future__ import annotations

from collections import deque

from collect.clock import Clock
from collect.messaging.messages import Heartbeat
from collect.storage import workers
from collect.storage.database import Database

MOST_KEPT = 10_000


class Heartbeats:
    """Collects heartbeats on the consumer's thread and stores them on another thread.

    When more than :data:`MOST_KEPT` wait, the oldest are lost, and so are those that wait when the process ends. That
    does no harm: the next heartbeat comes a second later.
    """

    def __init__(self, *, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._heard: deque[Heartbeat] = deque(maxlen=MOST_KEPT)

    def on_message(self, message: object) -> None:
        """Keep a heartbeat that has come. Does not block; any thread."""
        if isinstance(message, Heartbeat):
            self._heard.append(message)

    def tick(self) -> int:
        """Store the heartbeats that have come. Return their number."""
        heard = [self._heard.popleft() for _ in range(len(self._heard))]
        workers.store(self._db, heard, received_at=self._clock.now())
        return len(heard)
