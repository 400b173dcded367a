"""The messages between a worker's parent and its slots. Each slot has one pipe, which keeps their order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from collect.jobs.model import Part, Phase
from collect.protocol.lease import Ticket
from collect.storage.database import SessionId
from collect.storage.outbox import OutboxEntry


@dataclass(frozen=True, kw_only=True)
class Run:
    """The command to run one slice. ``run`` numbers the slices of a slot, so that a late message can be recognised."""

    run: int
    ticket: Ticket
    redelivered: bool
    traceparent: str | None


@dataclass(frozen=True, kw_only=True)
class Look:
    """The command to read the part and the job again, because something happened to the job of slice ``run``."""

    run: int


@dataclass(frozen=True, kw_only=True)
class Abandon:
    """The command to stop slice ``run``, because the broker may have given its delivery to another worker."""

    run: int


@dataclass(frozen=True, kw_only=True)
class Drain:
    """The command to finish the current chunk, release the part and end the process."""


Command = Run | Look | Abandon | Drain


class Ending(StrEnum):
    """The ways in which a slice can end."""

    FORGOTTEN = "forgotten"  # the ticket was void, so nothing was claimed
    UNTOUCHED = "untouched"  # drained before anything was claimed
    RELEASED = "released"
    COMPLETED = "completed"  # the plan, the part, the undo or the finish is done
    FAILED = "failed"  # the job failed, or paused itself
    FENCED = "fenced"  # the part was taken from this slice
    ABANDONED = "abandoned"  # the delivery was lost


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The report that the slot has started and waits for its first slice."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """The report that the slice has claimed its part, in the database session ``session_id``."""

    run: int
    part: Part
    session_id: SessionId


@dataclass(frozen=True, kw_only=True)
class ChunkDone:
    """A committed transaction: a chunk, or the undo of a ledger entry. ``seconds``: how long it took."""

    phase: Phase
    seconds: float
    succeeded: int = 0
    rejected: int = 0


@dataclass(frozen=True, kw_only=True)
class Alive:
    """The report that the slice is alive.

    ``rows_per_second``: the speed of the last chunk. ``chunk``: a chunk that was committed just now, if there is one.
    """

    run: int
    rows_per_second: float
    chunk: ChunkDone | None = None


@dataclass(frozen=True, kw_only=True)
class Publish:
    """The request to publish at once the outbox entries of committed transactions."""

    entries: tuple[OutboxEntry, ...]


@dataclass(frozen=True, kw_only=True)
class Crashed:
    """The report that the slot's process ends with an unexpected error.

    ``error``: its type and place, without the content of any row.
    """

    run: int
    error: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The report that slice ``run`` is over."""

    run: int
    ending: Ending


Report = Ready | Claimed | Alive | Publish | Crashed | Ended
