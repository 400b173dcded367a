"""The clock, which is passed to code that needs the time, so that tests can set it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A wall clock and a stopwatch."""

    def now(self) -> datetime:
        """Return the time in UTC, with its time zone. It is cut to milliseconds, as MongoDB stores it."""

    def monotonic(self) -> float:
        """Return the seconds since a fixed but unknown point. The value never goes back."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return time.monotonic()
