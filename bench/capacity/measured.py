"""Measure the constants on the running system, and the arithmetic beside real uploads.

    make bench ONLY=capacity ROWS=500000

Servers and services must be on this machine: its kernel counts the processor time of each process.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import requests
from pymongo.read_concern import ReadConcern

import exports
import small
from capacity.constants import value
from collect.demo import survey
from collect.jobs.states import State
from collect.protocol import maintenance
from collect.runtime.processes import usage
from collect.testing.system import Service, eventually
from rig import ORG, Rig, rig, say
from stack import rabbitmq

ROUNDS = 3
SLOTS = (1, 2, 3, 4)
CROWDS = (1_000, 10_000)
"""Jobs that wait for the monitor's query."""
BATCH = 1_000
SMALL_JOBS = 200
IDLE_SECONDS = 10.0
TICKS_PER_SECOND = 100  # of `/proc/stat`, on every usual Linux
PROCESSES = ("slots", "mongod", "parent", "gateway", "monitor", "broker")

Cost = dict[str, float]
"""Processor seconds of each process, the `machine` and `others` (not ours), bytes, counts, and `seconds` passed."""


def processor_seconds(pids: Iterable[int]) -> float:
    return sum(usage(pid)[1] for pid in pids)


def counters(rig_: Rig, worker: Service) -> Cost:
    """Return what each process and server has counted since it started."""
    status: dict[str, Any] = rig_.db.client.admin.command("serverStatus")
    collections = rig_.db.client.admin.command("top")["totals"]
    outbox = collections.get(f"{rig_.db.db.name}.outbox", {"remove": {"count": 0}})
    nodes = rabbitmq.call(os.environ["RABBITMQ_MANAGEMENT_URL"], "GET", "/api/nodes")
    user, nice, system, _idle, _disks, *others = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8])
    services = {
        name: processor_seconds(pid for one in rig_.services if one.name == name for pid in (one.pid, *one.children()))
        for name in ("gateway", "monitor")
    }
    return {
        "slots": processor_seconds(worker.children()),
        "parent": processor_seconds([worker.pid]),
        "mongod": processor_seconds([int(status["pid"])]),
        "broker": processor_seconds(int(node["os_pid"]) for node in nodes),
        "machine": (user + nice + system + sum(others)) / TICKS_PER_SECOND,
        "transactions": float(status["transactions"]["totalCommitted"]),
        "journal": float(status["wiredTiger"]["log"]["log bytes written"]),
        "messages": float(outbox["remove"]["count"]),
        "seconds": time.monotonic(),
        **services,
    }


def cost(rig_: Rig, worker: Service, work: Callable[[], object]) -> Cost:
    """Do the work and return what it cost."""
    oplog = rig_.db.client["local"]["oplog.rs"]
    newest = oplog.find(sort=[("$natural", -1)], limit=1).next()["ts"]
    before = counters(rig_, worker)
    work()
    spent = {name: amount - before[name] for name, amount in counters(rig_, worker).items()}
    spent["others"] = max(0.0, spent["machine"] - sum(spent[name] for name in PROCESSES))
    size = {"$group": {"_id": None, "bytes": {"$sum": {"$bsonSize": "$$ROOT"}}}}
    spent["oplog"] = sum(each["bytes"] for each in oplog.aggregate([{"$match": {"ts": {"$gt": newest}}}, size]))
    return spent


def show(what: str, spent: Cost, *, many: int, unit: str = "µs") -> None:
    """Print the cost of one of ``many``."""
    times = {"µs": 1e6, "ms": 1e3}[unit]
    each = ", ".join(f"{name} {spent[name] / many * times:.2f}" for name in PROCESSES)
    counts = ", ".join(f"{spent[name] / many:.2g} {name}" for name in ("messages", "transactions"))
    size = f"oplog {spent['oplog'] / many:.0f} B, journal {spent['journal'] / many:.0f} B"
    say(f"{what}: {each} {unit}; {size}; {counts}")


def uploads(rig_: Rig, rows: int) -> None:
    """Measure rows inserted, upserted, and both undone, with one slot."""
    worker = rig_.worker(slots=1)
    file = rig_.client.files.upload(rig_.file(rows, rejects=100))
    jobs: list[str] = []

    def write(mode: str) -> None:
        jobs.append(rig_.create(file.id, mode=mode))
        rig_.until(jobs[-1], State.SUCCEEDED)

    def undo() -> None:
        rig_.client.jobs.undo(jobs[-1], reason="bench")
        rig_.until(jobs.pop(), State.UNDONE)

    steps = {
        "upload": lambda: write("insert"),
        "upsert": lambda: write("upsert"),
        "undo upsert": undo,
        "undo upload": undo,
    }
    for what, work in steps.items():
        show(f"{what}, a row", cost(rig_, worker, work), many=rows)
        rig_.db.client.admin.command("fsync")
        stats = [rig_.db.db.command("collStats", name) for name in ("rows", "ledger", "rejects")]
        say(f"  {sum(each['storageSize'] + each['totalIndexSize'] for each in stats) / rows:.0f} B a row on disk")


def downloads(rig_: Rig, rows: int) -> None:
    """Measure an export with one slot: the second of two, so that the cache is warm."""
    exports.seed(rig_, rows)
    worker = rig_.worker(kind="export", slots=1)

    def export() -> None:
        job = rig_.client.jobs.create("export", {"form_id": survey.FORM_ID}, reason="bench", confirm="never")
        rig_.until(job.id, State.SUCCEEDED)

    export()
    show("export, a row", cost(rig_, worker, export), many=rows)


def small_jobs(rig_: Rig, _rows: int) -> None:
    """Measure jobs of `small.ROWS` rows, one after the other, each with its file; then no work."""
    limits = {"limits.requests_per_minute": 1_000_000, "limits.concurrent_jobs": 1_000}
    rig_.db.orgs.update_one({"_id": ORG}, {"$set": limits})
    for number in range(small.DATASETS):
        rig_.dataset(small.dataset(number))
    worker, sender = rig_.worker(slots=2), small.Sender(rig_, rows=small.ROWS)

    def send(first: int, many: int) -> None:
        before = small.ended(rig_.db)
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {rig_.token}"
            for number in range(first, first + many):
                sender.send(session, number)
        eventually(lambda: small.ended(rig_.db) == before + many, seconds=600, what="all small jobs have succeeded")

    send(0, small.DATASETS)
    sent = cost(rig_, worker, lambda: send(small.DATASETS, SMALL_JOBS))
    show(f"a job of {small.ROWS} rows", sent, many=SMALL_JOBS, unit="ms")
    idle = cost(rig_, worker, lambda: time.sleep(IDLE_SECONDS))  # the time is what is measured
    show("a second without work", idle, many=round(idle["seconds"]), unit="ms")


def crowd(rig_: Rig, rows: int) -> None:
    """Count connections after a job; time the monitor's query with many waiting jobs, which are copies of that job."""
    rig_.worker(slots=2)
    job_id = rig_.upload(rig_.file(rows, rejects=100))
    rig_.until(job_id, State.SUCCEEDED)
    admin = rig_.db.client.get_database("admin", read_concern=ReadConcern("local"))
    ops = admin.aggregate([{"$currentOp": {"idleConnections": True, "allUsers": True}}])
    say(f"database connections: {dict(Counter(str(op.get('appName')) for op in ops if op.get('client')))}")
    job, part = rig_.db.jobs.find_one({"_id": job_id}), rig_.db.parts.find_one({"_id": f"{job_id}:0"})
    assert job is not None
    assert part is not None
    for service in reversed(rig_.services):
        service.stop()
    copied = 0
    for many in CROWDS:
        while copied < many:
            ids = [f"01kwaiting{n:016d}" for n in range(copied, copied + BATCH)]
            copied += BATCH
            rig_.db.jobs.insert_many({**job, "_id": id_, "state": State.QUEUED.value, "lock": None} for id_ in ids)
            rig_.db.parts.insert_many({**part, "_id": f"{id_}:0", "job_id": id_, "status": "idle"} for id_ in ids)
        began = time.monotonic()
        maintenance.runnable_jobs(rig_.db)
        say(f"{many:,} waiting jobs: the monitor's query takes {(time.monotonic() - began) * 1000:.0f} ms")


def upload_cost(rows: int, slots: int) -> Cost:
    """Return the cost of one upload in a fresh database: a warm cache would change it."""
    with rig() as rig_:
        worker = rig_.worker(slots=slots)
        file = rig_.client.files.upload(rig_.file(rows, rejects=100))
        return cost(rig_, worker, lambda: rig_.until(rig_.create(file.id), State.SUCCEEDED))


def rates(rows: int) -> None:
    """Print rows per second by slots: measured, and by arithmetic from the costs of one slot and the cores left."""
    runs = [(slots, upload_cost(rows, slots)) for _ in range(ROUNDS) for slots in SLOTS]
    slot, database = (statistics.median(run[name] / rows for n, run in runs if n == 1) for name in ("slots", "mongod"))
    for slots in SLOTS:
        of_slots = [run for n, run in runs if n == slots]
        measured = statistics.median(rows / run["seconds"] for run in of_slots)
        others = statistics.median(run["others"] / run["seconds"] for run in of_slots)
        cores = (os.cpu_count() or 1) - others
        most = min(slots / max(slot, database), cores / (slot + database)) / (1 + value("CONTENTION") * (slots - 1))
        say(f"{slots} slots, {cores:.1f} cores: {measured:,.0f} rows/s measured, {most:,.0f} at most by arithmetic")


def main(*, rows: int = 500_000) -> None:
    rates(rows)
    for measure in (uploads, downloads, small_jobs, crowd):
        with rig() as rig_:
            measure(rig_, rows)
