"""Whoever consumes and remembers, and a wire that can be cut: for tests of what goes over the broker."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from collect.messaging.consumer import Delivery, worker_consumer
from collect.messaging.messages import Message
from servers import Servers
from waiting import eventually

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


class Wire:
    """A TCP proxy in front of a server. Cut, it resets what goes through; dead, it swallows it and says nothing."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname or "", target.port or 0)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._passing = threading.Event()
        self._passing.set()
        self._closed = False
        port = self._listening.getsockname()[1]
        credentials = target.netloc.rpartition("@")[0]
        self.url = urlunsplit(target._replace(netloc=f"{credentials}@127.0.0.1:{port}"))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        """How many have been made so far."""
        return len(self._pairs)

    def cut(self) -> None:
        """Reset all that is connected. Connecting again is possible."""
        for pair in self._pairs:
            for end in pair:
                self._reset(end)

    def die(self) -> None:
        """From now on bytes vanish, and nobody is told."""
        self._passing.clear()

    def revive(self) -> None:
        self._passing.set()

    def close(self) -> None:
        self._closed = True
        self._listening.close()
        self.revive()
        self.cut()

    @staticmethod
    def _reset(end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RD)
            end.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._target)
            except OSError:
                continue
            self._pairs.append((client, server))
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        while True:
            try:
                ready, _, _ = select.select([client, server], [], [], 0.2)
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        raise ConnectionResetError
                    if self._passing.is_set():
                        other[end].sendall(data)
            except (OSError, ValueError):
                self._reset(client)
                self._reset(server)
                return
