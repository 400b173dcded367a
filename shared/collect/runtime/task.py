"""The contract that a domain worker fulfils. Everything else (control, leases, epochs, queues) is the runtime's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pymongo.client_session import ClientSession

from collect.jobs.model import Job, Part
from collect.jobs.outcomes import Applied, Conflict, Reject, StoredObject, TakenBack

__all__ = [
    "Applied",
    "Chunk",
    "ChunkSize",
    "Conflict",
    "PlannedPart",
    "Reject",
    "StoredChunks",
    "StoredObject",
    "TakenBack",
    "Task",
    "Write",
]


@dataclass(frozen=True, kw_only=True)
class PlannedPart:
    """A range that one worker can run alone. ``source`` and ``cursor`` are the task's own, small and JSON-like."""

    source: dict[str, Any]
    cursor: dict[str, Any]
    total: int


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What one transaction will commit, computed, validated and encoded. ``cursor`` is where the next chunk begins.

    ``mended``: where its rows are rejects of the job that have been mended, the text of each by its number.

    ``numbers``: those that its rows have in the job's file, ascending; empty where a task rejects no rows.
    """

    cursor: dict[str, Any]
    rows: int
    payload: Any
    rejects: tuple[Reject, ...] = ()
    mended: Mapping[int, str] = field(default_factory=dict)
    numbers: Sequence[int] = ()


class StoredChunks(Generator[Chunk, None, None]):
    """Chunks whose bytes are in the blob store before they are committed. Another thread than the slice's makes them.

    ``forget`` removes what was stored and no commit names, if the job has been taken back. The slice calls it when it
    was fenced, once nothing is being stored and the outcome of each of its commits is known.
    """

    def __init__(self, made: Generator[Chunk, None, None], *, forget: Callable[[], None]) -> None:
        self.forget = forget
        self._made = made
        self._making = threading.Lock()
        self._over = False

    def send(self, value: None) -> Chunk:
        """The next chunk. Blocks while it is made and stored."""
        with self._making:
            if self._over:
                raise StopIteration
            return self._made.send(value)

    def throw(self, *error: Any) -> Chunk:
        """Raise ``error`` where the chunks are made."""
        with self._making:
            return self._made.throw(*error)

    def end(self, wait_seconds: float) -> bool:
        """Have no more chunks made. Returns whether none is being made any more, within ``wait_seconds``."""
        if not self._making.acquire(timeout=wait_seconds):
            return False
        self._over = True
        self._making.release()
        return True


@dataclass(slots=True)
class ChunkSize:
    """How big the next chunk may be. The runtime sets it, a task reads it anew for each chunk."""

    rows: int


@dataclass(frozen=True, kw_only=True)
class ChunkRows:
    """Rows of a kind's chunks: of the first one, and between which numbers they adapt to their time."""

    first: int
    fewest: int
    most: int


Write = Callable[[ClientSession], None]
"""Something to be written in a transaction of the runtime's. May run twice."""


class Task(Protocol):
    """One kind of job. A task never looks at control, never publishes, sleeps, or catches ``Exception``."""

    kind: str
    rows: ChunkRows

    def plan(self, job: Job, after: Part | None) -> Iterator[PlannedPart | None]:
        """The parts behind ``after``, which an earlier plan of the same job ended with; in order, and at once.

        Parts are given out while the plan goes on, so they depend on what stands before them only. Yields ``None`` at
        least every 250 ms, so that it can be stopped. Raises :class:`collect.errors.TaskRefused` for a job that cannot
        run.
        """

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        """The chunks from ``part.cursor`` to the part's end. All computing is done here, outside any transaction.

        Runs in a thread of its own, up to two chunks ahead of what is committed. A task that stores something outside
        the database meanwhile returns :class:`StoredChunks`.
        """

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        """Write ``chunk`` inside the session's transaction, marking what is touched first with ``entry_id``.

        May run twice for one chunk (each time in a new transaction), so it consumes nothing. Database errors pass.
        Raises :class:`collect.errors.ChunkTooBig` where smaller chunks would do.
        """

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        """Take back what the ledger entry wrote, only where its mark still stands. May run twice."""

    def sweep(self, job: Job) -> Iterator[None]:
        """Remove every object of the job from the blob store, as the last step of taking it back. May run twice.

        Asked only of a kind that makes results. Yields at least every 250 ms, as far as the store lets it.
        """

    def diagnose(self, job: Job) -> str | None:
        """What looks like a mistake in what the job reads, as a sentence for people; asked when much was rejected.

        Reads only, and not for long: verbs wait meanwhile.
        """

    def finish(self, job: Job) -> Iterator[dict[str, Any] | Write | None]:
        """Whatever is left to do once every part is done, ``None`` at least every 250 ms.

        The last dictionary yielded is the job's ``result``. A :data:`Write` is committed like a chunk.
        """
