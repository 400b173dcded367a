"""Threads that each repeat one act. An act that fails is tried again at the next interval, and holds up no other."""

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
"""Most transient failures in one tick. After the last of them, the items that are left wait for the next tick."""

_log = logging.getLogger(__name__)


class Ticker:
    """A thread that acts at once and then again after each interval, until it is stopped.

    An act that takes longer than ``hung_seconds`` counts as hanging. If a server does not answer, the act is tried
    again at the next interval. Any other error is a defect: it ends the thread and, through ``threading.excepthook``,
    the process, which its supervisor then restarts.
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
        """Start the thread. Does not block."""
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait until the thread has ended, for ``timeout_seconds`` at most. Once stopped, it ends after its act."""
        self._thread.join(timeout_seconds)

    def silent_seconds(self) -> float:
        """Return the seconds since the last act ended, with or without an error. It keeps growing if an act hangs."""
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
    """Call ``act`` for each item. An item that fails is logged and does not hold up the others.

    Raises:
        Transient: :data:`MAX_FAILURES` items have failed with a transient error.
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
