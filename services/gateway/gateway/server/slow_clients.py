"""The gunicorn classes of the gateway: they end connections of clients that are too slow, and log as JSON."""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker
from ulid import ULID

from collect import settings
from collect.observability import logs
from gateway.server.lingering import Lingering
from gateway.settings import ServingSettings

SETTINGS = settings.read(ServingSettings, service="gateway")
"""The settings of the environment. A constant, since gunicorn itself makes instances of the classes below."""


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

UNSENT_BYTES = 64 * 1024
"""Most unsent bytes of an answer that the kernel holds for a client. It asks for more when half of it is sent."""


def give_up_silent_readers(sock: socket.socket) -> None:
    """Make a write to ``sock`` fail when the client takes no byte for ``silent_seconds``. A slow write may go on.

    Python's own timeout would limit the whole write, so the kernel's is used. ``UNSENT_BYTES`` limits the kernel's
    buffer: by default the kernel wakes a waiting writer only when a third of it is free, which may be megabytes.
    """
    seconds = SETTINGS.silent_seconds
    sock.settimeout(None)
    with suppress(OSError):  # a Unix socket does not have this option
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
    )


class PacedUnreader(SocketUnreader):  # type: ignore[misc]  # gunicorn has no types
    """A reader of a connection that ends it when the client is too slow.

    Only the time of waiting for the client counts, not the time in which the application works.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.head_begins()

    def head_begins(self) -> None:
        """Begin the head of a request: its first line and its headers."""
        self.awaits_continue = False
        """True while the client waits for ``100 Continue`` before it sends its body (``Expect: 100-continue``)."""
        self.deadline: float | None = None
        """Latest time to wait for bytes, by the monotonic clock."""
        self._in_body = False
        self._waited = 0.0
        self._came = 0

    def body_begins(self, *, awaits_continue: bool = False) -> None:
        """Begin the body of the request whose head has been read."""
        self.head_begins()
        self._in_body = True
        self.awaits_continue = awaits_continue

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next bytes of the client. Blocks until there are some, or none are left.

        Raises:
            TimeoutError: the body comes too slowly.
            errors.NoMoreData: the head comes too slowly; gunicorn then closes the connection without an answer.
        """
        if self.awaits_continue:  # sent only now: the client of a request that is refused before need not send its body
            self.awaits_continue = False
            self.sock.sendall(CONTINUE)
        began, given = time.monotonic(), self.sock.gettimeout()
        try:
            left = self._seconds() - self._waited
            if self.deadline is not None:
                left = min(left, self.deadline - began)
            if left <= 0:
                raise TimeoutError("the rest comes too slowly")
            self.sock.settimeout(min(left, SETTINGS.silent_seconds, left if given is None else given))
            data: bytes = super().chunk(size_hint)
        except TimeoutError as error:
            if self._in_body:
                raise
            raise errors.NoMoreData from error
        finally:
            self.sock.settimeout(given)
            self._waited += time.monotonic() - began
        self._came += len(data)
        return data

    def _seconds(self) -> float:
        """Return how many seconds of waiting are allowed for the bytes that have come."""
        return SETTINGS.silent_seconds + (self._came / SETTINGS.least_bytes_per_second if self._in_body else 0.0)


class PacedConnection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection whose requests are read with :class:`PacedUnreader`.

    ``linger`` closes it so that its last answer is not lost.
    """

    linger: Callable[[PacedConnection], None]

    def init(self) -> None:
        if not self.initialized:
            super().init()
            self.parser.unreader = PacedUnreader(self.sock)

    def close(self, graceful: bool = False) -> None:
        """Close the connection. ``graceful``: the client may still be sending and may not have read the answer yet."""
        if graceful:
            self.linger(self)
        else:
            super().close()


class PacedWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's threaded worker, which uses :class:`PacedConnection`."""

    def init_process(self) -> None:
        """Run the worker, and return when it ends (overrides gunicorn's method)."""
        self._lingering: Lingering | None = None
        super().init_process()

    def _linger(self, conn: PacedConnection) -> None:
        """Close a connection later. Runs in the poller's thread, which gunicorn's own method would block meanwhile."""
        if self._lingering is None:
            self._lingering = Lingering(self.poller)
        self.nr_conns += 1
        self._lingering.take(conn.sock, self._lingered)

    def _lingered(self) -> None:
        self.nr_conns -= 1

    def murder_pending(self) -> None:
        """Close connections that have waited too long. gunicorn calls it each second."""
        super().murder_pending()
        if self._lingering is not None:
            self._lingering.close_late()

    def enqueue_req(self, conn: TConn) -> None:
        """Queue a request (overrides gunicorn's method); a new connection becomes a :class:`PacedConnection` first."""
        if not isinstance(conn, PacedConnection):
            conn = PacedConnection(conn.cfg, conn.sock, conn.client, conn.server)
            conn.linger = self._linger
        super().enqueue_req(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that never reaches the application, in the application's own form.

        The request's bytes are not logged, since they may hold keys.
        """
        found = [(status, code) for kind, status, code in _REFUSED if isinstance(exc, kind)]
        status, code = found[0] if found else (500, "internal_error")
        self.log.log(logging.ERROR if status == 500 else logging.INFO, "request refused: %s", type(exc).__name__)
        with suppress(OSError):
            client.sendall(_problem(status, code))

    def handle(self, conn: TConn) -> Any:
        """Serve one request, on a thread of the worker."""
        if conn.initialized:
            conn.parser.unreader.head_begins()
        return super().handle(conn)


_REFUSED = (
    (errors.LimitRequestLine, 414, "uri_too_long"),
    (errors.LimitRequestHeaders, 431, "headers_too_large"),
    (errors.ExpectationFailed, 417, "expectation_failed"),
    (errors.UnsupportedTransferCoding, 501, "unsupported_transfer_coding"),
    (errors.ParseException, 400, "malformed_request"),
)
"""(exception of gunicorn, HTTP status, error code). The first class that fits counts."""


def _problem(status: int, code: str) -> bytes:
    title, request_id = HTTPStatus(status).phrase, str(ULID()).lower()
    detail = "This is not a request that can be read."
    body = {"type": f"urn:collect:problem:{code}", "title": title, "status": status, "code": code, "detail": detail}
    data = json.dumps({**body, "request_id": request_id, "errors": []}).encode()
    head = (
        f"HTTP/1.1 {status} {title}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(data)}",
        f"X-Request-Id: {request_id}",
    )
    return "\r\n".join((*head, "", "")).encode() + data


class JsonLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """A logger that writes gunicorn's own messages as JSON, like all other log lines."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logs.configure("gateway", os.environ.get("LOG_LEVEL", "INFO"))
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True
        logging.captureWarnings(True)
