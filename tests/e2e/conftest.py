"""The whole system from outside: its processes, its two commands, and nothing of its code in between."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from e2e.shell import Town
from servers import Servers
from stack import rabbitmq


@pytest.fixture(scope="module")
def town(
    servers: Servers, mongodb_url: str, redis_url: str, management_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    """Gateway, worker and monitor, migrated and seeded by `collect-admin`, for one module of tests."""
    name = f"e2e_{secrets.token_hex(6)}"
    rabbitmq.create_vhost(management_url, name)
    town = Town(
        mongodb_url=mongodb_url,
        database=name,
        amqp_url=urlunsplit(urlsplit(servers.amqp_url)._replace(path="/" + quote(name, safe=""))),
        redis_url=redis_url,
        management_url=management_url,
        folder=tmp_path_factory.mktemp("town"),
    )
    try:
        town.open()
        yield town
    finally:
        town.close()
        town.system.db.client.close()
        _drop(mongodb_url, name)
        rabbitmq.delete_vhost(management_url, name)


def _drop(mongodb_url: str, name: str) -> None:
    from pymongo import MongoClient

    with MongoClient[dict[str, object]](mongodb_url, serverSelectionTimeoutMS=10_000) as client:
        client.drop_database(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test writes its files."""
    return tmp_path
