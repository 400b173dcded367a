"""What work costs each part of the running system: processor time, bytes and messages, read before and after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bson import Timestamp

from collect.runtime.processes import usage
from collect.testing.system import Service
from rig import Rig
from stack import rabbitmq

TICKS_PER_SECOND = 100
"""Of `/proc/stat`, on every Linux that people use."""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """Seconds of processor time by who used it, and what was committed, written and sent."""

    slots: float
    parents: float
    gateway: float
    monitor: float
    mongod: float
    broker: float
    machine: float
    """Whatever ran, ours or not."""
    transactions: float
    oplog_bytes: float
    journal_bytes: float
    messages: float
    """That left through the outbox."""

    def __sub__(self, other: Weight) -> Weight:
        return Weight(**{f.name: getattr(self, f.name) - getattr(other, f.name) for f in fields(self)})

    @property
    def others(self) -> float:
        """Processor time of what is none of ours."""
        ours = self.slots + self.parents + self.gateway + self.monitor + self.mongod + self.broker
        return max(0.0, self.machine - ours)


class Scales:
    """Reads all of it. Servers and services must be on this machine, whose kernel says what each has used."""

    def __init__(self, rig_: Rig, *, management_url: str, worker: Service) -> None:
        self._rig = rig_
        self._worker = worker
        self._nodes = [int(node["os_pid"]) for node in rabbitmq.call(management_url, "GET", "/api/nodes")]
        self._since = self._newest_oplog_entry()

    def read(self) -> Weight:
        """Blocking: reads the oplog since these scales were made."""
        admin = self._rig.db.client.admin
        status: dict[str, Any] = admin.command("serverStatus")
        outbox = admin.command("top")["totals"].get(f"{self._rig.db.db.name}.outbox", {"remove": {"count": 0}})
        return Weight(
            slots=_seconds(self._worker.children()),
            parents=_seconds([self._worker.pid]),
            gateway=self._of("gateway"),
            monitor=self._of("monitor"),
            mongod=_seconds([int(status["pid"])]),
            broker=_seconds(self._nodes),
            machine=_machine_seconds(),
            transactions=float(status["transactions"]["totalCommitted"]),
            oplog_bytes=self._oplog_bytes(),
            journal_bytes=float(status["wiredTiger"]["log"]["log bytes written"]),
            messages=float(outbox["remove"]["count"]),
        )

    def _of(self, name: str) -> float:
        found = [service for service in self._rig.services if service.name == name]
        return _seconds(pid for service in found for pid in (service.pid, *service.children()))

    def _newest_oplog_entry(self) -> Timestamp:
        newest = self._rig.db.client["local"]["oplog.rs"].find_one(sort=[("$natural", -1)], projection={"ts": 1})
        assert newest is not None
        found: Timestamp = newest["ts"]
        return found

    def _oplog_bytes(self) -> float:
        size = {"$group": {"_id": None, "bytes": {"$sum": {"$bsonSize": "$$ROOT"}}}}
        mine = {"$match": {"ts": {"$gt": self._since}}}
        return float(
            next((one["bytes"] for one in self._rig.db.client["local"]["oplog.rs"].aggregate([mine, size])), 0)
        )


def _seconds(pids: Iterable[int]) -> float:
    return sum(usage(pid)[1] for pid in pids)


def _machine_seconds() -> float:
    """Processor time that was used, by all; without idling and waiting for disks."""
    user, nice, system, _idle, _disks, *others = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8])
    return (user + nice + system + sum(others)) / TICKS_PER_SECOND
