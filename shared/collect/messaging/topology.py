"""Every exchange, queue and binding, in one table, declared by whoever needs it and as often as it likes.

Not one binding a job: deleting a queue with thousands of bindings stalls a broker for minutes. The control topic's key
names the job, so that anybody may still listen to one job; workers bind once, to all of their kind, and filter.
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
"""For ``delivery-limit``. RabbitMQ 3.10 refuses the newer word for none, -1."""
KINDS = ("upload", "export", "teams")
"""The kinds that have workers. A kind more is a name more."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """An exchange; all of ours are durable."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A durable queue and what it is bound to. ``consumer`` says who reads it, for people and for a test."""

    name: str
    exchange: str
    routing_key: str
    consumer: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the broker does with the queues whose names match.

    Policies rather than arguments, because an operator can change them on queues that are there already, and a release
    that wants another limit does not find its queue declared with the old one.
    """

    name: str
    pattern: str
    definition: dict[str, Any]

    def body(self) -> dict[str, Any]:
        """For the management API. 3.10 knows ``queues`` only, not the newer words for one type of queue."""
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
    # Whoever looks at dead letters gives them back, which RabbitMQ 4.0 to 4.2 counts as a delivery. By itself it throws
    # away what was delivered 20 times.
    Policy(name="collect-dead", pattern=rf"^{DEAD_QUEUE}$", definition={"delivery-limit": NO_LIMIT}),
)


class MayNotDeclare(Transient):
    """Some of it is missing, and the account has no right to declare it: the monitor has, and the operator."""

    def __init__(self) -> None:
        super().__init__(
            "The broker lacks exchanges or queues, which this account may not declare. "
            "`collect-admin migrate` declares them, and so does the monitor."
        )


class Declarer(Protocol):
    """What a channel must be able to do; both libraries' channels are adapted to it where they are used."""

    def has(self, thing: Exchange | Queue) -> bool:
        """Whether it is there. If not, the channel is of no more use."""
        ...

    def close(self) -> None: ...

    def exchange(self, exchange: Exchange) -> None:
        """Raises MayNotDeclare."""
        ...

    def queue(self, queue: Queue) -> None:
        """With its binding. Raises MayNotDeclare."""
        ...


def ensure(channel: Callable[[], Declarer]) -> None:
    """See that all of it is there, and declare it where not. ``channel`` opens one.

    Looking needs no right: so a service's account needs none for what others have declared.

    Raises:
        MayNotDeclare: something is missing, and stays so.
    """
    looking = channel()
    things: tuple[Exchange | Queue, ...] = (*EXCHANGES, *QUEUES)
    if all(looking.has(each) for each in things):
        looking.close()
    else:
        declare(channel())


def declare(channel: Declarer) -> None:
    """Declare all of it, bindings too, which nobody can look for, and close the channel.

    Idempotent; a queue that exists with other arguments is the broker's error to raise.

    Raises:
        MayNotDeclare: the account has no right to.
    """
    for exchange in EXCHANGES:
        channel.exchange(exchange)
    for queue in QUEUES:
        channel.queue(queue)
    channel.close()


def run_part_route(kind: str) -> tuple[str, str]:
    """Exchange and routing key of a job message."""
    return JOBS, kind


def poke_route(kind: str, job_id: str) -> tuple[str, str]:
    """Exchange and routing key of a job's control topic."""
    return CONTROL, f"{kind}.{job_id}"


def event_route(kind: str, state: str) -> tuple[str, str]:
    """Exchange and routing key of a job's events."""
    return EVENTS, f"{kind}.{state}"


def heartbeat_route() -> tuple[str, str]:
    """Exchange and routing key of heartbeats."""
    return HEARTBEATS, HEARTBEAT_KEY


def job_queue(kind: str) -> str:
    """The queue that the kind's workers share."""
    return f"jobs.{kind}"


def apply_policies(management: Management, *, vhost: str = "/") -> None:
    """Set the policies. Idempotent."""
    for policy in POLICIES:
        management.put("policies", vhost, policy.name, body=policy.body())
