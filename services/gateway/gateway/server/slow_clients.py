"""How connections are served below the application: nobody holds a thread in silence. And how gunicorn logs."""

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
"""gunicorn makes the classes below itself, so they find here what the environment says."""


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

UNSENT_BYTES = 64 * 1024
"""So much of an answer the system holds for a client before it is on its way, and asks for more at half of it."""


def give_up_silent_readers(sock: socket.socket) -> None:
    """A write fails when for ``silent_seconds`` nothing of it is taken; one that is taken slowly may last.

    A timeout of Python's would be one for all of it. And the system wakes who waits for room only when a third of what
    it holds is gone, which may be megabytes.
    """
    seconds = SETTINGS.silent_seconds
    sock.settimeout(None)
    with suppress(OSError):  # a Unix socket has no such thing
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
    )


class PacedUnreader(SocketUnreader):  # type: ignore[misc]  # gunicorn has no types
    """Reads from a client that keeps up a pace. Only waiting for the client counts, not what is done in between."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.head_begins()

    def head_begins(self) -> None:
        """The next bytes are a request's line and headers."""
        self.awaits_continue = False
        """The client sends its body only once it has been told to go on (``Expect: 100-continue``)."""
        self.deadline: float | None = None
        """Until when bytes are waited for at most, by the monotonic clock."""
        self._in_body = False
        self._waited = 0.0
        self._came = 0

    def body_begins(self, *, awaits_continue: bool = False) -> None:
        """The head has come, and what follows is its body."""
        self.head_begins()
        self._in_body = True
        self.awaits_continue = awaits_continue

    def chunk(self, size_hint: int | None = None) -> bytes:
        """What has come, as soon as there is something.

        Raises:
            TimeoutError: a body comes too slowly.
            errors.NoMoreData: a head does, and nobody is there yet to answer.
        """
        if self.awaits_continue:  # only now: a request that is refused before this is spared its body
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
        """How long may have been waited by now."""
        return SETTINGS.silent_seconds + (self._came / SETTINGS.least_bytes_per_second if self._in_body else 0.0)


class PacedConnection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection whose requests are read at their sender's pace, if it is one.

    ``linger`` closes it without losing the answer.
    """

    linger: Callable[[PacedConnection], None]

    def init(self) -> None:
        if not self.initialized:
            super().init()
            self.parser.unreader = PacedUnreader(self.sock)

    def close(self, graceful: bool = False) -> None:
        """Close it; ``graceful``: its client may still be sending, and has not read the answer."""
        if graceful:
            self.linger(self)
        else:
            super().close()


class PacedWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's worker of threads, with connections of ours."""

    def init_process(self) -> None:
        """As gunicorn does it: runs the worker, and returns when it ends."""
        self._lingering: Lingering | None = None
        super().init_process()

    def _linger(self, conn: PacedConnection) -> None:
        """Runs in the thread of the poller, as all that closes connections does; gunicorn would block it meanwhile."""
        if self._lingering is None:
            self._lingering = Lingering(self.poller)
        self.nr_conns += 1
        self._lingering.take(conn.sock, self._lingered)

    def _lingered(self) -> None:
        self.nr_conns -= 1

    def murder_pending(self) -> None:
        """Each second: close what has waited for too long, as gunicorn calls it."""
        super().murder_pending()
        if self._lingering is not None:
            self._lingering.close_late()

    def enqueue_req(self, conn: TConn) -> None:
        """As gunicorn does it; a connection that is new becomes one of ours."""
        if not isinstance(conn, PacedConnection):
            conn = PacedConnection(conn.cfg, conn.sock, conn.client, conn.server)
            conn.linger = self._linger
        super().enqueue_req(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer what never reaches the application as it would itself. No log has what was sent: it holds keys."""
        found = [(status, code) for kind, status, code in _REFUSED if isinstance(exc, kind)]
        status, code = found[0] if found else (500, "internal_error")
        self.log.log(logging.ERROR if status == 500 else logging.INFO, "request refused: %s", type(exc).__name__)
        with suppress(OSError):
            client.sendall(_problem(status, code))

    def handle(self, conn: TConn) -> Any:
        """Serve one request, on a thread."""
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
"""The first class that fits."""


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
    """What gunicorn itself has to say, in the form of every other line."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logs.configure("gateway", os.environ.get("LOG_LEVEL", "INFO"))
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True
        logging.captureWarnings(True)
