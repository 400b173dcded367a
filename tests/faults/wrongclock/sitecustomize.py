"""A Python whose clock is wrong by ``WRONG_CLOCK_SECONDS``: found first on its path, this runs before all else.

Preloading libfaketime will not do: it breaks `clock_nanosleep`, with which Python sleeps.
"""

import copyreg
import datetime
import os
import time
from typing import Any

_OFF_SECONDS = float(os.environ["WRONG_CLOCK_SECONDS"])
_RIGHT = datetime.datetime
_right_time = time.time


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _RIGHT)


class _Wrong(_RIGHT, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _RIGHT.now(tz) + datetime.timedelta(seconds=_OFF_SECONDS)


def _from_text(text: str) -> datetime.datetime:
    return _RIGHT.fromisoformat(text)


def _as_text(at: datetime.datetime) -> tuple[Any, tuple[str]]:
    """Pickling by name would find the other class."""
    return _from_text, (at.isoformat(),)


copyreg.pickle(_RIGHT, _as_text)
time.time = lambda: _right_time() + _OFF_SECONDS
datetime.datetime = _Wrong  # type: ignore[misc]
