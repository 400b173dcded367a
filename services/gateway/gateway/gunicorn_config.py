"""How gunicorn runs the gateway. Threads, since requests wait for stores, and long polls for jobs.

The application is loaded in each worker after the fork (no preload), so that nothing connected is shared.
"""

from __future__ import annotations

import os
from typing import Any

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


def worker_exit(_server: Any, worker: Any) -> None:
    """Send what waits before the process ends."""
    application = getattr(worker, "wsgi", None)
    made = getattr(application, "extensions", {}).get("collect")
    if made is not None:
        made.sender.close(timeout_seconds=2.0)
