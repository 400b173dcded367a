"""What breaks: processes, connections, servers. Each fault heals after its time, or when the storm is over."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from pymongo.errors import PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from collect.messaging import topology
from faults.proxy import BOTH, Proxy, Way
from stack import rabbitmq
from stack.children import Child
from stack.telling import StackError
from storm.field import KINDS, Field
from storm.findings import Findings
from storm.log import Log
from storm.plan import Fault

RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
TERM_SECONDS = 45.0
"""For a process that was asked to end, on a machine where everything else goes wrong too."""
RESET_AFTER_BYTES = 20_000
COMMITS_TO_FAIL = 4
INTERRUPTED = 11601
COMMIT_FAILURES: tuple[dict[str, Any], ...] = (
    {"failCommands": ["commitTransaction"], "closeConnection": True},
    {"failCommands": ["commitTransaction"], "errorCode": INTERRUPTED},
    {"failCommands": ["insert", "update"], "closeConnection": True},
    {"failCommands": ["commitTransaction"], "writeConcernError": {"code": 64, "errmsg": "waited in vain"}},
)
_BROKEN_ALREADY = (OSError, PyMongoError, RedisError, StackError, subprocess.SubprocessError)

Doing = Callable[[str, Fault], None]


class Faults:
    """Breaks one thing at a time of each process, connection and server, and several of them at once.

    Its methods run on threads that outlive the servers, since a server that was started again ends with its thread.
    """

    def __init__(self, *, field: Field, log: Log, findings: Findings) -> None:
        self.over = threading.Event()
        self.done: dict[str, int] = {}
        self._field = field
        self._log = log
        self._findings = findings
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._table = self._acts()

    def strike(self, fault: Fault) -> None:
        """Do it, and see to it that it passes. Blocks until it has."""
        subjects, do = self._table[fault.kind]
        subject = subjects[int(fault.pick * len(subjects))]
        with self._claim(subject) as claimed:
            if not claimed or self.over.is_set():
                self._log.write("fault_left_out", n=fault.n, kind=fault.kind, subject=subject)
                return
            self._log.write("fault", n=fault.n, kind=fault.kind, subject=subject, seconds=round(fault.seconds, 2))
            self.done[fault.kind] = self.done.get(fault.kind, 0) + 1
            try:
                do(subject.partition(" ")[2] or subject, fault)
            except _BROKEN_ALREADY as error:
                self._log.write("fault_failed", n=fault.n, error=repr(error)[:300])
            self._log.write("fault_over", n=fault.n, kind=fault.kind, subject=subject)

    def _acts(self) -> dict[str, tuple[Sequence[str], Doing]]:
        gateways, uploaders, exporters, registrars, monitors = (
            [role for role in self._field.roles if role.startswith(kind)] for kind in KINDS
        )
        workers = uploaders + exporters + registrars
        amqp = [f"amqp {role}" for role in self._field.amqp]
        mongodb = [f"mongodb {role}" for role in self._field.mongodb]
        return {
            "kill_slot": (workers, self._kill_slot),
            "kill_worker": (workers, self._kill),
            "kill_gateway": (gateways, self._kill),
            "kill_monitor": (monitors, self._kill),
            "freeze_worker": (workers, self._freeze_family),
            "freeze_parent": (workers, self._freeze_parent),
            "freeze_slot": (workers, self._freeze_slot),
            "freeze_gateway": (gateways, self._freeze_family),
            "freeze_monitor": (monitors, self._freeze_family),
            "deploy_worker": (workers, self._deploy),
            "deploy_gateway": (gateways, self._deploy),
            "deploy_monitor": (monitors, self._deploy),
            "deploy_in_haste": (workers, self._deploy_in_haste),
            "reset_amqp": (amqp, lambda role, fault: self._reset(self._field.amqp[role], fault)),
            "hold_amqp": (amqp, lambda role, fault: self._hold(self._field.amqp[role], fault)),
            "reset_mongodb": (mongodb, lambda role, fault: self._reset(self._field.mongodb[role], fault)),
            "hold_mongodb": (mongodb, lambda role, fault: self._hold(self._field.mongodb[role], fault)),
            "close_connections": (["broker"], self._close_connections),
            "purge_queue": (["broker"], self._purge_queue),
            "stop_broker": (["broker"], self._stop_broker),
            "kill_broker": (["broker"], lambda _, fault: self._killed(self._field.ground.broker, fault)),
            "step_down": (["mongodb"], self._step_down),
            "kill_sessions": (["mongodb"], self._kill_sessions),
            "fail_commits": (["mongodb"], self._fail_commits),
            "freeze_mongodb": (["mongodb"], lambda _, fault: self._frozen([self._field.ground.mongodb.pid], fault)),
            "kill_mongodb": (["mongodb"], lambda _, fault: self._killed(self._field.ground.mongodb, fault)),
            "flush_redis": (["redis"], self._flush_redis),
            "freeze_redis": (["redis"], lambda _, fault: self._frozen([self._field.ground.redis.pid], fault)),
            "stop_redis": (["redis"], lambda _, fault: self._killed(self._field.ground.redis, fault)),
        }

    @contextmanager
    def _claim(self, subject: str) -> Iterator[bool]:
        with self._lock:
            free = subject not in self._busy
            self._busy.add(subject)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._busy.discard(subject)

    # processes

    def _kill_slot(self, role: str, fault: Fault) -> None:
        slots = self._field.slots(role)
        if slots:
            os.kill(slots[int(fault.seconds * 1000) % len(slots)], signal.SIGKILL)

    def _kill(self, role: str, fault: Fault) -> None:
        self._field.running[role].send(signal.SIGKILL)

    def _freeze_family(self, role: str, fault: Fault) -> None:
        self._frozen(self._field.family(role), fault)

    def _freeze_parent(self, role: str, fault: Fault) -> None:
        self._frozen([self._field.running[role].pid], fault)

    def _freeze_slot(self, role: str, fault: Fault) -> None:
        self._frozen(self._field.slots(role)[:1], fault)

    def _frozen(self, pids: Sequence[int], fault: Fault) -> None:
        """Longer than the lease, more often than not."""
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self.over.wait(fault.seconds)
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGCONT)

    def _deploy(self, role: str, fault: Fault) -> None:
        service = self._field.running[role]
        service.send(signal.SIGTERM)
        try:
            service.process.wait(timeout=TERM_SECONDS)
        except subprocess.TimeoutExpired:
            self._findings.add("does_not_end", f"{role} (pid {service.pid}) runs {TERM_SECONDS:g} s after SIGTERM")
            service.send(signal.SIGKILL)

    def _deploy_in_haste(self, role: str, fault: Fault) -> None:
        service = self._field.running[role]
        service.send(signal.SIGTERM)
        self.over.wait(1.0)
        service.send(signal.SIGKILL)

    # connections

    def _reset(self, proxy: Proxy, fault: Fault) -> None:
        if fault.one_way:
            proxy.reset_after(RESET_AFTER_BYTES, Way.TO_CLIENT)
            self.over.wait(fault.seconds)
        proxy.reset()

    def _hold(self, proxy: Proxy, fault: Fault) -> None:
        proxy.hold(frozenset({Way.TO_CLIENT}) if fault.one_way else BOTH)
        self.over.wait(fault.seconds)
        proxy.flow()

    def _close_connections(self, _: str, fault: Fault) -> None:
        management = self._field.ground.management_url
        for connection in rabbitmq.call(management, "GET", f"/api/vhosts/{self._field.vhost}/connections"):
            with suppress(OSError):
                rabbitmq.call(management, "DELETE", f"/api/connections/{quote(connection['name'], safe='')}")

    # servers

    def _purge_queue(self, _: str, fault: Fault) -> None:
        for kind in ("upload", "export", "teams"):
            queue = quote(topology.job_queue(kind), safe="")
            path = f"/api/queues/{self._field.vhost}/{queue}/contents"
            rabbitmq.call(self._field.ground.management_url, "DELETE", path)

    def _stop_broker(self, _: str, fault: Fault) -> None:
        try:
            self._rabbitmqctl("stop_app")
            self.over.wait(fault.seconds / 2)
            self._rabbitmqctl("start_app")
        except subprocess.SubprocessError:  # on a starved machine either may take longer than it is waited for
            self._field.ground.broker.kill()
            self._field.ground.broker.start()
            raise

    def _rabbitmqctl(self, command: str) -> None:
        environment = {**os.environ, **self._field.ground.rabbitmq_environment()}
        subprocess.run([RABBITMQCTL, command], env=environment, check=True, capture_output=True, timeout=90)

    def _killed(self, server: Child, fault: Fault) -> None:
        server.kill()
        self.over.wait(fault.seconds / 2)
        server.start()

    def _step_down(self, _: str, fault: Fault) -> None:
        command = {"replSetStepDown": max(1, int(fault.seconds / 2)), "force": True}
        self._field.db.client.admin.command(command)
        self.over.wait(fault.seconds / 2)

    def _kill_sessions(self, _: str, fault: Fault) -> None:
        self._field.db.client.admin.command("killAllSessions", [])

    def _fail_commits(self, _: str, fault: Fault) -> None:
        data = COMMIT_FAILURES[int(fault.seconds * 1000) % len(COMMIT_FAILURES)]
        self._fail_point({"times": COMMITS_TO_FAIL}, data)
        self.over.wait(fault.seconds)
        self._fail_point("off", {})

    def _fail_point(self, mode: Any, data: dict[str, Any]) -> None:
        self._field.db.client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})

    def _flush_redis(self, _: str, fault: Fault) -> None:
        with Redis.from_url(self._field.ground.redis_url, socket_timeout=5) as redis:
            redis.flushall()
