"""The table of all exchanges, queues and bindings. Each process that needs them declares them; that is idempotent.

There is no binding for a single job: deleting a queue with thousands of bindings stalls a broker for minutes. The
control topic's routing key contains the job's id, so a client can still listen to one job. Workers bind once, to all
jobs of their kind, and filter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from collect.errors import Transient
from collect.messaging.management import Management

JOBS = "collect.jobs"
CONTROL = "collect.control"
EVENTS = "collect.events"
HEARTBEATS = "collect.heartbeats"
DEAD = "collect.dead"

HEARTBEAT_KEY = "worker"
HEARTBEAT_QUEUE = "monitor.heartbeats"
DEAD_QUEUE = "dead"
MAX_HEARTBEATS = 10_000
DELIVERY_LIMIT = 20
NO_LIMIT = 1_000_000_000
"""Deliveries that stand for "no limit" in ``delivery-limit``. RabbitMQ 3.10 refuses -1, the newer value for that."""
KINDS = ("upload", "export", "teams")
"""The kinds that have workers. A new kind adds its name here."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """An exchange. It is durable, like all exchanges of this project."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A durable queue with its one binding. ``consumer`` names the service that reads it, for people and for a test."""

    name: str
    exchange: str
    routing_key: str
    consumer: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy of the broker, for all queues whose names match ``pattern``.

    The limits are policies and not arguments of the queues, since an operator can change a policy while its queues
    exist. A queue cannot be declared again with other arguments, so a release could not change a limit there.
    """

    name: str
    pattern: str
    definition: dict[str, Any]

    def body(self) -> dict[str, Any]:
        """Return the policy as the management API takes it.

        RabbitMQ 3.10 knows only ``queues`` for ``apply-to``, not the newer values for a single type of queue.
        """
        return {"pattern": self.pattern, "apply-to": "queues", "definition": self.definition}


EXCHANGES = (
    Exchange(name=JOBS, type="direct"),
    Exchange(name=CONTROL, type="topic"),
    Exchange(name=EVENTS, type="topic"),
    Exchange(name=HEARTBEATS, type="direct"),
    Exchange(name=DEAD, type="fanout"),
)

QUEUES = (
    *(
        Queue(
            name=f"jobs.{kind}",
            exchange=JOBS,
            routing_key=kind,
            consumer=f"{kind}-worker",
            arguments={"x-queue-type": "quorum"},
        )
        for kind in KINDS
    ),
    Queue(
        name=HEARTBEAT_QUEUE,
        exchange=HEARTBEATS,
        routing_key=HEARTBEAT_KEY,
        consumer="monitor",
        arguments={"x-max-length": MAX_HEARTBEATS, "x-overflow": "drop-head"},
    ),
    Queue(
        name=DEAD_QUEUE,
        exchange=DEAD,
        routing_key="",
        consumer="collect-admin dead-letters",
        arguments={"x-queue-type": "quorum"},
    ),
)

POLICIES = (
    Policy(
        name="collect-jobs",
        pattern=r"^jobs\.",
        definition={
            "dead-letter-exchange": DEAD,
            "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish",
            "delivery-limit": DELIVERY_LIMIT,
        },
    ),
    # The command that lists dead letters gives them back, which RabbitMQ 4.0 to 4.2 counts as a delivery. Without this
    # policy it would drop a message after 20 deliveries.
    Policy(name="collect-dead", pattern=rf"^{DEAD_QUEUE}$", definition={"delivery-limit": NO_LIMIT}),
)


class MayNotDeclare(Transient):
    """The error that a part of the topology is missing, and this account has no right to declare it.

    The monitor and the operator have the right.
    """

    def __init__(self) -> None:
        super().__init__(
            "The broker lacks exchanges or queues, which this account may not declare. "
            "`collect-admin migrate` declares them, and so does the monitor."
        )


class Declarer(Protocol):
    """A channel that can look for and declare parts of the topology.

    Two libraries are used, and each has its adapter: pika in ``consumer``, kombu in ``publisher``.
    """

    def has(self, thing: Exchange | Queue) -> bool:
        """Return whether ``thing`` exists. If it does not, the broker has closed the channel."""
        ...

    def close(self) -> None: ...

    def exchange(self, exchange: Exchange) -> None:
        """Declare an exchange. Raises :class:`MayNotDeclare`."""
        ...

    def queue(self, queue: Queue) -> None:
        """Declare a queue and its binding. Raises :class:`MayNotDeclare`."""
        ...


def ensure(channel: Callable[[], Declarer]) -> None:
    """Declare the topology, unless all exchanges and queues exist already. ``channel`` opens a channel. Blocking.

    A look needs no right. So the account of a service needs no right to declare, if another account has declared all.

    Raises:
        MayNotDeclare: something is missing, and this account has no right to declare it.
    """
    looking = channel()
    things: tuple[Exchange | Queue, ...] = (*EXCHANGES, *QUEUES)
    if all(looking.has(each) for each in things):
        looking.close()
    else:
        declare(channel())


def declare(channel: Declarer) -> None:
    """Declare all exchanges, queues and bindings, and close the channel. Blocking and idempotent.

    The broker offers no way to look for a binding, so bindings are declared each time. If a queue exists with other
    arguments, the channel's library raises the broker's error.

    Raises:
        MayNotDeclare: the account has no right to declare.
    """
    for exchange in EXCHANGES:
        channel.exchange(exchange)
    for queue in QUEUES:
        channel.queue(queue)
    channel.close()


def run_part_route(kind: str) -> tuple[str, str]:
    """Return the exchange and the routing key of a job message."""
    return JOBS, kind


def poke_route(kind: str, job_id: str) -> tuple[str, str]:
    """Return the exchange and the routing key of a job's control messages."""
    return CONTROL, f"{kind}.{job_id}"


def event_route(kind: str, state: str) -> tuple[str, str]:
    """Return the exchange and the routing key of the event that a job reached ``state``."""
    return EVENTS, f"{kind}.{state}"


def heartbeat_route() -> tuple[str, str]:
    """Return the exchange and the routing key of heartbeats."""
    return HEARTBEATS, HEARTBEAT_KEY


def job_queue(kind: str) -> str:
    """Return the name of the job queue that all workers of the kind share."""
    return f"jobs.{kind}"


def apply_policies(management: Management, *, vhost: str = "/") -> None:
    """Set all policies of the table on the virtual host. Blocking and idempotent.

    Raises:
        OSError: the management API does not answer, or refuses.
    """
    for policy in POLICIES:
        management.put("policies", vhost, policy.name, body=policy.body())
