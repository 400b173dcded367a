"""What a row of each kind, a small job, and a second without work cost each process: the constants, measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import requests

import exports
import small
from capacity.weighing import Scales, Weight
from collect.admin import survey
from collect.jobs.states import State
from collect.testing.system import Service, eventually
from rig import ORG, Rig, rig, say

IDLE_SECONDS = 10.0
SMALL_JOBS = 200


def weigh(rig_: Rig, worker: Service, work: Callable[[], object]) -> tuple[Weight, float]:
    """What the work has cost, and its seconds."""
    scales = Scales(rig_, management_url=os.environ["RABBITMQ_MANAGEMENT_URL"], worker=worker)
    before, began = scales.read(), time.monotonic()
    work()
    seconds, after = time.monotonic() - began, scales.read()
    return after - before, seconds


def told(what: str, weight: Weight, *, many: int, unit: str, times: float) -> None:
    """A line: processor time in ``unit``, of which a second has ``times``, and bytes of each of ``many``."""
    each = {
        name: getattr(weight, name) / many * times
        for name in ("slots", "mongod", "parents", "gateway", "monitor", "broker")
    }
    shown = ", ".join(f"{name} {value:.2f}" for name, value in each.items())
    say(f"{what}: {shown} {unit}; oplog {weight.oplog_bytes / many:.0f} B, journal {weight.journal_bytes / many:.0f} B")
    say(f"  {weight.messages / many:.2g} messages, {weight.transactions / many:.2g} transactions")


def uploads(rig_: Rig, rows: int) -> None:
    """Written anew, written over, and both taken back, with one slot; bytes on disk."""
    worker = rig_.worker(slots=1)
    file = rig_.client.files.upload(rig_.file(rows, rejects=100))
    made: list[str] = []

    def written(mode: str) -> None:
        made.append(rig_.create(file.id, mode=mode))
        rig_.until(made[-1], State.SUCCEEDED)

    def taken_back() -> None:
        job_id = made.pop()
        rig_.client.jobs.undo(job_id, reason="bench")
        rig_.until(job_id, State.UNDONE)

    for what, work in (
        ("upload", lambda: written("insert")),
        ("upsert", lambda: written("upsert")),
        ("upsert taken back", taken_back),
        ("upload taken back", taken_back),
    ):
        weight, _ = weigh(rig_, worker, work)
        told(f"{what}, a row", weight, many=rows, unit="µs", times=1e6)
        rig_.db.client.admin.command("fsync")
        say(f"  {stored(rig_, 'rows', 'ledger', 'rejects') / rows:.0f} B a row on disk")
    worker.stop()


def stored(rig_: Rig, *names: str) -> float:
    """Bytes on disk of these collections, with their indexes."""
    found = [rig_.db.db.command("collStats", name) for name in names]
    return float(sum(one["storageSize"] + one["totalIndexSize"] for one in found))


def downloads(rig_: Rig, rows: int) -> None:
    """An export with one slot."""
    exports.seed(rig_, rows)
    worker = rig_.worker(kind="export", slots=1)

    def exported() -> None:
        job = rig_.client.jobs.create("export", {"form_id": survey.FORM_ID}, reason="bench", confirm="never")
        rig_.until(job.id, State.SUCCEEDED)

    exported()  # what is in the cache afterwards is what is measured
    weight, _ = weigh(rig_, worker, exported)
    told("export, a row", weight, many=rows, unit="µs", times=1e6)
    worker.stop()


def small_jobs(rig_: Rig) -> None:
    """Jobs of 50 rows, one after the other, each with its file."""
    limits = {"limits.requests_per_minute": 1_000_000, "limits.concurrent_jobs": 1_000}
    rig_.db.orgs.update_one({"_id": ORG}, {"$set": limits})
    for number in range(small.DATASETS):
        rig_.dataset(small.dataset(number))
    worker, sender = rig_.worker(slots=2), small.Sender(rig_, rows=small.ROWS)

    def sent(first: int, many: int) -> None:
        before = small.ended(rig_.db)
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {rig_.token}"
            for number in range(first, first + many):
                sender.send(session, number)
        eventually(lambda: small.ended(rig_.db) == before + many, seconds=600, what="they have succeeded")

    sent(0, small.DATASETS)
    weight, seconds = weigh(rig_, worker, lambda: sent(small.DATASETS, SMALL_JOBS))
    told(f"a job of {small.ROWS} rows", weight, many=SMALL_JOBS, unit="ms", times=1e3)
    say(f"  {SMALL_JOBS / seconds:.1f} a second, by one client")
    weight, seconds = weigh(rig_, worker, lambda: time.sleep(IDLE_SECONDS))  # the time is what is measured
    told("a second without work", weight, many=round(seconds), unit="ms", times=1e3)
    worker.stop()


def main(*, rows: int) -> None:
    for measured in (lambda r: uploads(r, rows), lambda r: downloads(r, rows), small_jobs):
        with rig() as rig_:
            measured(rig_)
