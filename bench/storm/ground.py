"""The servers of a storm: its own, on ports of its own, so that they can be killed. They end with this process."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from stack import mongodb, rabbitmq, redis_server
from stack.addresses import ALL_PORT_NAMES
from stack.children import Child
from stack.ports import free_ports, wait_until
from stack.server import Server
from stack.telling import StackError

MONGODB_WHEEL = Path(__file__).resolve().parents[2] / ".local" / "mongodb"

HEALED_SECONDS = 60.0


class Ground:
    """Running servers. Started and started again by threads that live as long as it does: a child ends with its thread.

    Raises:
        ServerMissing: the programme of one of them is not on this machine.
    """

    def __init__(self) -> None:
        # Short, because the paths of sockets below it are bounded.
        self.root = Path(tempfile.mkdtemp(prefix="collect-storm-"))
        self.ports = free_ports(ALL_PORT_NAMES)
        self._children: list[Child] = []
        try:
            self.mongodb = self._start(
                mongodb.mongodb(self.root / "mongodb", self.ports, installed=MONGODB_WHEEL, cache_gigabytes=0.5)
            )
            self._start(rabbitmq.epmd(self.ports))
            self.broker = self._start(rabbitmq.broker(self.root / "rabbitmq", self.ports))
            self.redis = self._start(redis_server.redis(self.root / "redis", self.ports))
        except BaseException:
            self.close()
            raise

    @property
    def mongodb_url(self) -> str:
        return mongodb.mongodb_url(self.ports)

    @property
    def amqp_url(self) -> str:
        return rabbitmq.amqp_url(self.ports)

    @property
    def management_url(self) -> str:
        return rabbitmq.management_url(self.ports)

    @property
    def redis_url(self) -> str:
        return redis_server.redis_url(self.ports)

    def rabbitmq_environment(self) -> dict[str, str]:
        """For `rabbitmqctl`."""
        return rabbitmq.environment(self.root / "rabbitmq", self.ports)

    def heal(self) -> None:
        """Start whatever does not run, and start again what runs and does not answer."""
        for child in self._children:
            child.start()
            try:
                wait_until(child.server.ready, seconds=HEALED_SECONDS, what=f"{child.server.name} to answer")
            except StackError:
                child.kill()
                child.start()

    def close(self) -> None:
        """End all at once, and throw away what they keep. Idempotent."""
        for child in reversed(self._children):
            child.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def _start(self, server: Server) -> Child:
        child = Child(server=server, log_folder=self.root / "log")
        self._children.append(child)
        child.start()
        return child
