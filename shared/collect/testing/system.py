"""The whole system as child processes, for fault tests, end-to-end tests and benchmarks. The servers must run already.

Each service is a real process with its own command line, as in a pod. Each one can be killed, stopped and started again
by itself. All processes end with :meth:`System.close`, or when the process that started them ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from collect.messaging import topology
from collect.messaging.management import Management
from collect.storage import indexes, organisations
from collect.storage.database import Database, connect

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1
READY_SECONDS = 90.0
STOP_SECONDS = 15.0
_LIBC = ctypes.CDLL(None)


def eventually(condition: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """Return the first true value of ``condition``, which is called every 20 ms. Blocking.

    Raises:
        TimeoutError: it returned no true value within ``seconds``. The message contains ``what``.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


class Service:
    """A service of the system, as one child process. Its output is appended to ``log``."""

    def __init__(self, *, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_end_with_parent,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        """Return the pids of its child processes; those of a worker include its slots."""
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        try:
            return [int(pid) for pid in found.read_text().split()]
        except OSError:
            return []

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self.process.kill()
        self.process.wait()

    def stop(self, *, seconds: float = STOP_SECONDS) -> int:
        """Send SIGTERM and wait for the end; after ``seconds`` send SIGKILL. Return the exit code.

        A process that was stopped by SIGSTOP is continued first. Does nothing if the process has ended already.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode


class System:
    """A gateway, workers and a monitor that share one database and one virtual host.

    ``settings``: more environment variables for all of them, short leases for example. ``management_url``: if it is
    given, ``prepare`` sets the broker's policies, as in production. ``folder``: where the logs are written.
    """

    def __init__(
        self,
        *,
        mongodb_url: str,
        database: str,
        amqp_url: str,
        redis_url: str,
        folder: Path,
        settings: dict[str, str] | None = None,
        management_url: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.amqp_url = amqp_url
        self.management_url = management_url
        self.db: Database = connect(mongodb_url, database=database, app_name="system")
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.services: list[Service] = []
        self._environment = {
            **os.environ,
            "MONGODB_URL": mongodb_url,
            "MONGODB_DATABASE": database,
            "AMQP_URL": amqp_url,
            "REDIS_URL": redis_url,
            **(settings or {}),
        }
        self._started = 0

    def prepare(self, *organisation_ids: str) -> None:
        """Create the indexes, set the broker's policies, and create the organisations with the default limits."""
        indexes.migrate(self.db)
        if self.management_url is not None:
            vhost = unquote(urlsplit(self.amqp_url).path.removeprefix("/")) or "/"
            topology.apply_policies(Management(self.management_url), vhost=vhost)
        for org_id in organisation_ids:
            organisations.ensure(self.db, org_id=org_id, name=org_id)

    def gateway(self, *, workers: int = 1, port: int | None = None, wait: bool = True, **settings: str) -> Service:
        """Start a gateway. With ``wait``, block until it is ready. ``settings``: environment variables for it alone."""
        command = [
            sys.executable, "-m", "gateway",
            "--bind", f"{LOOPBACK}:{port or self.port}", "--workers", str(workers),
        ]  # fmt: skip
        service = self._start("gateway", command, settings)
        if wait:
            eventually(
                lambda: self._answers(service, port or self.port), seconds=READY_SECONDS, what="the gateway is ready"
            )
        return service

    def worker(self, *, kind: str = "upload", slots: int = 2, wait: bool = True, **settings: str) -> Service:
        """Start a worker of ``kind``. With ``wait``, block until it has started.

        ``settings``: environment variables for it alone.
        """
        command = [sys.executable, "-m", f"{kind}_worker"]
        service = self._start(f"{kind}-worker", command, {"COLLECT_SLOTS": str(slots), **settings})
        if wait:
            eventually(
                lambda: len(service.children()) > slots or _said(service, "worker_started"),
                seconds=READY_SECONDS,
                what="the worker has started",
            )
        return service

    def monitor(self, **settings: str) -> Service:
        """Start a monitor. ``settings``: environment variables for it alone."""
        settings = {"MONITOR_PORT": str(free_port()), **settings}
        return self._start("monitor", [sys.executable, "-m", "monitor"], settings)

    def close(self) -> None:
        """Stop all services that still run, the last started first, and close the database's connection. Blocking."""
        for service in reversed(self.services):
            service.stop()
        self.db.close()

    def _start(self, name: str, command: list[str], settings: dict[str, str]) -> Service:
        self._started += 1
        service = Service(
            name=name,
            command=command,
            environment={**self._environment, **settings},
            log=self.folder / f"{name}-{self._started}.log",
        )
        self.services.append(service)
        return service

    def _answers(self, service: Service, port: int) -> bool:
        if service.process.poll() is not None:
            raise RuntimeError(f"{service.name} ended: {service.log.read_text(errors='replace')[-3000:]}")
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def free_port() -> int:
    """Return a port of the loopback interface that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _said(service: Service, event: str) -> bool:
    if service.process.poll() is not None:
        raise RuntimeError(f"{service.name} ended: {service.log.read_text(errors='replace')[-3000:]}")
    return event in service.log.read_text(errors="replace")


def _end_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
