"""A slot's time with one part: chunks made ahead, commits, looks, and the end of the slice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from capacity import costs as rules
from capacity.jobs import Held, Part

if TYPE_CHECKING:
    from capacity.simulation import Fleet
    from capacity.stations import Act


class Slice:
    """From the claim to the release, by the rules of `collect.runtime.slice`."""

    def __init__(self, fleet: Fleet, part: Part, held: Held) -> None:
        self._fleet = fleet
        self._part = part
        self._held = held
        self._looked = self._began = self._committed_at = fleet.clock.now
        self._seconds = 0.0
        self._made = part.done
        """How far rows of the part have been made into chunks."""
        self._ready: list[int] = []
        self._making = self._committing = False
        job, rows = fleet.paces.get(held.slot, (None, 0))
        self._rows = rows if job is part.job else fleet.costs.first_rows

    def begin(self) -> None:
        self._fleet.clock.after(self._fleet.costs.change_seconds, self._claimed)

    def _claimed(self) -> None:
        self._look()
        self._committed_at = self._fleet.clock.now
        match self._part.phase:
            case "plan":
                self._plan()
            case "finish":
                self._finish()
            case _:
                self._make()

    def _plan(self) -> None:
        """One step of it, then the next."""
        job, each = self._part.job, self._fleet.costs.plan_seconds
        left = job.arrival.rows - job.planned
        rows = min(left, math.ceil(rules.PLAN_STEP_SECONDS / each)) if each else left

        def planned() -> None:
            self._fleet.planned(job, rows)
            if job.is_planned or self._is_over():
                self._let_go()
            else:
                self._plan()

        self._compute(rows * each, planned)

    def _make(self) -> None:
        """The next chunk, while there is one and room for it."""
        rows = min(self._rows, self._part.rows - self._made)
        if self._making or rows <= 0 or len(self._ready) >= rules.READY_CHUNKS or self._is_let_go():
            return
        self._making = True
        self._made += rows

        def made() -> None:
            self._making = False
            self._ready.append(rows)
            self._commit()
            self._make()

        self._compute(rows * self._fleet.costs.slot_seconds * self._fleet.spread(), made)

    def _commit(self) -> None:
        if self._committing or not self._ready or self._is_let_go():
            return
        self._committing = True
        rows, clock = self._ready.pop(0), self._fleet.clock

        def written() -> None:
            clock.after(self._fleet.costs.commit_seconds, lambda: self._committed(rows))

        seconds = rows * self._fleet.costs.database_seconds * self._fleet.spread()
        self._fleet.database.begin(clock.now, seconds=seconds, then=written)

    def _committed(self, rows: int) -> None:
        self._committing = False
        part, now = self._part, self._fleet.clock.now
        self._fleet.database.begin(now, seconds=rows * self._fleet.costs.later_seconds, then=_nothing)
        part.done += rows
        part.job.rows_done += rows
        part.job.first_at = min(part.job.first_at, now)
        self._pace(rows, now - self._committed_at)
        self._committed_at = now
        if part.done >= part.rows and len(part.job.parts) == 1:
            self._finish()
        elif part.done >= part.rows or self._is_over():
            self._let_go()
        else:
            self._commit()
            self._make()

    def _pace(self, rows: int, seconds: float) -> None:
        """`collect.runtime.pacing.Pace`: towards chunks of a quarter of a second."""
        costs = self._fleet.costs
        if rows >= self._rows and seconds > 0:
            factor = min(2.0, max(0.5, rules.CHUNK_SECONDS / seconds))
            self._rows = round(min(costs.most_rows, max(costs.first_rows, self._rows * factor)))
        self._fleet.paces[self._held.slot] = (self._part.job, self._rows)

    def _finish(self) -> None:
        self._compute(self._part.job.arrival.rows * self._fleet.costs.finish_seconds, self._let_go)

    def _is_over(self) -> bool:
        now = self._fleet.clock.now
        if now - self._looked >= rules.LOOK_SECONDS:
            self._look()
        return now - self._began >= self._seconds

    def _look(self) -> None:
        self._looked = self._fleet.clock.now
        self._seconds = self._fleet.slice_seconds(self._part)

    def _is_let_go(self) -> bool:
        return math.isfinite(self._held.ended)

    def _compute(self, seconds: float, then: Act) -> None:
        self._fleet.workers.begin(self._fleet.clock.now, seconds=seconds, then=then)

    def _let_go(self) -> None:
        self._fleet.let_go(self._held, self._part)


def _nothing() -> None:
    """Nobody waits for it."""
