"""A whole system of its own for each fault test, with short leases; the invariants are checked when it ends."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from pymongo import MongoClient

from plant import Plant
from servers import Servers
from stack import rabbitmq

LEASE_SECONDS = 3.0
GRACE_SECONDS = 1.0


@pytest.fixture
def plant(servers: Servers, mongodb_url: str, redis_url: str, management_url: str, tmp_path: Path) -> Iterator[Plant]:
    """A gateway and a monitor, in a database and a virtual host of their own; workers are started by the test."""
    name = f"faults_{secrets.token_hex(6)}"
    rabbitmq.create_vhost(management_url, name)
    plant = Plant(
        mongodb_url=mongodb_url,
        database=name,
        amqp_url=urlunsplit(urlsplit(servers.amqp_url)._replace(path="/" + quote(name, safe=""))),
        redis_url=redis_url,
        folder=tmp_path,
        settings={"COLLECT_LEASE_SECONDS": str(LEASE_SECONDS), "COLLECT_GRACE_SECONDS": str(GRACE_SECONDS)},
    )
    try:
        plant.open()
        yield plant
    finally:
        plant.close()
        with MongoClient[dict[str, object]](mongodb_url) as client:
            client.drop_database(name)
        rabbitmq.delete_vhost(management_url, name)
