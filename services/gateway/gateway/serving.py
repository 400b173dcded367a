"""How connections are served below the application: nobody holds a thread by sending slowly. And how gunicorn logs."""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http.errors import NoMoreData
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from collect.observability import logs

SILENT_SECONDS = float(os.environ.get("COLLECT_SILENT_SECONDS", "30"))
"""A client that neither sends nor takes a byte for so long holds a thread no longer; a request's head has as long."""

LEAST_BYTES_PER_SECOND = float(os.environ.get("COLLECT_LEAST_BYTES_PER_SECOND", "1000"))
"""A body may be waited for :data:`SILENT_SECONDS`, and for as long again as what has come takes at this rate."""


class PacedUnreader(SocketUnreader):  # type: ignore[misc]  # gunicorn has no types
    """Reads from a client that keeps up a pace. Only waiting for the client counts, not what is done in between."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.head_begins()

    def head_begins(self) -> None:
        """The next bytes are a request's line and headers."""
        self._in_body = False
        self._waited = 0.0
        self._came = 0

    def body_begins(self) -> None:
        """The head has come, and what follows is its body."""
        self.head_begins()
        self._in_body = True

    def chunk(self, size_hint: int | None = None) -> bytes:
        """What has come, as soon as there is something.

        Raises:
            TimeoutError: a body comes too slowly.
            NoMoreData: a head does, and nobody is there yet to answer.
        """
        began, given = time.monotonic(), self.sock.gettimeout()
        try:
            left = self._seconds() - self._waited
            if left <= 0:
                raise TimeoutError("the rest comes too slowly")
            self.sock.settimeout(min(left, SILENT_SECONDS, left if given is None else given))
            data: bytes = super().chunk(size_hint)
        except TimeoutError as error:
            if self._in_body:
                raise
            raise NoMoreData from error
        finally:
            self.sock.settimeout(given)
            self._waited += time.monotonic() - began
        self._came += len(data)
        return data

    def _seconds(self) -> float:
        """How long may have been waited by now."""
        return SILENT_SECONDS + (self._came / LEAST_BYTES_PER_SECOND if self._in_body else 0.0)


class PacedConnection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection whose requests are read at their sender's pace, if it is one."""

    def init(self) -> None:
        if not self.initialized:
            super().init()
            self.parser.unreader = PacedUnreader(self.sock)


class PacedWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's worker of threads, with connections of ours."""

    def enqueue_req(self, conn: TConn) -> None:
        """As gunicorn does it; a connection that is new becomes one of ours."""
        if not isinstance(conn, PacedConnection):
            conn = PacedConnection(conn.cfg, conn.sock, conn.client, conn.server)
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """Serve one request, on a thread."""
        if conn.initialized:
            conn.parser.unreader.head_begins()
        return super().handle(conn)


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn itself has to say, in the form of every other line."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logs.configure("gateway", os.environ.get("LOG_LEVEL", "INFO"))
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True
        logging.captureWarnings(True)
