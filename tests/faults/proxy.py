"""A TCP proxy in front of one server, to make its network slow, dead or broken while processes use it.

It runs on a thread of its own; its methods may be called from any thread and have taken effect when they return.
What it keeps is bounded: connections, and the bytes that wait in each.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

HOST = "127.0.0.1"
MAX_CONNECTIONS = 500
READ_BYTES = 65536
MAX_PIECES = 32
"""Pieces of a direction that wait, of `READ_BYTES` at most; after that its sender feels the pressure."""
CALL_SECONDS = 30.0

Queue = asyncio.Queue[tuple[float, bytes]]


class Way(enum.Enum):
    """Whose bytes."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


BOTH = frozenset(Way)


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Proxy:
    """A proxy that passes everything on until it is told otherwise.

    ``url`` is the server's with the proxy's address in it, for any scheme that has host and port (a MongoDB URL needs
    ``directConnection=true``, or the driver goes round the proxy).
    """

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        if target.hostname is None or target.port is None:
            raise ValueError("the server's URL needs host and port")
        self._target = (target.hostname, target.port)
        self._delay_seconds = 0.0
        self._refusing = False
        self._held: frozenset[Way] = frozenset()
        self._left: dict[Way, int] = {}
        self._open: set[_Connection] = set()
        self.made = 0
        """Connections that were accepted so far."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._changed, self._listening = self._call(self._start())
        self.port: int = self._listening.sockets[0].getsockname()[1]
        credentials, at, _ = target.netloc.rpartition("@")
        self.url = urlunsplit(target._replace(netloc=f"{credentials}{at}{HOST}:{self.port}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    @property
    def open(self) -> int:
        """Connections at the moment."""
        return len(self._open)

    def flow(self, *, delay_seconds: float = 0.0) -> None:
        """Pass everything on, each byte that long after it came; what was held goes first."""
        self._set(held=frozenset(), delay_seconds=delay_seconds)

    def hold(self, ways: frozenset[Way] = BOTH) -> None:
        """A black hole: nothing arrives and nothing fails, ends of connections included. `flow` delivers it late, as
        TCP would. One way alone: the server does what it is asked and its answer never comes, or the other way round.
        """
        self._set(held=ways, delay_seconds=self._delay_seconds)

    def reset(self) -> None:
        """Reset both ends of all that is connected, once. Connecting again is possible."""
        self._do(self._reset_all)

    def refuse(self) -> None:
        """Reset all that is connected, and every new connection at once, until `flow`."""
        self._set(held=frozenset(), delay_seconds=0.0, refusing=True)
        self.reset()

    def reset_after(self, n_bytes: int, way: Way) -> None:
        """Pass on so many bytes more at most, counted over all connections, and then reset them all, once."""

        def do() -> None:
            self._left[way] = n_bytes

        self._do(do)

    def close(self) -> None:
        """End everything. Idempotent."""
        if self._loop.is_closed():
            return
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    # From here on everything runs on the proxy's own thread.

    def _set(self, *, held: frozenset[Way], delay_seconds: float, refusing: bool = False) -> None:
        def do() -> None:
            self._held, self._delay_seconds, self._refusing = held, delay_seconds, refusing
            self._left.clear()
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

        self._do(do)

    def _do(self, act: Callable[[], None]) -> None:
        async def do() -> None:
            act()

        self._call(do())

    def _call(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(CALL_SECONDS)

    async def _start(self) -> tuple[asyncio.Event, asyncio.Server]:
        return asyncio.Event(), await asyncio.start_server(self._accepted, HOST, 0)

    async def _end(self) -> None:
        self._listening.close()
        tasks = [task for connection in self._open for task in connection.tasks]
        self._reset_all()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reset_all(self) -> None:
        for connection in list(self._open):
            self._reset(connection)

    def _reset(self, connection: _Connection) -> None:
        self._open.discard(connection)
        for end in (connection.client, connection.server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                end.transport.abort()
        for task in connection.tasks:
            task.cancel()

    async def _accepted(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        connection = _Connection(client)
        self.made += 1
        self._open.add(connection)
        if self._refusing or len(self._open) > MAX_CONNECTIONS:
            self._reset(connection)
            return
        try:
            answers, server = await asyncio.open_connection(*self._target)
        except OSError:
            self._reset(connection)
            return
        connection.server = server
        if connection not in self._open:  # it was reset meanwhile
            self._reset(connection)
            return
        for way, source, sink in ((Way.TO_SERVER, reader, server), (Way.TO_CLIENT, answers, client)):
            pieces: Queue = asyncio.Queue(MAX_PIECES)
            for work in (partial(self._take, source, pieces), partial(self._give, way, pieces, sink)):
                connection.tasks.append(asyncio.create_task(self._watched(connection, work)))

    async def _watched(self, connection: _Connection, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
            if not any(task for task in connection.tasks if task is not asyncio.current_task() and not task.done()):
                self._open.discard(connection)
        except OSError:
            while self._held:  # a reset does not get through a black hole either
                await self._changed.wait()
            self._reset(connection)

    async def _take(self, source: asyncio.StreamReader, pieces: Queue) -> None:
        """An empty piece is the end of what is sent."""
        while True:
            data = await source.read(READ_BYTES)
            await pieces.put((self._loop.time() + self._delay_seconds, data))
            if not data:
                return

    async def _give(self, way: Way, pieces: Queue, sink: asyncio.StreamWriter) -> None:
        while True:
            due, data = await pieces.get()
            if (left := due - self._loop.time()) > 0:
                await asyncio.sleep(left)
            while way in self._held:
                await self._changed.wait()
            if way in self._left and self._left[way] < len(data):
                sink.write(data[: self._left.pop(way)])
                await sink.drain()
                self._reset_all()
                return
            if way in self._left:
                self._left[way] -= len(data)
            if not data:
                sink.close()
                return
            sink.write(data)
            await sink.drain()
