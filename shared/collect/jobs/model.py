"""A job and its parts as values. They read the stored documents and ignore fields that a newer release has added."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from collect.jobs.states import WRITING, State, Verb, allowed_verbs

SYSTEM_ID = "system"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Phase(StrEnum):
    """What a part is for at the moment."""

    PLAN = "plan"
    RUN = "run"
    FINISH = "finish"
    UNDO = "undo"


class PartStatus(StrEnum):
    """Who may do something with a part: nobody yet, whoever has its ticket, its owner, nobody any more."""

    IDLE = "idle"
    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"


OUT = (PartStatus.QUEUED.value, PartStatus.LEASED.value)
"""A part that can be claimed or is held."""

Priority = Literal["low", "normal", "high"]
Confirm = Literal["auto", "always", "never"]
"""Whether a job waits for a confirmation: as its kind finds, in any case, or never."""
OnConflict = Literal["reject", "queue", "supersede"]
"""What a job does when another holds its lock: it is refused, stands in line, or replaces one."""


class Actor(_Value):
    """Who did something: an API key, or the system itself."""

    id: str
    name: str


SYSTEM = Actor(id=SYSTEM_ID, name="Collect Jobs")


class Reason(_Value):
    """Why a job is where it is, for people."""

    code: str
    message: str
    hint: str | None = None
    where: str | None = None


class Action(_Value):
    """The last verb that was taken, and when it was in effect."""

    verb: Verb | str = Field(union_mode="left_to_right")
    """A newer release may know verbs that this one does not: it still reads the job."""
    actor: Actor
    reason: str
    requested_at: datetime
    effective_at: datetime | None = None
    slots_free_at: datetime | None = None
    holding: tuple[Any, ...] = ()
    request_id: str | None = None

    @property
    def latency_ms(self) -> int | None:
        """Milliseconds from asked to in effect."""
        if self.effective_at is None:
            return None
        return round((self.effective_at - self.requested_at).total_seconds() * 1000)


class FileRef(_Value):
    """The input file, as it was when the job was created. ``blob`` names its bytes in the blob store."""

    id: str
    name: str
    bytes: int
    sha256: str
    blob: str


class MaxRejected(_Value):
    """How many rejects a job may have before it pauses itself: a number of rows, or a share of all rows."""

    rows: int | None = Field(default=None, ge=0)
    percent: float | None = Field(default=None, ge=0, le=100)

    def limit(self, total: int) -> int:
        """The number of rejects that is still accepted, for a job of ``total`` rows. A share is rounded down."""
        if self.rows is not None:
            return self.rows
        percent = 100.0 if self.percent is None else self.percent
        return int(total * Decimal(repr(percent)) / 100)  # exactly: 0.07 % of 10,000 rows are 7, not 7.000000000000001


class Rest(_Value):
    """Until when none of a job's parts go out, since it has written as much as its limit lets it."""

    until: datetime
    rows_per_second: float


class Counts(_Value):
    """Rows by outcome, and documents that undo would delete (``created``) and restore (``changed``).

    ``left_out``: rows that were planned and are none of the job's, since its filters leave them out.
    """

    succeeded: int = 0
    rejected: int = 0
    left_out: int = 0
    created: int = 0
    changed: int = 0
    undone: int = 0

    @property
    def done(self) -> int:
        return self.succeeded + self.rejected

    @property
    def looked_at(self) -> int:
        """Planned rows that need not be looked at again."""
        return self.done + self.left_out


class Sums(Counts):
    """The counts of all parts of a job together. ``blank_rows``: lines of its file that hold nothing and are no row."""

    blank_rows: int = 0


class Job(_Value):
    """One request, and what has become of it.

    ``choices``: of an export, the fields of which each choice is a column, with these.
    ``corrections``: how often rows of it have been mended. ``correctable``: a row is rejected, stored and not being
    corrected; known where that matters, in the states in which ``correct`` is a verb.
    """

    id: str = Field(alias="_id")
    org_id: str
    kind: str
    params: dict[str, Any]
    state: State
    reason: Reason | None = None
    priority: Priority = "normal"
    parent_id: str | None = None
    created_at: datetime
    created_by: Actor
    started_at: datetime | None = None
    ended_at: datetime | None = None
    start_at: datetime | None = None
    confirm: Confirm = "auto"
    """As it was asked for. A restart of the job is asked for alike."""
    confirm_by: datetime | None = None
    time_limit_seconds: float | None = None
    lock: str | None = None
    on_conflict: OnConflict = "reject"
    supersedes: str | None = None
    file: FileRef | None = None
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    detected: tuple[str, ...] = ()
    """Names of the params that were not given, but set because the file is known."""
    total_rows: int | None = None
    parts_left: int = 0
    undo_target: State | None = None
    window: int = 4
    conflicts: int = 0
    until: datetime | None = None
    until_seq: int | None = None
    audit_seq: int = 0
    v: int = 0
    max_rows_per_second: float | None = None
    rest: Rest | None = None
    max_rejected: MaxRejected | None = None
    rejected_before: int = 0
    undo_until: datetime | None = None
    corrections: int = 0
    correctable: bool = False
    last_action: Action | None = None
    result: dict[str, Any] | None = None
    callback: dict[str, Any] | None = None
    request_id: str | None = None
    traceparent: str | None = None

    def rests(self, now: datetime) -> bool:
        """Whether its limit of rows a second, unless it has been changed since, forbids to go on already."""
        if self.rest is None or self.state not in WRITING:
            return False
        return self.rest.rows_per_second == self.max_rows_per_second and now < self.rest.until

    def rest_from(self, now: datetime, seconds: float) -> Rest | None:
        """That it rests for so long, if it has a limit still; for a day at most, whatever the limit asks for."""
        if self.max_rows_per_second is None:
            return None
        until = now + min(timedelta(seconds=seconds), timedelta(days=1))
        return Rest(until=until, rows_per_second=self.max_rows_per_second)

    def allowed_verbs(self, now: datetime) -> list[Verb]:
        """The verbs that would change something at ``now``."""
        undo_open = self.undo_until is None or now < self.undo_until
        return allowed_verbs(self.state, conflicts=self.conflicts, undo_open=undo_open, correctable=self.correctable)


class Correction(_Value):
    """What makes a part one of mended rows: how many there are, and the audit number of the request."""

    rows: int
    audit_seq: int


class Part(_Value):
    """A range of a job that one worker can run alone: the unit of leasing.

    ``correction``: its rows are rejects of the job, which have been mended. They were counted when they were rejected,
    so that ``total`` is 0, and each that is written counts one more that has succeeded and one less that is rejected.

    ``sweep``: it takes nothing back itself, but removes all objects of its job, as the last step of taking back.
    """

    id: str = Field(alias="_id")
    job_id: str
    org_id: str
    kind: str
    n: int
    phase: Phase
    status: PartStatus
    epoch: int = 0
    ticket: int = -1
    seq: int = 0
    left: int = 0
    cursor: dict[str, Any] = Field(default_factory=dict)
    losses: int = 0
    lease_until: datetime | None = None
    owner: str | None = None
    lsid: dict[str, Any] | None = None
    published_at: datetime | None = None
    source: dict[str, Any] = Field(default_factory=dict)
    total: int = 0
    correction: Correction | None = None
    sweep: bool = False
    counts: Counts = Counts()
    conflicts: int = 0


def part_id(job_id: str, n: int) -> str:
    """The ``_id`` of part ``n``."""
    return f"{job_id}:{n}"


def entry_id(job_id: str, n: int, seq: int) -> str:
    """The ``_id`` of the ledger entry of chunk ``seq`` of part ``n``: the mark that its documents carry."""
    return f"{job_id}:{n}:{seq}"
