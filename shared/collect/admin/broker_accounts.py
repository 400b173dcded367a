"""The rights that each service's account on the broker needs: declared here, and nowhere else.

Who may configure may delete. So the monitor alone declares what is missing (beside the operator), a worker consumes its
own kind's queue and no other, and nobody but the monitor reads what others send.
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
"""A worker's queue for control messages, which the broker names."""


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Which exchanges and queues may be configured, written to and read, as patterns.

    ``topics``: of which routing keys, on the topic exchanges.
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
"""Service → what its account may do. To bind needs the right to read the exchange, and to write the queue."""


def make_user(management: Management, *, service: str, url: str) -> str:
    """The account that the service's ``url`` names, with that password and the service's rights. Returns its name.

    Idempotent; the account of the management API must be an administrator.

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
