"""Health, readiness and metrics of a process over HTTP."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_log = logging.getLogger(__name__)

Probe = Callable[[], str | None]
"""A function that returns what is wrong, or ``None``. It blocks for a few seconds at most."""


class Endpoint:
    """Serves ``/healthz`` (the process works), ``/readyz`` (it reaches its servers) and ``/metrics``, in threads."""

    def __init__(self, *, host: str, port: int, health: Mapping[str, Probe], readiness: Mapping[str, Probe]) -> None:
        pages: dict[str, Callable[[], _Answer]] = {
            "/healthz": lambda: _probed(health),
            "/readyz": lambda: _told(_probed({**health, **readiness})),
            "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest()),
        }
        self._server = _Server((host, port), pages)
        self._thread = threading.Thread(target=self._server.serve_forever, name="endpoint", daemon=True)

    @property
    def port(self) -> int:
        """The port on which it listens. The kernel chooses one if ``port`` was 0."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to serve. Does not block."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


_Answer = tuple[HTTPStatus, str, bytes]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], pages: Mapping[str, Callable[[], _Answer]]) -> None:
        super().__init__(address, _Handler)
        self.pages = pages

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error in an answer, unless the client has closed the connection: a probe does that at its timeout."""
        if not isinstance(sys.exception(), ConnectionError):
            _log.error("probe_failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10
    server_version = "collect"
    sys_version = ""

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.split("?", 1)[0])
        if page is None:
            self._answer(HTTPStatus.NOT_FOUND, "application/json", b'{"status": "not_found"}')
        else:
            self._answer(*page())

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing for a request: probes come every few seconds."""

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _told(answer: _Answer) -> _Answer:
    """Return ``answer``, and log it if it is not ok, so that the log names what the process waits for."""
    status, _, body = answer
    if status is not HTTPStatus.OK:
        _log.warning("not_ready", extra={"waits_for": json.loads(body)})
    return answer


def _probed(probes: Mapping[str, Probe]) -> _Answer:
    wrong = {name: said for name, probe in probes.items() if (said := probe()) is not None}
    status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
    body = json.dumps({"status": "unavailable" if wrong else "ok", **wrong}).encode()
    return status, "application/json", body
