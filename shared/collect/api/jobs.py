"""Answers about jobs, their parts, and what they have left."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from collect.api.answers import Actor, Answer, FieldError, Holder, KnownValues, Page, Time, Warning
from collect.jobs.model import PartStatus, Phase, Priority
from collect.jobs.states import ENDED, RESTING, State, Verb

AnyVerb = Annotated[Verb | str, Field(union_mode="left_to_right"), KnownValues()]
AnyPhase = Annotated[Phase | str, Field(union_mode="left_to_right"), KnownValues()]
AnyStatus = Annotated[PartStatus | str, Field(union_mode="left_to_right"), KnownValues()]


class Reason(Answer):
    """The reason for a job's state. ``hint``: what to do. ``where``: the place in the file."""

    SOMETIMES = frozenset({"hint", "where"})

    code: str
    message: str
    hint: str | None = None
    where: str | None = None


class MaxRejected(Answer):
    """The limit of rejected rows, as a number of rows or as a share of all rows."""

    SOMETIMES = frozenset({"rows", "percent"})

    rows: int | None = Field(default=None, ge=0)
    percent: float | None = Field(default=None, ge=0, le=100)


class JobFile(Answer):
    """The file that a job reads."""

    id: str
    name: str
    bytes: int
    sha256: str


class Progress(Answer):
    """The number of rows by outcome. ``total`` is null while the file is read for the first time.

    ``blank_rows``: lines of the file that are no rows.
    """

    total: int | None = None
    done: int = 0
    succeeded: int = 0
    rejected: int = 0
    undone: int = 0
    blank_rows: int = 0
    percent: float = 0.0
    rows_per_second: float = 0.0
    seconds_left: float | None = None
    at: Time


class Action(Answer):
    """The last verb of a job: when it was requested, when it took effect, when no slot worked on the job any more."""

    verb: AnyVerb
    actor: Actor
    reason: str
    requested_at: Time
    effective_at: Time | None = None
    latency_ms: int | None = None
    slots_free_at: Time | None = None


class Job(Answer):
    """A job in the state that it had when it was read.

    ``start_at``: the earliest time of its start. ``until``: the time at which a paused job resumes by itself.
    ``links``: further resources of the job. ``result`` and ``manifest`` are only there for kinds that make a file; they
    answer 409 until the job has written something.
    """

    id: str
    org_id: str
    kind: str
    params: dict[str, Any] = Field(default_factory=dict)
    state: State
    status: str = ""
    reason: Reason | None = None
    priority: Priority = "normal"
    parent_id: str | None = None
    waiting_for: str | None = None
    created_at: Time
    created_by: Actor
    started_at: Time | None = None
    ended_at: Time | None = None
    start_at: Time | None = None
    until: Time | None = None
    time_limit_seconds: float | None = None
    max_rows_per_second: float | None = None
    max_rejected: MaxRejected | None = None
    file: JobFile | None = None
    progress: Progress
    allowed_verbs: list[AnyVerb] = Field(default_factory=list)
    last_action: Action | None = None
    conflicts: int = 0
    undo_until: Time | None = None
    links: dict[str, str] = Field(default_factory=dict)
    etag: str | None = Field(default=None, exclude=True)
    """The header of the answer, for ``if_match`` of a verb. It is not in the body."""

    @property
    def rests(self) -> bool:
        """True when nothing more happens to the job without a verb."""
        return self.state in RESTING

    @property
    def ended(self) -> bool:
        """True when the job is in a final state, or has failed."""
        return self.state in ENDED


class AuditEntry(Answer):
    """One move of a job: who requested it, the reason, and when it took effect."""

    seq: int
    at: Time
    actor: Actor
    verb: str
    reason: str
    source: State | None = Field(alias="from")
    target: State = Field(alias="to")
    requested_at: Time | None = None
    effective_at: Time | None = None
    latency_ms: int | None = None
    request_id: str | None = None


class Part(Answer):
    """A range of a job that one worker runs alone. ``corrects``: its rows are corrected rejects."""

    n: int
    phase: AnyPhase
    status: AnyStatus
    worker: str | None = None
    epoch: int = 0
    cursor: dict[str, Any] = Field(default_factory=dict)
    done: int = 0
    total: int = 0
    corrects: bool = False
    lease_until: Time | None = None


class Reject(Answer):
    """A row that was not written, with its first error and all its errors.

    ``revision``: the number of its text. The file's text is revision 1; each correction makes the next one.
    ``correcting``: a correction of the row is under way.
    """

    row: int
    field: str = ""
    code: str
    message: str
    line: str = ""
    errors: list[FieldError] = Field(default_factory=list)
    revision: int = 1
    correcting: bool = False


class RejectsPage(Page[Reject]):
    """One page of rejected rows. ``rejected``: how many there are. ``stored``: how many of them can be listed."""

    rejected: int = 0
    stored: int = 0


class BadValue(Answer):
    """A rejected cell as it was read, and the number of rows that have it."""

    value: str
    count: int = 0


class WrongWay(Answer):
    """One kind of error in one column; ``field`` is empty for an error of the whole row.

    ``distinct``: the number of distinct values in the ``count`` rows. ``more``: how many of them are not listed.
    """

    field: str = ""
    code: str = ""
    count: int = 0
    distinct: int = 0
    values: list[BadValue] = Field(default_factory=list)
    more: int = 0


class RejectsSummary(Answer):
    """The errors by column and code. ``examined``: how many of the ``stored`` rejects were read.

    ``value_map``: the start of a map for corrections. Each value is mapped to itself until you replace it.
    """

    items: list[WrongWay] = Field(default_factory=list)
    value_map: dict[str, dict[str, str]] = Field(default_factory=dict)
    rejected: int = 0
    stored: int = 0
    examined: int = 0


class CorrectedRow(Answer):
    """One revision of a rejected row that was corrected: its error, the new text, and the outcome.

    ``audit_seq``: the number of the request's audit entry.
    """

    row: int
    revision: int
    field: str = ""
    code: str = ""
    message: str = ""
    line: str = ""
    corrected_line: str = ""
    became: Literal["written", "rejected"]
    at: Time
    audit_seq: int


class Conflict(Answer):
    """A document that undo did not take back, and the reason."""

    id: str
    row: int | None = None
    why: str = ""


class UndoPreview(Answer):
    """The preview of terminate or undo. ``conflict``: another job holds the dataset, so undo is refused now."""

    SOMETIMES = frozenset({"conflict"})

    will_delete: int = 0
    will_restore: int = 0
    conflicts: int = 0
    seconds: float = 0.0
    conflict: Holder | None = None

    @property
    def holder(self) -> str | None:
        """The job that holds the dataset now. Undo is refused while it does."""
        return None if self.conflict is None else self.conflict.holder


class StillWrong(FieldError):
    """A row that would be rejected again."""

    row: int


class RejectedAgain(Answer):
    """How many corrected rows are still wrong, and some of them."""

    rejected_rows: int = 0
    items: list[StillWrong] = Field(default_factory=list)


class CorrectionPreview(Answer):
    """The preview of a correction of ``rows`` rows. ``conflict``: the job that holds what the correction needs."""

    ok: bool = True
    rows: int = 0
    warnings: list[Warning] = Field(default_factory=list)
    errors: list[FieldError] = Field(default_factory=list)
    conflict: Holder | None = None
    rejects: RejectedAgain = RejectedAgain()

    @property
    def changes_keys(self) -> bool:
        """True when a row would get another key although its key was not wrong."""
        keys = [warning.evidence or {} for warning in self.warnings if warning.code == "key_changed"]
        return any(evidence.get("not_wrong", 0) for evidence in keys)


class ResultPart(Answer):
    """The output of one part of an export. ``sha256`` is null if it was not computed before the bytes were removed."""

    n: int
    rows: int
    bytes: int
    sha256: str | None


class Manifest(Answer):
    """The content of an export's result. ``complete``: it has all requested rows; a stopped export has fewer.

    ``expired``: the bytes were removed. ``sha256`` is null if there is no joined file. Counts by field: ``misfits``,
    values that are not of the field's type; ``fields_left_out``, responses with a value of a field that the form no
    longer has; ``choices_left_out``, answers with a choice that has no column; ``texts_like_null``, texts that are
    equal to the text for a missing value.
    """

    job_id: str = ""
    format: str
    rows: int
    bytes: int
    sha256: str | None = None
    complete: bool
    expired: bool = False
    parts: list[ResultPart] = Field(default_factory=list)
    misfits: dict[str, int] = Field(default_factory=dict)
    fields_left_out: dict[str, int] = Field(default_factory=dict)
    choices_left_out: dict[str, int] = Field(default_factory=dict)
    texts_like_null: dict[str, int] = Field(default_factory=dict)
    made_at: Time
    expires_at: Time
