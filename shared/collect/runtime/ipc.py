"""What a worker's parent and its slots say to each other, over one pipe a slot, in order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from collect.jobs.model import Part, Phase
from collect.protocol.lease import Ticket
from collect.storage.database import SessionId
from collect.storage.outbox import OutboxEntry


@dataclass(frozen=True, kw_only=True)
class Run:
    """Run one slice. ``run`` numbers the slices of a slot, so that what comes late is known to be late."""

    run: int
    ticket: Ticket
    redelivered: bool
    traceparent: str | None


@dataclass(frozen=True, kw_only=True)
class Look:
    """Something happened to the job of slice ``run``: look."""

    run: int


@dataclass(frozen=True, kw_only=True)
class Abandon:
    """The broker has given the delivery of slice ``run`` away."""

    run: int


@dataclass(frozen=True, kw_only=True)
class Drain:
    """Finish the chunk, release, and go."""


Command = Run | Look | Abandon | Drain


class Ending(StrEnum):
    """How a slice ended."""

    FORGOTTEN = "forgotten"  # the ticket was void
    UNTOUCHED = "untouched"  # drained before anything was claimed
    RELEASED = "released"
    COMPLETED = "completed"  # planned, part done, finished
    FAILED = "failed"  # the job could not go on, or paused itself
    FENCED = "fenced"
    ABANDONED = "abandoned"


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The slot is warm and waits for its first slice."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """The slice holds its part now, in this session."""

    run: int
    part: Part
    session_id: SessionId


@dataclass(frozen=True, kw_only=True)
class ChunkDone:
    """One transaction that has been committed: a chunk, or the undo of a ledger entry."""

    phase: Phase
    seconds: float
    succeeded: int = 0
    rejected: int = 0


@dataclass(frozen=True, kw_only=True)
class Alive:
    """The slice shows life. ``rows_per_second`` is that of the last chunk, ``chunk`` what it was, if there was one."""

    run: int
    rows_per_second: float
    chunk: ChunkDone | None = None


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Messages that a committed transaction has left: to be published at once."""

    entries: tuple[OutboxEntry, ...]


@dataclass(frozen=True, kw_only=True)
class Crashed:
    """The slot's process ends of an error that nobody foresaw. ``error`` names it, without any row's content."""

    run: int
    error: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The slice is over."""

    run: int
    ending: Ending


Report = Ready | Claimed | Alive | Publish | Crashed | Ended
