"""Whoever consumes and remembers: for tests of what goes over the broker."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from collect.messaging.consumer import Delivery, worker_consumer
from collect.messaging.messages import Message
from support.servers import Servers
from support.waiting import eventually

# The wrapper of the same name in /usr/sbin changes user and folder when root calls it.
DEBIAN_CONTROL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")


def control(servers: Servers, *command: str) -> str:
    """Run `rabbitmqctl` on the private broker, and return what it says."""
    programme = DEBIAN_CONTROL if DEBIAN_CONTROL.exists() else Path("rabbitmqctl")
    done = subprocess.run(
        [str(programme), *command],
        env={**os.environ, **servers.rabbitmq_environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Listener:
    """A worker's consumer that only remembers. Lists are appended to by the consumer's thread."""

    def __init__(self, url: str, *, prefetch: int) -> None:
        self.jobs: list[Delivery] = []
        self.control: list[Message] = []
        self.lost: list[int] = []
        self.consumer = worker_consumer(
            url,
            kind="upload",
            prefetch=prefetch,
            on_job=self.jobs.append,
            on_control=self.control.append,
            on_lost=lambda: self.lost.append(len(self.jobs)),
        )

    def begin(self) -> Listener:
        self.consumer.start()
        eventually(lambda: self.consumer.connected, what="the consumer to be connected")
        return self

    def job(self, n: int = 0) -> Delivery:
        """The nth job message that has come."""
        eventually(lambda: len(self.jobs) > n, what=f"job message {n}")
        return self.jobs[n]

    def heard(self, count: int) -> bool:
        """Whether so many control messages have come."""
        return len(self.control) >= count
