"""Single keys from a terminal."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager


class Keyboard:
    """Keys as they are pressed, within ``with``; :meth:`cooked` gives the terminal back for a question."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._fd)

    def __enter__(self) -> Keyboard:
        tty.setcbreak(self._fd, termios.TCSADRAIN)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    @contextmanager
    def cooked(self) -> Iterator[None]:
        """The terminal as it was, for as long as somebody types a line."""
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
        try:
            yield
        finally:
            tty.setcbreak(self._fd, termios.TCSADRAIN)

    def key(self, seconds: float) -> str | None:
        """The next key, or ``None`` when none comes in time; a terminal that is gone gives none, and takes as long."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return None
        pressed = os.read(self._fd, 1).decode(errors="ignore").lower()
        if not pressed:
            time.sleep(seconds)  # at end of file select returns at once, and the caller would spin
        return pressed or None
