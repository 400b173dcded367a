"""How big a chunk may be, how fast rows may go, and how long a slice may last."""

from __future__ import annotations

from dataclasses import dataclass

from collect.jobs.model import OUT, Part, Phase
from collect.runtime.task import ChunkRows, ChunkSize
from collect.storage.database import Database

CHUNK_SECONDS = 0.25

SLOWEST_ROWS_PER_SECOND = 1e-4

SLICE_SECONDS = 60.0
SLICE_SECONDS_WHEN_OWN_PARTS_WAIT = 10.0
PLAN_SECONDS_WHEN_OWN_PARTS_WAIT = 3.0
"""Each change of parts costs a slot half a second; but what a plan has found is to begin soon, with one slot too."""
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
        """From now on no more rows a chunk than this, whatever they take."""
        self._most = rows
        self._resize()

    def next_at_most(self, rows: int) -> None:
        """No more rows than this until a chunk has been committed."""
        self._next_most = rows
        self._resize()

    def limit(self, rows_per_second: float | None) -> None:
        """From now on no faster than this; ``None``: as fast as it goes."""
        self._limit = None if rows_per_second is None else max(rows_per_second, SLOWEST_ROWS_PER_SECOND)
        self._resize()

    def spent(self, *, rows: int, seconds: float) -> None:
        """A chunk of ``rows`` took ``seconds``."""
        if self._next_most is not None:  # its size says nothing of what rows cost
            self._next_most = None
            self._resize()
        elif rows >= self.size.rows and seconds > 0:
            factor = min(2.0, max(0.5, CHUNK_SECONDS / seconds))
            self._rows = round(min(self._bounds.most, max(self._bounds.fewest, self._rows * factor)))
            self._resize()

    def owed(self, *, rows: int, seconds: float) -> float:
        """Seconds to rest, by the limit as it is now, when ``rows`` have been written in the last ``seconds``."""
        return 0.0 if self._limit is None else max(0.0, rows / self._limit - seconds)

    def _resize(self) -> None:
        rows = min(self._rows, self._most, self._most if self._next_most is None else self._next_most)
        if self._limit is not None:
            rows = min(rows, round(self._limit * CHUNK_SECONDS))
        self.size.rows = max(1, rows)


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Who waits for a slot of this kind, apart from the part that is running."""

    another_job: bool
    own_parts: bool
    plans: bool = False

    @property
    def slice_seconds(self) -> float:
        """How long a slice may last: the biggest job must not keep the smallest waiting."""
        if self.another_job:
            return SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS
        if self.own_parts:
            return PLAN_SECONDS_WHEN_OWN_PARTS_WAIT if self.plans else SLICE_SECONDS_WHEN_OWN_PARTS_WAIT
        return SLICE_SECONDS


def queue_behind(db: Database, part: Part) -> Queue:
    """The queue as the database knows it: parts that are published and not claimed."""
    waits = {"status": "queued", "kind": part.kind}
    return Queue(
        another_job=db.parts.find_one({**waits, "job_id": {"$ne": part.job_id}}, {"_id": 1}) is not None,
        own_parts=db.parts.find_one({**waits, "job_id": part.job_id}, {"_id": 1}) is not None,
        plans=part.phase is Phase.PLAN,
    )


def share(db: Database, part: Part, rows_per_second: float | None) -> float | None:
    """This part's share of what its job may do in a second: as much as each other part that somebody works on."""
    if rows_per_second is None:
        return None
    at_work = {"job_id": part.job_id, "status": {"$in": OUT[1:]}, "phase": {"$ne": Phase.PLAN.value}}
    running = db.parts.count_documents(at_work)
    return rows_per_second / max(1, running)
