"""The contract between the runtime and a kind of job. The runtime does all else: control, leases, epochs, queues."""

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
    """A range of a job that one worker can run alone, with ``total`` rows.

    Only the task knows what ``source`` and ``cursor`` mean. They are small and JSON-like.
    """

    source: dict[str, Any]
    cursor: dict[str, Any]
    total: int


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The data that one transaction will commit: computed, validated and encoded.

    ``cursor``: where the next chunk begins. ``numbers``: the numbers of its rows in the job's file, ascending; empty
    if the task rejects no rows. ``corrected``: row number → text of the row, for corrected rejects of the job.
    """

    cursor: dict[str, Any]
    rows: int
    payload: Any
    rejects: tuple[Reject, ...] = ()
    corrected: Mapping[int, str] = field(default_factory=dict)
    numbers: Sequence[int] = ()


class StoredChunks(Generator[Chunk, None, None]):
    """Chunks whose bytes are written into the blob store before they are committed. A thread of their own makes them.

    ``forget`` removes the objects that were stored but that no commit names, if the job has been taken back. A slice
    that was fenced calls it, after nothing is being stored any more and the outcome of each of its commits is known.
    """

    def __init__(self, made: Generator[Chunk, None, None], *, forget: Callable[[], None]) -> None:
        self.forget = forget
        self._made = made
        self._making = threading.Lock()
        self._over = False

    def send(self, value: None) -> Chunk:
        """Return the next chunk. Blocks while it is made and stored.

        Raises:
            StopIteration: there is none, or ``end`` was called.
        """
        with self._making:
            if self._over:
                raise StopIteration
            return self._made.send(value)

    def throw(self, *error: Any) -> Chunk:
        """Raise ``error`` in the generator that makes the chunks."""
        with self._making:
            return self._made.throw(*error)

    def end(self, wait_seconds: float) -> bool:
        """Stop the making of chunks. Return whether none is being made any more, after at most ``wait_seconds``.

        ``False``: one is still being made. Call this again until it returns ``True``.
        """
        if not self._making.acquire(timeout=wait_seconds):
            return False
        self._over = True
        self._making.release()
        return True


@dataclass(slots=True)
class ChunkSize:
    """The most rows that the next chunk may have. The runtime sets it; a task reads it again before each chunk."""

    rows: int


@dataclass(frozen=True, kw_only=True)
class ChunkRows:
    """The size of a kind's chunks, in rows: of the first chunk, and the bounds within which the size is adapted."""

    first: int
    fewest: int
    most: int


Write = Callable[[ClientSession], None]
"""A function that writes something in a transaction of the runtime. It may run twice."""


class Task(Protocol):
    """The work of one kind of job. A task never reads commands, publishes, sleeps or catches ``Exception``."""

    kind: str
    rows: ChunkRows

    def plan(self, job: Job, after: Part | None) -> Iterator[PlannedPart | None]:
        """Yield the job's parts that follow ``after``, in order, each as soon as it is found.

        ``after``: the last part that an earlier, interrupted plan of this job has committed. ``None``: plan from the
        beginning. Parts are published while the plan goes on, so a part may depend only on the data before it. Yields
        ``None`` at least every 250 ms, so that the plan can be stopped.

        Raises:
            TaskRefused: the job cannot run.
        """

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        """Yield the chunks from ``part.cursor`` to the part's end. All computing is done here, outside any transaction.

        Runs in a thread of its own, up to two chunks ahead of the last commit. A task that stores something outside the
        database while it makes chunks returns :class:`StoredChunks`.
        """

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        """Write ``chunk`` in the session's transaction. Mark with ``entry_id`` what the job touches for the first time.

        May run twice for one chunk, each time in a new transaction, so it must not use the chunk up. It lets database
        errors through.

        Raises:
            ChunkTooBig: the chunk cannot be written, but smaller chunks could be.
        """

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        """Take back what the ledger entry ``entry_id`` wrote, but only in documents that still have its mark.

        ``record``: the entry's undo record. May run twice.
        """

    def sweep(self, job: Job) -> Iterator[None]:
        """Remove every object of the job from the blob store, as the last step of its undo. May run twice.

        Called only for kinds that make results. Yields at least every 250 ms, unless a single call of the store takes
        longer.
        """

    def diagnose(self, job: Job) -> str | None:
        """Return, as a sentence for people, what looks like a mistake in the job's input; ``None`` if nothing does.

        Called when more rows were rejected than are allowed. Reads only, and must be quick: verbs wait meanwhile.
        """

    def finish(self, job: Job) -> Iterator[dict[str, Any] | Write | None]:
        """Do what is left after all parts are done. Yields ``None`` at least every 250 ms.

        The last dictionary that it yields becomes the job's ``result``. A :data:`Write` that it yields is committed
        like a chunk.
        """
