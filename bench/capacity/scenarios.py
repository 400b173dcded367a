"""What the simulation is asked: questions that arithmetic cannot answer, since they are about waiting."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from capacity.costs import CONTENTION, EXPORT, UPLOAD
from capacity.jobs import Arrival, Job, Place
from capacity.simulation import simulate

SMALL_ROWS = 1_000
BIG_ROWS = 20_000_000
DATABASE_CORES = 16
SEED = 1


@dataclass(frozen=True, kw_only=True)
class Waits:
    """Seconds from a small job's request to its first chunk, and what the rest did meanwhile."""

    p50: float
    p95: float
    longest: float
    rows_per_second: float
    database_use: float


def a_place(slots: int, *, spare: int = 1) -> Place:
    """A core for each slot, and a primary of its own."""
    contention = CONTENTION / DATABASE_CORES
    return Place(slots=slots, cores=slots, database_cores=DATABASE_CORES, contention=contention, spare=spare)


def here() -> Place:
    """The machine of docs/figures.md: two cores for everything."""
    return Place(slots=2, cores=2, together=True, contention=CONTENTION)


def behind_one() -> tuple[float, float]:
    """A small export behind a huge one, which has both slots: the median and the longest wait."""
    chance = random.Random(SEED)
    small = [Arrival(at=5 + 4 * n + 2 * chance.random(), rows=SMALL_ROWS, name="small") for n in range(50)]
    ran = simulate([Arrival(at=0, rows=10 * BIG_ROWS), *small], place=here(), costs=EXPORT, seed=SEED, seconds=300)
    waited = [job.waited for job in ran.named("small")]
    return statistics.median(waited), max(waited)


def behind_three() -> float:
    """An export that comes when three others have both slots: the median wait of ten runs."""
    chance = random.Random(SEED)
    waited = []
    for seed in range(10):
        three = [Arrival(at=0.05 * n, rows=BIG_ROWS) for n in range(3)]
        late = Arrival(at=5 + chance.random(), rows=2_000_000, name="late")
        ran = simulate([*three, late], place=here(), costs=EXPORT, seed=seed, seconds=30)
        waited += [job.waited for job in ran.named("late")]
    return statistics.median(waited)


def beside(*, slots: int, big: int, spare: int = 1) -> Waits:
    """Small jobs, one every five seconds or so, beside so many big ones that were there before."""
    chance = random.Random(SEED)
    first = [Arrival(at=0.1 * n, rows=BIG_ROWS, name="big") for n in range(big)]
    small = [Arrival(at=20 + 5 * n + 5 * chance.random(), rows=SMALL_ROWS, name="small") for n in range(30)]
    ran = simulate([*first, *small], place=a_place(slots, spare=spare), costs=UPLOAD, seed=SEED, seconds=200)
    waited = sorted(job.waited for job in ran.named("small"))
    return Waits(
        p50=statistics.median(waited),
        p95=waited[round(0.95 * (len(waited) - 1))],
        longest=waited[-1],
        rows_per_second=ran.rows_per_second,
        database_use=ran.database_use,
    )


def rate(slots: int, *, rows: int = BIG_ROWS) -> Waits:
    """As many big jobs as there are slots, for a minute."""
    arrivals = [Arrival(at=0, rows=rows) for _ in range(slots)]
    ran = simulate(arrivals, place=a_place(slots), costs=UPLOAD, seed=SEED, seconds=60)
    return Waits(p50=0, p95=0, longest=0, rows_per_second=ran.rows_per_second, database_use=ran.database_use)


def morning(*, slots: int, jobs: int = 200, rows: int = 100_000) -> tuple[Sequence[Job], float]:
    """Everybody at nine: all jobs of a day within five minutes. What became of them, and when the last was done."""
    chance = random.Random(SEED)
    arrivals = [Arrival(at=300 * chance.random(), rows=rows) for _ in range(jobs)]
    ran = simulate(arrivals, place=a_place(slots), costs=UPLOAD, seed=SEED)
    return ran.jobs, ran.seconds
