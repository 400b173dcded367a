"""Named places in a slot where a test can make the process die, stop or wait.

They are set by a setting (``COLLECT_FAULT_POINTS``). A worker in a released image refuses to start with it.
"""

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
        """Return whether the point acts here and now. A point with ``once`` creates its file, and then acts no more."""
        if self.where != where or (self.row is not None and rows is not None and self.row not in rows):
            return False
        if self.once is None:
            return True
        if self.once.exists():
            return False
        self.once.touch()
        return True


class FaultPoints:
    """The fault points of one process: ``where:action[:row=N][:seconds=S][:once=FILE]``, separated by commas.

    ``where``: ``in_chunks`` (before a slice's first chunk is made), ``in_transaction`` (after a chunk was written,
    before it is committed), ``after_commit`` (after a commit, when the next chunk of the part is about to be written:
    so never after the last chunk), ``in_undo``, ``in_plan``, ``after_planned`` (a part was found), ``in_finish``.

    ``action``: ``kill`` or ``stop``: the process sends itself SIGKILL or SIGSTOP. ``sleep``: it waits for ``seconds``
    and shows no life. ``linger``: it waits for ``seconds`` and shows life (only while planning and finishing).
    ``hold``: it waits until a test writes something into FILE.

    ``row``: act only at the chunk, or the planned part, that contains this row. ``once``: act only if FILE does not
    exist; the point creates FILE before it acts.
    """

    def __init__(self, points: tuple[_Point, ...]) -> None:
        self._points = points

    @classmethod
    def read(cls, text: str) -> FaultPoints:
        """Return the fault points of the setting ``text``. An empty text means none.

        Raises:
            ValueError: an unknown action, or a ``hold`` without a file.
        """
        return cls(tuple(_parsed(point) for point in text.split(",") if point))

    def around(self, task: Task) -> Task:
        """Return ``task`` with the fault points in it, or ``task`` itself when there are none."""
        return _Faulty(task, self) if self._points else task

    def reach(self, where: str, *, rows: range | None = None) -> None:
        """Run the fault points that are set for this place, except ``linger``."""
        for point in self._points:
            if point.action != "linger" and point.begins(where, rows):
                _act(point)

    def linger(self, where: str, *, rows: range | None = None) -> Iterator[None]:
        """Yield ``None`` every 50 ms, for as long as a ``linger`` point for this place lasts."""
        for point in self._points:
            if point.action == "linger" and point.begins(where, rows):
                deadline = time.monotonic() + point.seconds
                while time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
                    yield None


class _Faulty:
    """A task that calls another task and runs the fault points on the way."""

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
        if self._last and self._last.stop == rows.start:  # the next chunk, not the same chunk tried again
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
    """Return the number of the row at a cursor.

    The cursors of some tasks name no row. Their parts name their first row in ``source``; ``looked_at`` is added to it.
    """
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
