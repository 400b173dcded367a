"""The services as supervised processes, and how one knows that they are ready."""

import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pika
from pika.exceptions import AMQPError

from collect.messaging.topology import KINDS
from stack.ports import LOOPBACK
from stack.supervision import Program

WORKER_SLOTS = 2
PRIORITY = 100
# A worker hands its parts back in under 10 s; what needs longer is stuck.
STOP_SECONDS = 15
# A queue with a consumer is one that a ready service listens to.
QUEUES = {"monitor": "monitor.heartbeats", **{f"{kind}-worker": f"jobs.{kind}" for kind in KINDS}}


def programs(*, python: Path, port: int, monitor_port: int, environment: Mapping[str, str]) -> list[Program]:
    """``port`` is the gateway's."""
    gateway = (
        *(str(python), "-m", "gateway"),
        *("--workers", "2", "--threads", "16", "--bind", f"{LOOPBACK}:{port}"),
    )
    settings = {**environment, "PYTHONUNBUFFERED": "1"}
    return [
        Program(
            name="monitor",
            command=(str(python), "-m", "monitor"),
            environment={**settings, "MONITOR_PORT": str(monitor_port)},
            priority=PRIORITY,
            stop_seconds=STOP_SECONDS,
        ),
        *(
            Program(
                name=f"{kind}-worker",
                command=(str(python), "-m", f"{kind}_worker"),
                environment={"COLLECT_SLOTS": str(WORKER_SLOTS), **settings},
                priority=PRIORITY + 1,
                stop_seconds=STOP_SECONDS,
            )
            for kind in KINDS
        ),
        Program(
            name="gateway", command=gateway, environment=settings, priority=PRIORITY + 2, stop_seconds=STOP_SECONDS
        ),
    ]


def gateway_is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def has_consumer(amqp_url: str, queue: str) -> bool:
    """True if somebody consumes the queue. Asked of the broker itself, whose console lags behind."""
    try:
        connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    except (AMQPError, OSError):
        return False
    try:
        return bool(connection.channel().queue_declare(queue, passive=True).method.consumer_count > 0)
    except AMQPError:
        return False
    finally:
        if connection.is_open:
            connection.close()
