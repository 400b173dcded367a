"""Where the servers are: named in the environment, or private ones on ports that are remembered under `.local/`."""

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stack import mongodb, rabbitmq, redis_server
from stack.ports import free_ports

MANAGEMENT_PORT = 15672


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The four addresses, and which of the servers are private, that is, to be started here."""

    mongodb_url: str
    amqp_url: str
    redis_url: str
    management_url: str
    private: frozenset[str]
    ports: dict[str, int]

    def environment(self) -> dict[str, str]:
        return {
            "MONGODB_URL": self.mongodb_url,
            "AMQP_URL": self.amqp_url,
            "REDIS_URL": self.redis_url,
            "RABBITMQ_MANAGEMENT_URL": self.management_url,
        }


def resolve(given: Mapping[str, str], ports: dict[str, int]) -> Addresses:
    """Servers named in `given` are used as they are. An address of our own counts as not given: `.local/demo.env`
    names them too, and a shell that has read it must not keep `make up` from starting them again."""
    own = {
        "MONGODB_URL": mongodb.mongodb_url(ports),
        "AMQP_URL": rabbitmq.amqp_url(ports),
        "REDIS_URL": redis_server.redis_url(ports),
    }
    foreign = {name: given[name] for name in own if given.get(name) and given[name] != own[name]}
    names = {"MONGODB_URL": "mongodb", "AMQP_URL": "rabbitmq", "REDIS_URL": "redis"}
    amqp = foreign.get("AMQP_URL")
    return Addresses(
        mongodb_url=foreign.get("MONGODB_URL", own["MONGODB_URL"]),
        amqp_url=amqp or own["AMQP_URL"],
        redis_url=foreign.get("REDIS_URL", own["REDIS_URL"]),
        management_url=rabbitmq.management_url(ports) if amqp is None else management_of(amqp, given),
        private=frozenset(server for name, server in names.items() if name not in foreign),
        ports=ports,
    )


def management_of(amqp_url: str, given: Mapping[str, str]) -> str:
    """The console of a given broker: named in the environment, else on the usual port of the broker's machine."""
    named = given.get("RABBITMQ_MANAGEMENT_URL")
    if named:
        return named
    parts = urlsplit(amqp_url)
    credentials = f"{parts.username or 'guest'}:{parts.password or 'guest'}"
    return f"http://{credentials}@{parts.hostname}:{MANAGEMENT_PORT}"


ALL_PORT_NAMES = (*rabbitmq.PORT_NAMES, *redis_server.PORT_NAMES, *mongodb.PORT_NAMES)
PROGRAM_OF = {
    **dict.fromkeys(rabbitmq.PORT_NAMES, "rabbitmq"),
    "epmd": "epmd",
    **dict.fromkeys(redis_server.PORT_NAMES, "redis"),
    **dict.fromkeys(mongodb.PORT_NAMES, "mongodb"),
}
"""The supervised program that listens on each port."""


def remembered_ports(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    return {str(name): int(port) for name, port in json.loads(path.read_text(encoding="utf-8")).items()}


def kept_ports(remembered: Mapping[str, int], *, running: Collection[str]) -> dict[str, int]:
    """The remembered ports of the servers that run on them."""
    return {name: port for name, port in remembered.items() if PROGRAM_OF.get(name) in running}


def choose_ports(
    remembered: Mapping[str, int], *, kept: Mapping[str, int], taken: frozenset[int] = frozenset()
) -> dict[str, int]:
    """The servers' ports: those that are kept, remembered ones that are still free, and new ones for the rest."""
    missing = tuple(name for name in ALL_PORT_NAMES if name not in kept)
    return {**kept, **free_ports(missing, remembered=remembered, taken=taken | frozenset(kept.values()))}


def remember_ports(path: Path, ports: dict[str, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(ports, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)
