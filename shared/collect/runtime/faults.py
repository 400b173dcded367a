"""Named places in a slot at which a test can make its process die or hang. Armed by a setting that images refuse."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.client_session import ClientSession

from collect.jobs.model import Job, Part
from collect.jobs.outcomes import Applied, Marked, TakenBack
from collect.runtime.task import Chunk, ChunkSize, PlannedPart, Task

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(frozen=True, kw_only=True)
class _Point:
    where: str
    action: str
    row: int | None
    once: Path | None


class FaultPoints:
    """``where:action[:row=N][:once=FILE]``, several with commas between.

    ``where``: ``before_chunk``, ``in_transaction`` (written, not committed), ``after_commit`` (before anything is said
    of it), ``in_undo``, ``in_plan``, ``in_finish``. ``action``: ``kill`` or ``stop``, the signal that the process sends
    itself. ``row``: only at the chunk that holds this row. ``once``: only while FILE does not exist; it is made first.
    """

    def __init__(self, points: tuple[_Point, ...]) -> None:
        self._points = points

    @classmethod
    def read(cls, text: str) -> FaultPoints:
        """Read the setting; empty means none."""
        return cls(tuple(_parsed(point) for point in text.split(",") if point))

    def around(self, task: Task) -> Task:
        """The task with the points in it, or the task itself when there are none."""
        return _Faulty(task, self) if self._points else task

    def reach(self, where: str, *, rows: range | None = None) -> None:
        """Do what is armed for this place."""
        for point in self._points:
            if point.where != where or (point.row is not None and rows is not None and point.row not in rows):
                continue
            if point.once is not None:
                if point.once.exists():
                    continue
                point.once.touch()
            os.kill(os.getpid(), _SIGNALS[point.action])


class _Faulty:
    """A task that reaches the fault points."""

    def __init__(self, task: Task, points: FaultPoints) -> None:
        self.kind = task.kind
        self._task = task
        self._points = points

    def plan(self, job: Job) -> Iterator[PlannedPart | None]:
        self._points.reach("in_plan")
        return self._task.plan(job)

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        first = part.cursor.get("row", 1)
        for chunk in self._task.chunks(job, part, size):
            rows = range(first, first + chunk.rows)
            self._points.reach("before_chunk", rows=rows)
            yield chunk
            self._points.reach("after_commit", rows=rows)
            first += chunk.rows

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        applied = self._task.apply(job, part, chunk, entry_id=entry_id, session=session)
        end = chunk.cursor.get("row", 1)
        self._points.reach("in_transaction", rows=range(end - chunk.rows, end))
        return applied

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        taken = self._task.undo(job, record, entry_id=entry_id, session=session)
        self._points.reach("in_undo")
        return taken

    def still_marked(self, job: Job, record: dict[str, Any], *, entry_id: str) -> Marked:
        return self._task.still_marked(job, record, entry_id=entry_id)

    def finish(self, job: Job) -> Iterator[dict[str, Any] | None]:
        self._points.reach("in_finish")
        return self._task.finish(job)


def _parsed(text: str) -> _Point:
    where, action, *options = text.split(":")
    chosen = dict(option.split("=", 1) for option in options)
    if action not in _SIGNALS:
        raise ValueError(f"a fault point's action is one of {', '.join(_SIGNALS)}, not {action!r}")
    return _Point(
        where=where,
        action=action,
        row=int(chosen["row"]) if "row" in chosen else None,
        once=Path(chosen["once"]) if "once" in chosen else None,
    )
