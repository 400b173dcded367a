"""The gunicorn configuration of the gateway. It uses threads, since requests wait for stores and long polls for jobs.

The application is loaded in each worker after the fork (no preload), so that nothing connected is shared.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from types import FrameType
from typing import Any

# prometheus_client reads this variable at its first import. The metrics are then files, so any worker can report all.
_METRICS = tempfile.mkdtemp(prefix="collect-gateway-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _METRICS

from prometheus_client import multiprocess  # noqa: E402

from collect.observability import traces  # noqa: E402
from collect.runtime.processes import die_with, share_freed_memory  # noqa: E402
from gateway.http.request_bodies import RequestBody  # noqa: E402
from gateway.server.slow_clients import SETTINGS, JsonLogger, give_up_silent_readers  # noqa: E402

wsgi_app = "gateway.server.wsgi:application"
bind = SETTINGS.bind
worker_class = "gateway.server.slow_clients.PacedWorker"
workers = SETTINGS.workers
threads = SETTINGS.threads
preload_app = False
control_socket_disable = True
timeout = 60
graceful_timeout = 10
keepalive = 15
limit_request_line = 8190
limit_request_fields = 100
accesslog = None
errorlog = "-"
loglevel = "warning"
logger_class = JsonLogger


def post_fork(_server: Any, worker: Any) -> None:
    """Make the worker end with its master: else it would keep the port, and the next master could not start."""
    die_with(worker.ppid)
    share_freed_memory()


def post_worker_init(worker: Any) -> None:
    """Set ``closing`` at SIGTERM, so that long polls answer at once; else they are cut off at ``graceful_timeout``."""
    made = _services(worker)
    stop = worker.handle_exit

    def ends(number: int, frame: FrameType | None) -> None:
        if made is not None:
            made.closing.set()
        stop(number, frame)

    signal.signal(signal.SIGTERM, ends)


def pre_request(_worker: Any, request: Any) -> None:
    """Begin to limit how long the client may be silent, and replace the body by one that knows whether it was read."""
    give_up_silent_readers(request.unreader.sock)
    request.unreader.body_begins(awaits_continue=request._expected_100_continue)
    request._expected_100_continue = False  # gunicorn would send it at once
    request.body = RequestBody(request)


def worker_exit(_server: Any, worker: Any) -> None:
    """Send the waiting outbox messages and traces before the process ends."""
    made = _services(worker)
    if made is not None:
        made.sender.close(timeout_seconds=2.0)
    traces.shutdown()


def child_exit(_server: Any, worker: Any) -> None:
    """Keep the counters of a worker that has ended, and remove its gauges."""
    multiprocess.mark_process_dead(worker.pid)


def on_exit(_server: Any) -> None:
    """Delete the metrics' files when the master ends."""
    shutil.rmtree(_METRICS, ignore_errors=True)


def _services(worker: Any) -> Any:
    application = getattr(worker, "wsgi", None)
    return getattr(application, "extensions", {}).get("collect")
