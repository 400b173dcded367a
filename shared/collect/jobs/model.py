"""The job and its parts as values, read from stored documents. Fields that a newer release added are ignored."""

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
"""The statuses of a part that is out: it can be claimed, or a worker holds it."""

Priority = Literal["low", "normal", "high"]
Confirm = Literal["auto", "always", "never"]
"""The rule by which a job waits for a confirmation: if its kind finds that it should (``auto``), always, or never."""
OnConflict = Literal["reject", "queue", "supersede"]
"""The ways of a job whose lock another job holds: it is refused, it queues, or it replaces another job."""


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
    """The last verb that was done to a job: who asked for it, why, and when it was in effect.

    ``holding``: sessions that the verb has cut and that still hold slots. ``slots_free_at``: when the last of them
    ended.
    """

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
        """Return the milliseconds from the request until it was in effect, or ``None`` if it is not in effect yet."""
        if self.effective_at is None:
            return None
        return round((self.effective_at - self.requested_at).total_seconds() * 1000)


class FileRef(_Value):
    """The input file of a job, as it was when the job was created. ``blob`` is its name in the blob store."""

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
        """Return the most rejects that a job of ``total`` rows may have. A share of the rows is rounded down."""
        if self.rows is not None:
            return self.rows
        percent = 100.0 if self.percent is None else self.percent
        return int(total * Decimal(repr(percent)) / 100)  # exact: as floats, 0.07 % of 10,000 is 7.000000000000001


class Rest(_Value):
    """A rest of a job: until ``until`` no part of it is published, so that it keeps to its ``max_rows_per_second``.

    ``rows_per_second``: the limit for which it rests. If the job's limit is changed, the rest no longer counts.
    """

    until: datetime
    rows_per_second: float


class Counts(_Value):
    """The numbers of rows by outcome, and of documents that undo would delete (``created``) and restore (``changed``).

    ``left_out``: rows that were planned, but that the job's filters leave out.
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
        """Return the number of planned rows that were read: written, rejected or left out."""
        return self.done + self.left_out


class Sums(Counts):
    """The counts of all parts of a job together. ``blank_rows``: empty lines of its file, which are not rows."""

    blank_rows: int = 0


class Job(_Value):
    """A job: one request, and its present state.

    ``choices``: in an export, the fields that become one column for each choice, with their choices.
    ``corrections``: how many corrections of rejected rows the job has had. ``correctable``: at least one row is
    rejected, stored and not being corrected. It is set only in the states that allow ``correct``.
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
    """The value that the request asked for. A restart of the job asks for the same."""
    confirm_by: datetime | None = None
    time_limit_seconds: float | None = None
    lock: str | None = None
    on_conflict: OnConflict = "reject"
    supersedes: str | None = None
    file: FileRef | None = None
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    detected: tuple[str, ...] = ()
    """Names of the params that the request did not give, and that were set because the file is known."""
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
        """Return whether the job rests at ``now`` to keep to its ``max_rows_per_second``.

        A rest counts only for a job that writes, and only if the limit has not been changed since.
        """
        if self.rest is None or self.state not in WRITING:
            return False
        return self.rest.rows_per_second == self.max_rows_per_second and now < self.rest.until

    def rest_from(self, now: datetime, seconds: float) -> Rest | None:
        """Return a rest of ``seconds`` from ``now``, at most one day. ``None`` if the job has no rate limit."""
        if self.max_rows_per_second is None:
            return None
        until = now + min(timedelta(seconds=seconds), timedelta(days=1))
        return Rest(until=until, rows_per_second=self.max_rows_per_second)

    def allowed_verbs(self, now: datetime) -> list[Verb]:
        """Return the verbs that would change something at ``now``."""
        undo_open = self.undo_until is None or now < self.undo_until
        return allowed_verbs(self.state, conflicts=self.conflicts, undo_open=undo_open, correctable=self.correctable)


class Correction(_Value):
    """The correction that a part runs: how many corrected rows it has, and the ``audit_seq`` of its request."""

    rows: int
    audit_seq: int


class Part(_Value):
    """A range of a job that one worker can run alone: the unit of leasing.

    ``correction``: the part's rows are corrected rejects of the job. They were counted when they were rejected, so
    ``total`` is 0, and each row that is written adds 1 to ``succeeded`` and takes 1 from ``rejected``.

    ``sweep``: as the last step of taking back, the part removes all objects of its job. It undoes no rows.
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
    """Return the ``_id`` of part ``n`` of the job."""
    return f"{job_id}:{n}"


def entry_id(job_id: str, n: int, seq: int) -> str:
    """Return the ``_id`` of the ledger entry of chunk ``seq`` of part ``n``. Its documents carry it as their mark."""
    return f"{job_id}:{n}:{seq}"
