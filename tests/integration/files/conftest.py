"""One running system for all files; at the end of each module every invariant holds."""

import secrets
from collections.abc import Iterator
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from pymongo import MongoClient

from collect.testing.system import Service
from integration.files.desk import Desk
from servers import Servers
from stack import rabbitmq


@pytest.fixture(scope="package")
def running(
    servers: Servers,
    mongodb_url: str,
    redis_url: str,
    management_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Desk]:
    """The services, in a database and a virtual host of their own."""
    name = f"files_{secrets.token_hex(6)}"
    rabbitmq.create_vhost(management_url, name)
    desk = Desk(
        mongodb_url=mongodb_url,
        database=name,
        amqp_url=urlunsplit(urlsplit(servers.amqp_url)._replace(path="/" + quote(name, safe=""))),
        redis_url=redis_url,
        folder=tmp_path_factory.mktemp("desk"),
    )
    try:
        desk.open()
        yield desk
    finally:
        desk.close()
        with MongoClient[dict[str, object]](mongodb_url) as client:
            client.drop_database(name)
        rabbitmq.delete_vhost(management_url, name)


@pytest.fixture(scope="module")
def desk(running: Desk) -> Iterator[Desk]:
    """The system; it is sound when the module ends, and no process of it has died."""
    before = processes(running)
    yield running
    running.sound()
    assert processes(running) == before


def processes(desk: Desk) -> dict[str, list[int]]:
    """The pids of the services and of their children: a crash would change them."""
    services: list[Service] = [desk.gateway_service, desk.worker_service, desk.monitor_service]
    return {service.name: [service.pid, *sorted(service.children())] for service in services}
