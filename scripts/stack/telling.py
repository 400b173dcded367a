"""What the scripts say while they work: one line a step, with the time it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class StackError(Exception):
    """Something the person at the keyboard can correct; the message says how."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def step(title: str) -> Iterator[list[str]]:
    """Tells `title` when the block has ended, with whatever the block appended as details and the seconds it took.

    On a terminal the title is there from the beginning, so that one sees what is being waited for.
    """
    details: list[str] = []
    if sys.stdout.isatty():
        sys.stdout.write(f"  … {title}\r")
        sys.stdout.flush()
    began = time.monotonic()
    try:
        yield details
    except BaseException:
        say(f"  ✗ {title}: failed after {time.monotonic() - began:.1f} s")
        raise
    say(f"  ✓ {': '.join([title, ', '.join(details)]) if details else title} ({time.monotonic() - began:.1f} s)")
