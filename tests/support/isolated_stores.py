"""A database and a virtual host of their own, for a whole system that a test starts."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypedDict
from urllib.parse import quote, urlsplit, urlunsplit

from pymongo import MongoClient

from stack import rabbitmq
from support.servers import Servers


class Stores(TypedDict):
    """The arguments of `System` that name its stores."""

    mongodb_url: str
    database: str
    amqp_url: str
    redis_url: str


@contextmanager
def rooms(name: str, *, servers: Servers, mongodb_url: str, redis_url: str, management_url: str) -> Iterator[Stores]:
    """Where such a system finds its stores, and nothing of it is left afterwards."""
    rabbitmq.create_vhost(management_url, name)
    try:
        yield {
            "mongodb_url": mongodb_url,
            "database": name,
            "amqp_url": in_vhost(servers.amqp_url, name),
            "redis_url": redis_url,
        }
    finally:
        with MongoClient[dict[str, object]](mongodb_url, serverSelectionTimeoutMS=10_000) as client:
            client.drop_database(name)
        rabbitmq.delete_vhost(management_url, name)


Room = Callable[[str], AbstractContextManager[Stores]]
"""Rooms with a name that begins like that."""


def fresh(prefix: str) -> str:
    """A name that nothing has yet."""
    return f"{prefix}_{secrets.token_hex(6)}"


def in_vhost(amqp_url: str, vhost: str) -> str:
    """The address of the broker's virtual host of that name."""
    return urlunsplit(urlsplit(amqp_url)._replace(path="/" + quote(vhost, safe="")))
