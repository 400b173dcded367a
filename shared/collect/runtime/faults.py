"""Named places in a slot at which a test can make its process die, hang or dawdle. A setting that images refuse."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.client_session import ClientSession

from collect.jobs.model import Job, Part
from collect.jobs.outcomes import Applied, TakenBack
from collect.runtime.task import Chunk, ChunkSize, PlannedPart, StoredChunks, Task, Write

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_ACTIONS = (*_SIGNALS, "sleep", "linger", "hold")
_POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class _Point:
    where: str
    action: str
    row: int | None
    once: Path | None
    seconds: float

    def begins(self, where: str, rows: range | None) -> bool:
        """Whether it is to act here and now; from then on it has, when it does so once."""
        if self.where != where or (self.row is not None and rows is not None and self.row not in rows):
            return False
        if self.once is None:
            return True
        if self.once.exists():
            return False
        self.once.touch()
        return True


class FaultPoints:
    """``where:action[:row=N][:seconds=S][:once=FILE]``, several with commas between.

    ``where``: ``in_chunks`` (before a slice's first chunk is made), ``in_transaction`` (written, not committed),
    ``after_commit`` (before the next chunk of the part is written, so not behind its last one), ``in_undo``,
    ``in_plan``, ``after_planned`` (a part was found), ``in_finish``.
    ``action``: ``kill`` or ``stop``, the signal that the process sends itself; ``sleep`` for ``seconds``, silently;
    ``linger`` for ``seconds``, in steps that show life (planning and finishing only); ``hold`` until something is
    written into FILE. ``row``: only at the chunk, or the planned part, that holds this row. ``once``: only while FILE
    does not exist; it is made first.
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
            if point.action != "linger" and point.begins(where, rows):
                _act(point)

    def linger(self, where: str, *, rows: range | None = None) -> Iterator[None]:
        """Yield now and then, for as long as is armed for this place."""
        for point in self._points:
            if point.action == "linger" and point.begins(where, rows):
                deadline = time.monotonic() + point.seconds
                while time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
                    yield None


class _Faulty:
    """A task that reaches the fault points."""

    def __init__(self, task: Task, points: FaultPoints) -> None:
        self.kind = task.kind
        self.rows = task.rows
        self._task = task
        self._points = points
        self._last = range(0)

    def plan(self, job: Job, after: Part | None) -> Iterator[PlannedPart | None]:
        self._points.reach("in_plan")
        yield from self._points.linger("in_plan")
        for step in self._task.plan(job, after):
            yield step
            if step is not None:
                first = _row(step.cursor, step.source)
                rows = range(first, first + step.total)
                self._points.reach("after_planned", rows=rows)
                yield from self._points.linger("after_planned", rows=rows)

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        found = self._task.chunks(job, part, size)
        made = self._made(found)
        return StoredChunks(made, forget=found.forget) if isinstance(found, StoredChunks) else made

    def _made(self, chunks: Iterator[Chunk]) -> Generator[Chunk, None, None]:
        self._points.reach("in_chunks")
        yield from chunks

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        end = _row(chunk.cursor, part.source, part.counts.looked_at + chunk.rows)
        rows = range(end - chunk.rows, end)
        if self._last and self._last.stop == rows.start:  # and not the same chunk, tried again
            self._points.reach("after_commit", rows=self._last)
        applied = self._task.apply(job, part, chunk, entry_id=entry_id, session=session)
        self._last = rows
        self._points.reach("in_transaction", rows=rows)
        return applied

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        taken = self._task.undo(job, record, entry_id=entry_id, session=session)
        self._points.reach("in_undo")
        return taken

    def sweep(self, job: Job) -> Iterator[None]:
        return self._task.sweep(job)

    def diagnose(self, job: Job) -> str | None:
        return self._task.diagnose(job)

    def finish(self, job: Job) -> Iterator[dict[str, Any] | Write | None]:
        self._points.reach("in_finish")
        yield from self._points.linger("in_finish")
        yield from self._task.finish(job)


def _row(cursor: dict[str, Any], source: dict[str, Any], looked_at: int = 0) -> int:
    """The row at a cursor. One that names none is of a task whose parts say with which row they begin."""
    row: int = cursor.get("row", source.get("row", 1) + looked_at)
    return row


def _parsed(text: str) -> _Point:
    where, action, *options = text.split(":")
    chosen = dict(option.split("=", 1) for option in options)
    if action not in _ACTIONS:
        raise ValueError(f"a fault point's action is one of {', '.join(_ACTIONS)}, not {action!r}")
    if action == "hold" and "once" not in chosen:
        raise ValueError("a fault point that holds names the file that lets it go: once=FILE")
    return _Point(
        where=where,
        action=action,
        row=int(chosen["row"]) if "row" in chosen else None,
        once=Path(chosen["once"]) if "once" in chosen else None,
        seconds=float(chosen.get("seconds", "0")),
    )


def _act(point: _Point) -> None:
    match point.action:
        case "sleep":
            time.sleep(point.seconds)
        case "hold" if point.once is not None:
            while point.once.exists() and not point.once.stat().st_size:
                time.sleep(_POLL_SECONDS)
        case _:
            os.kill(os.getpid(), _SIGNALS[point.action])
