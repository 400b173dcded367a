"""Workers, their queue and the database as a simulation of discrete events, by the rules of the product.

A slot takes the queue's first part, makes a chunk while the last one commits, and gives the part back when its slice is
over: after a minute when it is alone, after a second when another job waits. The same arrivals with the same seed give
the same outcome, event by event; nothing is read from a clock.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from functools import partial

from capacity import costs as rules
from capacity.costs import Costs
from capacity.jobs import Arrival, Held, Job, Outcome, Part, Place
from capacity.slots import Slice
from capacity.stations import Clock, Station

SPREAD = 0.1
"""Chunks differ: each costs up to this share more or less than the mean, drawn from the seed."""


def simulate(
    arrivals: Sequence[Arrival], *, place: Place, costs: Costs, seed: int = 1, seconds: float = math.inf
) -> Outcome:
    """Run until all jobs have ended, or for so many seconds."""
    return Fleet(place=place, costs=costs, seed=seed).run(arrivals, seconds=seconds)


class Fleet:
    """The slots of one kind, their queue, and the database behind them."""

    def __init__(self, *, place: Place, costs: Costs, seed: int) -> None:
        self.costs = costs
        self.paces: dict[int, tuple[Job, int]] = {}
        """How big a chunk of which job each slot has come to."""
        self.workers = Station(cores=place.cores, contention=place.contention if place.together else 0.0)
        self.database = self.workers
        if not place.together:
            self.database = Station(cores=place.database_cores, contention=place.contention)
        self.clock = Clock([self.workers] if place.together else [self.workers, self.database])
        self._place = place
        self._random = random.Random(seed)
        self._jobs: list[Job] = []
        self._held: list[Held] = []
        self._queue: deque[tuple[float, Part]] = deque()
        self._free = deque(range(place.slots))
        self._left = 0

    def run(self, arrivals: Sequence[Arrival], *, seconds: float = math.inf) -> Outcome:
        self._left = len(arrivals)
        for arrival in arrivals:
            self.clock.after(arrival.at, partial(self._arrive, arrival))
        self.clock.after(rules.MONITOR_TICK_SECONDS, self._tick)
        self.clock.run(until=lambda: self._left == 0, seconds=seconds)
        ran = self.clock.now if self._left == 0 else seconds
        use = self.database.busy_seconds / (self.database.cores * ran) if ran else 0.0
        return Outcome(jobs=self._jobs, held=self._held, seconds=ran, database_use=use)

    # What a slice asks of its fleet.

    def spread(self) -> float:
        return 1.0 + self._random.uniform(-SPREAD, SPREAD)

    def slice_seconds(self, part: Part) -> float:
        """`collect.runtime.pacing.Queue.slice_seconds`."""
        if any(waits.job is not part.job for _, waits in self._queue):
            return rules.SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS
        if self._queue:
            plans = part.phase == "plan"
            return rules.PLAN_SECONDS_WHEN_OWN_PARTS_WAIT if plans else rules.SLICE_SECONDS_WHEN_OWN_PARTS_WAIT
        return rules.SLICE_SECONDS

    def planned(self, job: Job, rows: int) -> None:
        """So many more rows have been planned: their parts stand, and go out as the window allows."""
        job.planned += rows
        stand = sum(part.rows for part in job.parts)
        while (size := self.costs.part_rows(stand, job.arrival.rows)) and stand + size <= job.planned:
            job.parts.append(Part(job=job, n=len(job.parts), rows=size))
            stand += size
        self._feed(job)

    def let_go(self, held: Held, part: Part) -> None:
        """The slice is over: the job's next parts go out, and the slot takes the next message."""
        held.ended = self.clock.now
        part.out = False
        job = part.job
        if job.is_written and (part.phase == "finish" or len(job.parts) == 1):
            job.ended_at = self.clock.now
            self._left -= 1
        elif job.is_written and not any(one.out for one in job.parts):
            job.parts[0].phase = "finish"
            self._publish(job.parts[0])
        else:
            self._feed(job, after=part.n)
        self._free.append(held.slot)
        self._hand_out()

    # The queue.

    def _publish(self, part: Part) -> None:
        part.out = True
        self._queue.append((self.clock.now, part))
        self._hand_out()

    def _feed(self, job: Job, *, after: int = 0) -> None:
        """`collect.storage.feeding.feed`: idle parts behind ``after`` go out, round and round, up to the window."""
        out = sum(part.out for part in job.parts)
        idle = sorted((part for part in job.parts if part.waits), key=lambda part: (part.n <= after, part.n))
        for part in idle[: max(0, job.window - out)]:
            self._publish(part)

    def _hand_out(self) -> None:
        while self._queue and self._free:
            asked, part = self._queue.popleft()
            slot = self._free.popleft()
            held = Held(slot=slot, job=part.job, n=part.n, asked=asked, began=self.clock.now)
            self._held.append(held)
            Slice(self, part, held).begin()

    def _arrive(self, arrival: Arrival) -> None:
        job = Job(arrival=arrival)
        self._jobs.append(job)
        alone = self.costs.part_rows(0, arrival.rows) >= arrival.rows
        job.planned = arrival.rows if alone else 0
        job.parts.append(Part(job=job, n=0, rows=job.planned, phase="run" if alone else "plan"))
        self._publish(job.parts[0])

    def _tick(self) -> None:
        """The monitor: windows by the slots and the jobs that have parts out (`collect.storage.upkeep.set_windows`)."""
        going = [job for job in self._jobs if math.isinf(job.ended_at)]
        active = sum(any(part.out for part in job.parts) for job in going)
        for job in going:
            job.window = max(1, math.ceil(self._place.slots / max(1, active))) + self._place.spare
            self._feed(job)
        self.clock.after(rules.MONITOR_TICK_SECONDS, self._tick)
