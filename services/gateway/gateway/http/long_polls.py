"""Requests that wait for a job hold a thread each: so only some may, and the others are answered at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Polls:
    """Counts who waits. Safe for several threads."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """Within it, whether there was room to wait. Does not block."""
        room = self._free.acquire(blocking=False)
        try:
            yield room
        finally:
            if room:
                self._free.release()
