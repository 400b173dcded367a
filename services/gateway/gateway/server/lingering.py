"""Closes a connection whose client may still be sending, so that the answer reaches the client first.

Closing a socket with unread bytes resets the connection, and a reset may overtake the answer. So the server ends only
its own direction, then reads and drops bytes until the client closes too, for a bounded time.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

LINGER_SECONDS = 30.0
"""Longest time for which a client may go on sending after its answer."""
SILENT_SECONDS = 5.0
"""Longest silence of a client before its connection is closed."""
MOST_BYTES = 1024**3
"""Most bytes that are dropped of one connection before it is closed."""
AT_ONCE_BYTES = 1024**2
"""Most bytes that are dropped of one connection before the next connection is served."""


@dataclass(kw_only=True)
class _Ending:
    """A connection whose answer has been sent. ``close_at`` and ``silent_at`` are times of the monotonic clock."""

    socket: socket.socket
    closed: Callable[[], None]
    close_at: float
    silent_at: float
    bytes: int = 0


class Lingering:
    """The connections of a worker that are about to be closed. Used only by the thread of ``poller``; never blocks."""

    def __init__(self, poller: selectors.BaseSelector) -> None:
        self._poller = poller
        self._endings: dict[int, _Ending] = {}
        self._room = bytearray(64 * 1024)

    def take(self, sock: socket.socket, closed: Callable[[], None]) -> None:
        """End the server's direction of ``sock``; close it when the client does, or when the client's time is over.

        Calls ``closed`` after it has closed the socket.
        """
        now = time.monotonic()
        ending = _Ending(socket=sock, closed=closed, close_at=now + LINGER_SECONDS, silent_at=now + SILENT_SECONDS)
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
            self._poller.register(sock, selectors.EVENT_READ, lambda _sock: self._drop(ending))
        except (OSError, ValueError, KeyError):  # the client is gone
            with suppress(OSError):
                sock.close()
            closed()
            return
        self._endings[id(ending)] = ending

    def close_late(self) -> None:
        """Close the connections whose time is over."""
        now = time.monotonic()
        for ending in [one for one in self._endings.values() if now >= min(one.close_at, one.silent_at)]:
            self._close(ending)

    def _drop(self, ending: _Ending) -> None:
        dropped = 0
        try:
            while dropped < AT_ONCE_BYTES:
                read = ending.socket.recv_into(self._room)
                if not read:
                    return self._close(ending)
                dropped += read
        except BlockingIOError:
            pass
        except OSError:
            return self._close(ending)
        ending.bytes += dropped
        ending.silent_at = time.monotonic() + SILENT_SECONDS
        if ending.bytes >= MOST_BYTES:
            self._close(ending)
        return None

    def _close(self, ending: _Ending) -> None:
        del self._endings[id(ending)]
        with suppress(OSError, ValueError, KeyError):
            self._poller.unregister(ending.socket)
        with suppress(OSError):
            ending.socket.close()
        ending.closed()
