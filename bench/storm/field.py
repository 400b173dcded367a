"""The system in the storm: two of each service, connections through proxies, and one who starts again what died."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import requests

from collect.client.api import CollectClient
from collect.client.transport import OnRetry, Patience
from collect.jobs.template import Template
from collect.messaging import topology
from collect.messaging.management import Management
from collect.storage import api_keys, datasets
from collect.storage.database import transact
from collect.testing.system import LOOPBACK, Service, System, eventually
from faults.proxy import Proxy
from stack import rabbitmq
from stack.ports import free_port
from storm import responses
from storm.files import COLUMNS, KEY
from storm.ground import Ground
from storm.log import Log
from storm.plan import DATASETS, GATEWAYS, ORGANISATIONS

LEASE_SECONDS = 4.0
GRACE_SECONDS = 2.0
SLOTS = 2
EXPORT_SLOTS = 1
TEAMS_SLOTS = 1
START_AGAIN_AFTER_SECONDS = 1.0
READY_SECONDS = 180.0
"""On a machine that is busy with other things starting takes long."""
PATIENCE = Patience(connect_seconds=3.0, read_seconds=10.0, retry_seconds=4.0)
CALM = Patience()
"""When nothing is broken any more."""
ANY_PORT = "0"
"""One that was free when it was looked for may be taken when a process that has to start first comes to bind it."""
KINDS = ("gateway", "worker", "exporter", "registrar", "monitor")
RETENTION_TICK_SECONDS = 2.0


class Field(System):
    """Services by role (``worker-1``). Made, started and supervised by one thread, which must outlive them."""

    def __init__(self, *, ground: Ground, folder: Path, log: Log) -> None:
        self.ground = ground
        self.name = f"storm_{secrets.token_hex(6)}"
        self.vhost = self.name
        rabbitmq.create_vhost(ground.management_url, self.vhost)
        topology.apply_policies(Management(ground.management_url), vhost=self.vhost)
        amqp_url = urlunsplit(urlsplit(ground.amqp_url)._replace(path="/" + quote(self.vhost, safe="")))
        super().__init__(
            mongodb_url=ground.mongodb_url,
            database=self.name,
            amqp_url=amqp_url,
            redis_url=ground.redis_url,
            folder=folder,
            settings={
                "COLLECT_LEASE_SECONDS": str(LEASE_SECONDS),
                "COLLECT_GRACE_SECONDS": str(GRACE_SECONDS),
                "COLLECT_RETENTION_TICK_SECONDS": str(RETENTION_TICK_SECONDS),
                "LOG_LEVEL": "INFO",
            },
        )
        self._log = log
        self.roles = tuple(f"{kind}-{n}" for kind in KINDS for n in range(2))
        self.running: dict[str, Service] = {}
        self.amqp = {role: Proxy(amqp_url) for role in self.roles}
        # One of each pair only: rows go through a proxy at a fraction of the speed.
        self.mongodb = {f"{kind}-1": Proxy(ground.mongodb_url) for kind in KINDS}
        self.gateway_ports = [free_port() for _ in range(GATEWAYS)]
        self.tokens: dict[str, str] = {}
        self._died_at: dict[str, float] = {}

    def open(self) -> None:
        """Organisations, datasets, responses and keys; then the services, all ready."""
        self.prepare(*ORGANISATIONS)
        template = Template.model_validate({"key": KEY, "columns": COLUMNS})
        for org_id in ORGANISATIONS:
            self.db.orgs.update_one({"_id": org_id}, {"$set": {"limits.requests_per_minute": 1_000_000}})
            for name in DATASETS:
                transact(self.db, partial(datasets.put, org_id=org_id, name=name, template=template))
            responses.seed(self.db, org_id=org_id)
            self.tokens[org_id] = api_keys.create(self.db, org_id=org_id, name="storm", role="operator").secret
        for role in self.roles:
            self.running[role] = self._begin(role)
        self.until_ready()

    def until_ready(self) -> None:
        """Wait until every service runs and both gateways say that they reach everything.

        Raises:
            TimeoutError: they do not.
        """
        for port in self.gateway_ports:
            eventually(partial(self._is_ready, port), seconds=READY_SECONDS, what=f"the gateway at {port} is ready")

    def client(
        self, org_id: str, gateway: int, *, patience: Patience = PATIENCE, on_retry: OnRetry | None = None
    ) -> CollectClient:
        """A client of one organisation at one of the gateways."""
        url = f"http://{LOOPBACK}:{self.gateway_ports[gateway]}"
        return CollectClient(url=url, api_key=self.tokens[org_id], patience=patience, on_retry=on_retry)

    def supervise(self) -> None:
        """Start again what has been dead for a second. To be called often, by the thread that opened the field."""
        now = time.monotonic()
        for role, service in self.running.items():
            code = service.process.poll()
            if code is None:
                continue
            died = self._died_at.setdefault(role, now)
            if now - died >= START_AGAIN_AFTER_SECONDS:
                del self._died_at[role]
                self.running[role] = self._begin(role)
                self._log.write("started_again", role=role, after=code, pid=self.running[role].pid)

    def slots(self, role: str) -> list[int]:
        """The processes of a worker's slots; its children are more than those."""
        return [pid for pid in self.running[role].children() if b"spawn_main" in _command_line(pid)]

    def family(self, role: str) -> list[int]:
        """The process and its children."""
        service = self.running[role]
        return [service.pid, *service.children()]

    def heal(self) -> None:
        """Let everything flow and run again, but for what is dead: :meth:`supervise` sees to that."""
        for proxy in (*self.amqp.values(), *self.mongodb.values()):
            proxy.flow()
        for pid in _of_database(self.name):
            with suppress(OSError):
                os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """End everything, proxies and virtual host included."""
        for service in reversed(self.services):
            service.stop()
        for proxy in (*self.amqp.values(), *self.mongodb.values()):
            proxy.close()
        with suppress(OSError):
            rabbitmq.delete_vhost(self.ground.management_url, self.vhost)
        self.db.close()

    def left_over(self) -> list[int]:
        """Processes of this storm that are still there, a few seconds after :meth:`close`."""
        with suppress(TimeoutError):
            eventually(lambda: not _of_database(self.name), seconds=10.0, what="every process has ended")
        return list(_of_database(self.name))

    def _begin(self, role: str) -> Service:
        kind, n = role.split("-")
        settings = {"AMQP_URL": self.amqp[role].url}
        if role in self.mongodb:
            settings["MONGODB_URL"] = self.mongodb[role].url
        match kind:
            case "gateway":
                return self.gateway(workers=1, port=self.gateway_ports[int(n)], wait=False, **settings)
            case "worker":
                return self.worker(slots=SLOTS, wait=False, **settings)
            case "exporter":
                return self.worker(kind="export", slots=EXPORT_SLOTS, wait=False, **settings)
            case "registrar":
                return self.worker(kind="teams", slots=TEAMS_SLOTS, wait=False, **settings)
            case _:
                return self.monitor(MONITOR_PORT=ANY_PORT, **settings)

    def _is_ready(self, port: int) -> bool:
        self.supervise()
        with suppress(requests.RequestException):
            return requests.get(f"http://{LOOPBACK}:{port}/readyz", timeout=3).status_code == 200
        return False


def _of_database(name: str) -> list[int]:
    """Processes whose environment names the storm's database: they and their children carry it, nobody else does."""
    return list(_found(f"MONGODB_DATABASE={name}".encode()))


def _found(entry: bytes) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if entry in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
