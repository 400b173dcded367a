"""How gunicorn runs the gateway. Threads, since requests wait for stores, and long polls for jobs.

The application is loaded in each worker after the fork (no preload), so that nothing connected is shared.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

from collect.observability import traces

SILENT_SECONDS = float(os.environ.get("COLLECT_SILENT_SECONDS", "30"))
"""A client that neither sends nor takes a byte for so long holds a thread no longer."""

bind = os.environ.get("COLLECT_BIND", "127.0.0.1:8080")
worker_class = "gthread"
workers = int(os.environ.get("COLLECT_GATEWAY_WORKERS", "2"))
threads = int(os.environ.get("COLLECT_GATEWAY_THREADS", "32"))
preload_app = False
timeout = 60
graceful_timeout = 10
keepalive = 15
limit_request_line = 8190
limit_request_fields = 100
accesslog = None
errorlog = "-"
loglevel = "warning"


def post_worker_init(worker: Any) -> None:
    """Let long polls answer when the worker is asked to end; else they would be cut off after the grace."""
    made = _services(worker)
    stop = worker.handle_exit

    def ends(number: int, frame: FrameType | None) -> None:
        if made is not None:
            made.closing.set()
        stop(number, frame)

    signal.signal(signal.SIGTERM, ends)


def pre_request(_worker: Any, request: Any) -> None:
    """From here on a read or a write on the connection that takes too long fails."""
    request.unreader.sock.settimeout(SILENT_SECONDS)


def worker_exit(_server: Any, worker: Any) -> None:
    """Send what waits before the process ends."""
    made = _services(worker)
    if made is not None:
        made.sender.close(timeout_seconds=2.0)
    traces.shutdown()


def _services(worker: Any) -> Any:
    application = getattr(worker, "wsgi", None)
    return getattr(application, "extensions", {}).get("collect")
