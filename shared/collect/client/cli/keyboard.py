"""Reads single keys from a terminal."""

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
    """A reader of single keys in a ``with`` block. :meth:`cooked` restores the terminal's usual mode for a question."""

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
        """Restore the terminal's usual mode within the block, so that the user can type a line."""
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
        try:
            yield
        finally:
            tty.setcbreak(self._fd, termios.TCSADRAIN)

    def key(self, seconds: float) -> str | None:
        """Return the next key, or ``None`` if none comes within ``seconds`` or the terminal is gone (it blocks too)."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return None
        pressed = os.read(self._fd, 1).decode(errors="ignore").lower()
        if not pressed:
            time.sleep(seconds)  # at end of file select returns at once, and the caller would spin
        return pressed or None
