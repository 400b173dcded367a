"""Doing something again and again, so that what fails one time is done the next, and nothing else waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from pymongo.errors import PyMongoError

from collect.errors import CollectError, Transient
from collect.storage.database import is_to_come, retryable

T = TypeVar("T")

MAX_FAILURES = 3
"""Transient failures among the items of one tick, after which the rest is left to the next."""

_log = logging.getLogger(__name__)


class Ticker:
    """A thread that acts at once and then at each interval, until it is stopped.

    An act that takes longer than ``hung_seconds`` hangs. A server that does not answer is waited for. Anything else is
    an error in the programme: it ends the thread, and by way of ``threading.excepthook`` the process, which its
    supervisor starts afresh.
    """

    def __init__(
        self,
        *,
        name: str,
        act: Callable[[], object],
        interval_seconds: float,
        stop: threading.Event,
        hung_seconds: float = 60.0,
    ) -> None:
        self.name = name
        self.hung_seconds = interval_seconds + hung_seconds
        self.ended_at = time.monotonic()
        self._act = act
        self._interval_seconds = interval_seconds
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin. Does not block."""
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end of the act that is under way, for that long."""
        self._thread.join(timeout_seconds)

    def silent_seconds(self) -> float:
        """How long ago the last act ended, well or not. It grows without bound when one hangs."""
        return time.monotonic() - self.ended_at

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._act()
            except Transient as error:
                _log.warning("act_postponed", extra={"act": self.name, "error": error.detail})
            except PyMongoError as error:
                if not retryable(error) and not is_to_come(error):
                    raise
                _log.warning("act_postponed", extra={"act": self.name, "error": type(error).__name__})
            self.ended_at = time.monotonic()
            self._stop.wait(self._interval_seconds)


def each(items: Iterable[T], act: Callable[[T], object], *, name: Callable[[T], str]) -> None:
    """``act`` on all, so that one which is in somebody's way, or not as it should be, does not hold up the others.

    Raises:
        Transient: the third time that one could not be done now.
    """
    failures = 0
    for item in items:
        try:
            act(item)
        except Transient as error:
            failures += 1
            _log.warning("item_postponed", extra={"item": name(item), "error": error.detail})
            if failures >= MAX_FAILURES:
                raise
        except CollectError as error:
            _log.warning("item_refused", extra={"item": name(item), "code": error.code, "error": error.detail})
