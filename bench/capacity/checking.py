"""The model beside a measured run: the same files by one to four slots, and small jobs beside a big one.

    make bench ONLY=capacity ROWS=500000

Prints what a row costs each process, then model, measurement and error. The model is told two things of the run: what a
row cost the slot and the database with one slot, which is how fast the machine is at the moment, and how many cores
what else ran on it left. All else is the rules of the product and the constants.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from random import Random

from capacity import costing, costs, crowding
from capacity.costs import Costs
from capacity.jobs import Arrival, Place
from capacity.simulation import simulate
from capacity.weighing import Scales, Weight
from collect.client.models import Job
from collect.jobs.states import State
from collect.testing.system import eventually
from rig import Rig, percentile, rig, say

ROUNDS = 3
SLOTS = (1, 2, 3, 4)
SMALL_ROWS = 1_000
SMALL_JOBS = 10
BIG_TIMES = 4
"""As many times the rows has the file that small jobs come beside."""
CORES = float(os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One upload, and what it cost."""

    slots: int
    seconds: float
    rows: int
    weight: Weight

    @property
    def rate(self) -> float:
        return self.rows / self.seconds

    @property
    def cores(self) -> float:
        """What the rest of the machine left."""
        return CORES - self.weight.others / self.seconds


def weighed(rig_: Rig, rows: int, *, slots: int) -> Run:
    """An upload by a worker of its own, with its weight."""
    worker = rig_.worker(slots=slots)
    file = rig_.client.files.upload(rig_.file(rows, rejects=100))
    scales = Scales(rig_, management_url=os.environ["RABBITMQ_MANAGEMENT_URL"], worker=worker)
    before, began = scales.read(), time.monotonic()
    job_id = rig_.create(file.id)
    rig_.until(job_id, State.SUCCEEDED)
    seconds, after = time.monotonic() - began, scales.read()
    worker.stop()
    return Run(slots=slots, seconds=seconds, rows=rows, weight=after - before)


def once(rows: int, slots: int) -> Run:
    """In a fresh database, since what is in the cache already makes a difference."""
    with rig() as rig_:
        return weighed(rig_, rows, slots=slots)


def here(runs: Sequence[Run]) -> Costs:
    """The costs of an upload as they are at the moment: those of the constants, times what one slot has shown."""
    alone = [run for run in runs if run.slots == 1]
    slot = statistics.median(run.weight.slots / run.rows for run in alone)
    database = statistics.median(run.weight.mongod / run.rows for run in alone)
    upload = costs.UPLOAD
    slower = database / (upload.database_seconds + upload.later_seconds)
    return replace(
        upload,
        slot_seconds=slot,
        database_seconds=upload.database_seconds * slower,
        later_seconds=upload.later_seconds * slower,
        change_seconds=upload.change_seconds * slower,
    )


def place(slots: int, cores: float) -> Place:
    return Place(slots=slots, cores=cores, together=True, contention=costs.CONTENTION)


def told(runs: Sequence[Run]) -> None:
    """What a row costs, by who pays."""
    for slots in SLOTS:
        mine = [run for run in runs if run.slots == slots]
        each = {
            field.name: statistics.median(getattr(run.weight, field.name) / run.rows for run in mine)
            for field in fields(Weight)
        }
        paying = ("slots", "mongod", "parents", "monitor", "broker")
        times = ", ".join(f"{name} {each[name] * 1e6:.2f}" for name in paying)
        sent = {name: each[name] * mine[0].rows for name in ("transactions", "messages")}
        say(
            f"{slots} slot(s): µs a row: {times}; oplog {each['oplog_bytes']:.0f} B, "
            f"journal {each['journal_bytes']:.0f} B a row; {sent['transactions']:.0f} transactions, "
            f"{sent['messages']:.0f} messages"
        )


def rates(runs: Sequence[Run], cost: Costs) -> list[float]:
    """Rows a second by model and by measurement; returns the errors."""
    errors = []
    for slots in SLOTS:
        mine = [run for run in runs if run.slots == slots]
        measured = statistics.median(run.rate for run in mine)
        modelled = statistics.median(
            simulate([Arrival(at=0, rows=run.rows)], place=place(slots, run.cores), costs=cost, seed=n).rows_per_second
            for n, run in enumerate(mine)
        )
        errors.append(modelled / measured - 1)
        say(
            f"{slots} slot(s): measured {measured:,.0f} rows/s ({min(run.rate for run in mine):,.0f} to "
            f"{max(run.rate for run in mine):,.0f}), model {modelled:,.0f}, error {errors[-1]:+.0%}; "
            f"{statistics.median(run.cores for run in mine):.1f} of {CORES:.0f} cores left"
        )
    return errors


def first_chunk(rig_: Rig, job_id: str) -> bool:
    return rig_.db.ledger.find_one({"job_id": job_id}, {"_id": 1}) is not None


def beside(rows: int) -> tuple[list[float], list[float], float]:
    """Seconds to the first chunk, and to the end, of small jobs beside a big one; and the cores that were left."""
    waited, took = [], []
    with rig() as rig_:
        rig_.dataset("small")
        worker = rig_.worker(slots=2)
        small = rig_.client.files.upload(rig_.file(SMALL_ROWS))
        big = rig_.upload(rig_.file(rows * BIG_TIMES, rejects=100))
        eventually(lambda: rig_.written(big) > 0, seconds=60, what="the big one writes")
        scales = Scales(rig_, management_url=os.environ["RABBITMQ_MANAGEMENT_URL"], worker=worker)
        before, began = scales.read(), time.monotonic()
        for _ in range(SMALL_JOBS):
            asked = time.monotonic()
            job_id = rig_.create(small.id, dataset="small", mode="upsert")
            eventually(partial(first_chunk, rig_, job_id), seconds=60, what="the small one writes")
            waited.append(time.monotonic() - asked)
            took.append(waited[-1] + rig_.until(job_id, State.SUCCEEDED))
            _alone_again(rig_, big)
        assert rig_.state(big) is State.RUNNING, "the big one has ended first: ask for more ROWS"
        weight, seconds = scales.read() - before, time.monotonic() - began
        rig_.client.jobs.terminate(big, reason="bench")
    return waited, took, CORES - weight.others / seconds


def _alone_again(rig_: Rig, big: str) -> None:
    """Both slots are at the big one again, so that the next small one finds them as the first did."""

    def held() -> Job | None:
        out = rig_.db.parts.count_documents({"job_id": big, "status": "leased"})
        return rig_.client.jobs.get(big) if out == 2 else None

    eventually(held, seconds=60, what="the big one has both slots")


def modelled_beside(rows: int, cost: Costs, cores: float) -> list[float]:
    """Seconds to the first chunk of small jobs that come to a big one at any moment."""
    random = Random(1)
    small = [Arrival(at=5 + 4 * n + 2 * random.random(), rows=SMALL_ROWS, name="small") for n in range(100)]
    big = Arrival(at=0, rows=rows * 100, name="big")
    return [
        job.waited for job in simulate([big, *small], place=place(2, cores), costs=cost, seconds=500).named("small")
    ]


def main(*, rows: int = 500_000) -> None:
    runs = [once(rows, slots) for _ in range(ROUNDS) for slots in SLOTS]
    told(runs)
    cost = here(runs)
    errors = rates(runs, cost)
    mean, largest = statistics.mean(map(abs, errors)), max(map(abs, errors))
    say(f"load {os.getloadavg()[0]:.1f}; mean error {mean:.0%}, largest {largest:.0%}")
    waited, took, cores = beside(rows)
    modelled = modelled_beside(rows, cost, cores)
    say(
        f"small beside big, first chunk: measured p50 {statistics.median(waited):.1f} s, largest {max(waited):.1f} s "
        f"(done {statistics.median(took):.1f} s); model p50 {statistics.median(modelled):.1f} s, "
        f"p95 {percentile(modelled, 0.95):.1f} s, largest {max(modelled):.1f} s; {cores:.1f} cores left"
    )
    costing.main(rows=rows)
    crowding.main(rows=rows)
