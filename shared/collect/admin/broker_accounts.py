"""The rights of each service's account on the broker. They are declared only here.

The right to configure a queue includes the right to delete it. So only the monitor and the operator declare queues and
exchanges. A worker consumes only its own kind's queue. Only the monitor reads what other services send.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from collect.messaging.management import Management
from collect.messaging.topology import (
    CONTROL,
    EVENTS,
    EXCHANGES,
    HEARTBEAT_QUEUE,
    HEARTBEATS,
    JOBS,
    KINDS,
    QUEUES,
    job_queue,
)

_NOTHING = "^$"
_OWN = r"amq\.gen-.*"
"""A worker's queue for control messages. The broker chooses its name."""


@dataclass(frozen=True, kw_only=True)
class Rights:
    """The exchanges and queues that an account may configure, write to and read, as patterns.

    ``topics``: the routing keys that it may use on the topic exchanges.
    """

    configure: str = _NOTHING
    write: str
    read: str
    topics: str = ".*"


def _these(*names: str) -> str:
    return f"^({'|'.join(name if name == _OWN else name.replace('.', '[.]') for name in names)})$"


_ALL = _these(*(exchange.name for exchange in EXCHANGES), *(queue.name for queue in QUEUES))

RIGHTS = {
    "gateway": Rights(write=_these(JOBS, CONTROL, EVENTS), read=_NOTHING),
    "monitor": Rights(
        configure=_ALL, write=_ALL, read=_these(*(exchange.name for exchange in EXCHANGES), HEARTBEAT_QUEUE)
    ),
    **{
        f"{kind}-worker": Rights(
            configure=_these(_OWN),
            write=_these(_OWN, JOBS, CONTROL, EVENTS, HEARTBEATS),
            read=_these(_OWN, job_queue(kind), CONTROL),
            topics=rf"^{kind}[.]",
        )
        for kind in KINDS
    },
}
"""Service → rights of its account. A binding needs the right to read the exchange and to write the queue."""


def make_user(management: Management, *, service: str, url: str) -> str:
    """Create or update the account in the service's ``url``, with its password and the service's rights.

    Return the account's name. Idempotent; the account of the management API must be an administrator.

    Raises:
        ValueError: the URL names no account.
    """
    parts = urlsplit(url)
    if not parts.username or not parts.password:
        raise ValueError(f"The AMQP_URL of {service} names no account and password.")
    name, vhost, rights = unquote(parts.username), unquote(parts.path[1:]) or "/", RIGHTS[service]
    management.put("users", name, body={"password": unquote(parts.password), "tags": ""})
    patterns = {"configure": rights.configure, "write": rights.write, "read": rights.read}
    management.put("permissions", vhost, name, body=patterns)
    for exchange in (CONTROL, EVENTS):
        topics = {"exchange": exchange, "write": rights.topics, "read": rights.topics}
        management.put("topic-permissions", vhost, name, body=topics)
    return name
