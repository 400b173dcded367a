"""What a storm has found to be wrong."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from storm.log import Log


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that does not hold."""

    code: str
    message: str


class Findings:
    """Collected from all threads; each is in the log at once."""

    def __init__(self, log: Log) -> None:
        self.all: list[Found] = []
        self._log = log
        self._lock = threading.Lock()

    def add(self, code: str, message: str) -> None:
        """Write down that something does not hold."""
        with self._lock:
            self.all.append(Found(code, message))
        self._log.write("finding", code=code, message=message)
