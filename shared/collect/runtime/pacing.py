"""The size of a chunk, the speed of a job, and the length of a slice."""

from __future__ import annotations

from dataclasses import dataclass

from collect.jobs.model import OUT, Part, Phase
from collect.runtime.task import ChunkRows, ChunkSize
from collect.storage.database import Database

CHUNK_SECONDS = 0.25
"""Seconds that a chunk should take. Its number of rows is adapted to this."""

SLOWEST_ROWS_PER_SECOND = 1e-4
"""Lowest rate limit of a part, in rows per second. A lower limit counts as this one."""

SLICE_SECONDS = 60.0
SLICE_SECONDS_WHEN_OWN_PARTS_WAIT = 10.0
PLAN_SECONDS_WHEN_OWN_PARTS_WAIT = 3.0
"""Longest slice of a plan while parts of the same job wait, in seconds.

Each change of parts costs a slot half a second. But the parts that a plan has found must begin soon, even if the worker
has only one slot.
"""
SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS = 1.0


class Pace:
    """Adapts the chunk's size to :data:`CHUNK_SECONDS` of work, and to the job's own limit of rows per second."""

    def __init__(self, rows: ChunkRows) -> None:
        self.size = ChunkSize(rows=rows.first)
        self._limit: float | None = None
        self._bounds = rows
        self._rows = rows.first
        self._most = rows.most
        self._next_most: int | None = None

    def at_most(self, rows: int) -> None:
        """Allow at most ``rows`` rows in a chunk from now on, however little time they take."""
        self._most = rows
        self._resize()

    def next_at_most(self, rows: int) -> None:
        """Allow at most ``rows`` rows in a chunk until the next chunk has been committed."""
        self._next_most = rows
        self._resize()

    def limit(self, rows_per_second: float | None) -> None:
        """Set the rate limit from now on. ``None``: no limit."""
        self._limit = None if rows_per_second is None else max(rows_per_second, SLOWEST_ROWS_PER_SECOND)
        self._resize()

    def spent(self, *, rows: int, seconds: float) -> None:
        """Adapt the size of the next chunk: the last one had ``rows`` rows and took ``seconds``."""
        if self._next_most is not None:  # the chunk was made small for another reason than its time
            self._next_most = None
            self._resize()
        elif rows >= self.size.rows and seconds > 0:
            factor = min(2.0, max(0.5, CHUNK_SECONDS / seconds))
            self._rows = round(min(self._bounds.most, max(self._bounds.fewest, self._rows * factor)))
            self._resize()

    def owed(self, *, rows: int, seconds: float) -> float:
        """Return the seconds to wait, by the current limit, after ``rows`` rows were written in ``seconds``."""
        return 0.0 if self._limit is None else max(0.0, rows / self._limit - seconds)

    def _resize(self) -> None:
        rows = min(self._rows, self._most, self._most if self._next_most is None else self._next_most)
        if self._limit is not None:
            rows = min(rows, round(self._limit * CHUNK_SECONDS))
        self.size.rows = max(1, rows)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The parts of this kind that wait for a slot, apart from the part that is running.

    ``another_job``: parts of other jobs wait. ``own_parts``: parts of the same job wait. ``plans``: the running part
    is a plan.
    """

    another_job: bool
    own_parts: bool
    plans: bool = False

    @property
    def slice_seconds(self) -> float:
        """Return how long the slice may last, in seconds.

        It is short while another job waits, so that a big job does not block a small one.
        """
        if self.another_job:
            return SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS
        if self.own_parts:
            return PLAN_SECONDS_WHEN_OWN_PARTS_WAIT if self.plans else SLICE_SECONDS_WHEN_OWN_PARTS_WAIT
        return SLICE_SECONDS


def queue_behind(db: Database, part: Part) -> Queue:
    """Return the queue, as the database has it: parts that were published and not claimed yet."""
    waits = {"status": "queued", "kind": part.kind}
    return Queue(
        another_job=db.parts.find_one({**waits, "job_id": {"$ne": part.job_id}}, {"_id": 1}) is not None,
        own_parts=db.parts.find_one({**waits, "job_id": part.job_id}, {"_id": 1}) is not None,
        plans=part.phase is Phase.PLAN,
    )


def share(db: Database, part: Part, rows_per_second: float | None) -> float | None:
    """Return this part's share of its job's rate limit, in rows per second. ``None``: the job has no limit.

    All parts that slots work on get the same share.
    """
    if rows_per_second is None:
        return None
    at_work = {"job_id": part.job_id, "status": {"$in": OUT[1:]}, "phase": {"$ne": Phase.PLAN.value}}
    running = db.parts.count_documents(at_work)
    return rows_per_second / max(1, running)
