"""How gunicorn runs the gateway. Threads, since requests wait for stores, and long polls for jobs.

The application is loaded in each worker after the fork (no preload), so that nothing connected is shared.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from types import FrameType
from typing import Any

# The library looks at it when it is first imported: the workers' metrics are then files, and any of them can tell all.
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
    """A worker whose master was killed would keep the port, and with it the master that comes after."""
    die_with(worker.ppid)
    share_freed_memory()


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
    """From here on a client that sends or takes nothing for too long is let go."""
    give_up_silent_readers(request.unreader.sock)
    request.unreader.body_begins(awaits_continue=request._expected_100_continue)
    request._expected_100_continue = False  # gunicorn would send it at once
    request.body = RequestBody(request)


def worker_exit(_server: Any, worker: Any) -> None:
    """Send what waits before the process ends."""
    made = _services(worker)
    if made is not None:
        made.sender.close(timeout_seconds=2.0)
    traces.shutdown()


def child_exit(_server: Any, worker: Any) -> None:
    """What a worker that is gone has counted stays; what it showed of the moment goes."""
    multiprocess.mark_process_dead(worker.pid)


def on_exit(_server: Any) -> None:
    """The counts end with the processes that made them."""
    shutil.rmtree(_METRICS, ignore_errors=True)


def _services(worker: Any) -> Any:
    application = getattr(worker, "wsgi", None)
    return getattr(application, "extensions", {}).get("collect")
