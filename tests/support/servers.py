"""Real servers for the tests: those named in the environment, else private ones that end with the session."""

import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path

import pytest

from stack import mongodb, rabbitmq, redis_server
from stack.addresses import ALL_PORT_NAMES, management_of
from stack.children import Child
from stack.ports import free_ports
from stack.server import Server, ServerMissing

ROOT = Path(__file__).resolve().parents[2]
MONGODB_WHEEL = ROOT / ".local" / "mongodb"


class Servers:
    """Starts each server when it is first asked for. A server given by the environment has no `Child`."""

    def __init__(self) -> None:
        # Short, because the paths of sockets below it are bounded; not under pytest's folder, which is kept.
        self._root = Path(tempfile.mkdtemp(prefix="collect-tests-"))
        self._ports = free_ports(ALL_PORT_NAMES)
        self._children: list[Child] = []

    @cached_property
    def mongodb_child(self) -> Child | None:
        if os.environ.get("MONGODB_URL"):
            return None
        root = self._root / "mongodb"
        return self._start(mongodb.mongodb(root, self._ports, installed=MONGODB_WHEEL, cache_gigabytes=0.5))

    @cached_property
    def rabbitmq_child(self) -> Child | None:
        if os.environ.get("AMQP_URL"):
            return None
        self._start(rabbitmq.epmd(self._ports))
        return self._start(rabbitmq.broker(self._root / "rabbitmq", self._ports))

    @cached_property
    def redis_child(self) -> Child | None:
        if os.environ.get("REDIS_URL"):
            return None
        return self._start(redis_server.redis(self._root / "redis", self._ports))

    @property
    def mongodb_url(self) -> str:
        return mongodb.mongodb_url(self._ports) if self.mongodb_child else os.environ["MONGODB_URL"]

    @property
    def amqp_url(self) -> str:
        """The broker's own virtual host; a test takes the `amqp_url` fixture, which has one of its own."""
        return rabbitmq.amqp_url(self._ports) if self.rabbitmq_child else os.environ["AMQP_URL"]

    @property
    def management_url(self) -> str:
        if self.rabbitmq_child:
            return rabbitmq.management_url(self._ports)
        return management_of(os.environ["AMQP_URL"], os.environ)

    @property
    def redis_url(self) -> str:
        return redis_server.redis_url(self._ports) if self.redis_child else os.environ["REDIS_URL"]

    def rabbitmq_environment(self) -> dict[str, str]:
        """For `rabbitmqctl`, so that it finds the private broker."""
        return rabbitmq.environment(self._root / "rabbitmq", self._ports)

    def close(self) -> None:
        """Ends all at once, without their farewells: what they keep is thrown away with them."""
        for child in reversed(self._children):
            child.kill()
        shutil.rmtree(self._root, ignore_errors=True)

    def _start(self, server: Server) -> Child:
        child = Child(server=server, log_folder=self._root / "log")
        self._children.append(child)
        child.start()
        return child


def unavailable(error: ServerMissing) -> None:
    """On a laptop without the server the test is skipped; in CI that would hide it, so there it fails."""
    reason = f"{error} is not on this machine: `make up` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
