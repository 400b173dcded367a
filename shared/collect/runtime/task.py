"""The contract that a domain worker fulfils. Everything else (control, leases, epochs, queues) is the runtime's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from pymongo.client_session import ClientSession

from collect.errors import FieldError
from collect.jobs.model import Job, Part


@dataclass(frozen=True, kw_only=True)
class PlannedPart:
    """A range that one worker can run alone. ``source`` and ``cursor`` are the task's own, small and JSON-like."""

    source: dict[str, Any]
    cursor: dict[str, Any]
    total: int


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row that was not written: its number in the file (from 1), its original text, and all that is wrong with it."""

    row: int
    line: str
    errors: tuple[FieldError, ...]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What one transaction will commit, computed, validated and encoded. ``cursor`` is where the next chunk begins."""

    cursor: dict[str, Any]
    rows: int
    bytes: int
    payload: Any
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What a chunk did. ``rejects`` are all to be stored, those of the chunk included; ``undo`` is the task's record.

    ``succeeded + rejected`` is the number of the chunk's rows; a row of an earlier chunk that this one displaced
    counts −1 and +1. ``created`` and ``changed`` are the documents that undo will delete and restore.
    """

    succeeded: int
    rejected: int
    created: int
    changed: int
    rejects: tuple[Reject, ...]
    undo: dict[str, Any]
    objects: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A document that undo left alone, and why."""

    id: str
    row: int | None
    why: str


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """What the undo of one ledger entry did."""

    deleted: int
    restored: int
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Marked:
    """What an undo of one ledger entry would do now."""

    will_delete: int
    will_restore: int
    conflicts: int


@dataclass(slots=True)
class ChunkSize:
    """How big the next chunk may be. The runtime sets it, a task reads it anew for each chunk."""

    rows: int
    bytes: int = field(default=8 * 1024 * 1024)


class Task(Protocol):
    """One kind of job. A task never looks at control, never publishes, sleeps, or catches ``Exception``."""

    kind: str

    def plan(self, job: Job) -> Iterator[PlannedPart | None]:
        """The parts, in order. Yields ``None`` at least every 250 ms, so that it can be stopped.

        Raises :class:`collect.errors.TaskRefused` for a job that cannot run.
        """

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        """The chunks from ``part.cursor`` to the part's end. All computing is done here, outside any transaction."""

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        """Write ``chunk`` inside the session's transaction, marking what is touched first with ``entry_id``.

        May run twice for one chunk (each time in a new transaction), so it consumes nothing. Database errors pass.
        """

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        """Take back what the ledger entry wrote, only where its mark still stands. May run twice."""

    def still_marked(self, job: Job, record: dict[str, Any], *, entry_id: str) -> Marked:
        """What :meth:`undo` would do now. Reads only, outside a transaction."""

    def finish(self, job: Job) -> Iterator[dict[str, Any] | None]:
        """Whatever is left to do once every part is done. The last value yielded is the job's ``result``."""
