"""Waiting for a condition. The only place in the tests that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, seconds: float = 10, what: str) -> T:
    """Returns the first true value of `condition`, asked every 20 ms; fails with `what` and the last value if none
    comes within `seconds`. What the condition raises is passed on at once."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds:g} s: {what} (last seen: {value!r})")
        time.sleep(0.02)
