"""Limits how many requests may wait for a job. Each holds a thread, so the others are answered at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Polls:
    """The number of requests that wait for a job. Safe for several threads."""

    def __init__(self, most: int) -> None:
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """Yield whether the request may wait; count it as waiting until the block ends. Does not block."""
        room = self._free.acquire(blocking=False)
        try:
            yield room
        finally:
            if room:
                self._free.release()
