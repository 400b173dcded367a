"""What the API answers with, as values. Fields that a newer gateway has added are kept and passed on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from collect.jobs.states import ENDED, RESTING, State


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(_rfc3339, when_used="json-unless-none")]
"""Written as the API writes it."""


class Answer(BaseModel):
    """Root of all answers."""

    model_config = ConfigDict(frozen=True, extra="allow")


class File(Answer):
    """An input file: it never changes."""

    id: str
    name: str
    bytes: int
    sha256: str
    created_at: Time | None = None
    expires_at: Time | None = None


class Actor(Answer):
    """Who did something."""

    id: str
    name: str


class Reason(Answer):
    """Why a job is where it is."""

    code: str
    message: str
    hint: str | None = None
    where: str | None = None


class Progress(Answer):
    """Rows by outcome. ``total`` is ``None`` while the file is being read for the first time."""

    total: int | None = None
    done: int = 0
    succeeded: int = 0
    rejected: int = 0
    undone: int = 0
    blank_rows: int = 0
    percent: float = 0.0
    rows_per_second: float = 0.0
    seconds_left: float | None = None
    at: Time | None = None


class Action(Answer):
    """The last verb: when it was asked for, when it was in effect, when no slot worked on the job any more."""

    verb: str
    actor: Actor | None = None
    reason: str | None = None
    requested_at: Time | None = None
    effective_at: Time | None = None
    latency_ms: float | None = None
    slots_free_at: Time | None = None


class Job(Answer):
    """A job as it was when it was asked for. ``etag`` goes into ``if_match`` of a verb.

    ``start_at`` is when it is to start, ``until`` when a paused job resumes by itself.
    """

    id: str
    org_id: str
    kind: str
    state: State
    status: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    reason: Reason | None = None
    priority: str = "normal"
    parent_id: str | None = None
    waiting_for: str | None = None
    created_at: Time
    created_by: Actor | None = None
    started_at: Time | None = None
    ended_at: Time | None = None
    start_at: Time | None = None
    until: Time | None = None
    max_rows_per_second: float | None = None
    max_rejected: dict[str, float] | None = None
    progress: Progress = Progress()
    allowed_verbs: list[str] = Field(default_factory=list)
    last_action: Action | None = None
    conflicts: int = 0
    undo_until: Time | None = None
    etag: str | None = Field(default=None, exclude=True)

    @property
    def rests(self) -> bool:
        """Nothing happens to it until somebody asks."""
        return self.state in RESTING

    @property
    def ended(self) -> bool:
        """Final, or failed."""
        return self.state in ENDED


class Part(Answer):
    """A range of a job that one worker runs alone."""

    n: int
    phase: str
    status: str
    worker: str | None = None
    epoch: int = 0
    cursor: dict[str, Any] | None = None
    done: int = 0
    total: int = 0
    lease_until: Time | None = None


class AuditEntry(Answer):
    """One move of a job: who asked for it, why, and how long it took to be in effect."""

    seq: int
    at: Time
    verb: str
    actor: Actor | None = None
    reason: str | None = None
    source: str | None = Field(default=None, alias="from")
    target: str | None = Field(default=None, alias="to")
    requested_at: Time | None = None
    effective_at: Time | None = None
    latency_ms: float | None = None
    request_id: str | None = None


class Reject(Answer):
    """A row that was not written, and why."""

    row: int
    field: str = ""
    code: str
    message: str
    line: str = ""


class CorrectedRow(Answer):
    """One revision of a row that was rejected and mended: what was wrong, the text that took its place, its outcome."""

    row: int
    revision: int
    field: str = ""
    code: str = ""
    message: str = ""
    line: str = ""
    corrected_line: str = ""
    became: str = ""
    at: Time | None = None
    audit_seq: int | None = None


class StoredRejects(Answer):
    """Rows that were rejected, and how many of them can be looked at: of very many, the first that were found."""

    rejected: int = 0
    stored: int = 0


class BadValue(Answer):
    """A cell that was rejected, and how many rows have it."""

    value: str
    count: int = 0


class WrongWay(Answer):
    """What is wrong in one way with one column. ``more``: distinct values that are not listed."""

    field: str = ""
    code: str = ""
    count: int = 0
    distinct: int = 0
    values: list[BadValue] = Field(default_factory=list)
    more: int = 0


class RejectsSummary(StoredRejects):
    """What is wrong by column and code. ``value_map``: to begin with; each value stands for itself."""

    items: list[WrongWay] = Field(default_factory=list)
    value_map: dict[str, dict[str, str]] = Field(default_factory=dict)
    examined: int = 0


class Conflict(Answer):
    """What undo left alone, and why."""

    id: str
    why: str = ""
    row: int | None = None


class UndoPreview(Answer):
    """What terminate or undo would do now."""

    will_delete: int = 0
    will_restore: int = 0
    conflicts: int = 0
    seconds: float | None = None
    conflict: dict[str, Any] | None = None

    @property
    def holder(self) -> str | None:
        """The job that holds the dataset now: until it lets go, undo is refused."""
        return (self.conflict or {}).get("holder")


class Notice(Answer):
    """A warning or an error of a preview. ``suggestion``, merged into ``params``, mends what is warned of."""

    code: str = ""
    message: str = ""
    field: str | None = None
    columns: list[str] = Field(default_factory=list)
    evidence: Any = None
    suggestion: dict[str, Any] | None = None


class CorrectionPreview(Answer):
    """What a correction would do: to how many rows, and what it changes beside what was wrong."""

    ok: bool = True
    rows: int = 0
    warnings: list[Notice] = Field(default_factory=list)
    conflict: dict[str, Any] | None = None
    rejects: SampledRejects = Field(default_factory=lambda: SampledRejects())

    @property
    def changes_keys(self) -> bool:
        """Whether rows would get another key though theirs was not what was wrong."""
        keys = [warning.evidence or {} for warning in self.warnings if warning.code == "key_changed"]
        return any(evidence.get("not_wrong", 0) for evidence in keys)


class Column(Answer):
    """A column of a file, as it was seen; or of an export, with ``name`` and ``type``."""

    name: str | None = None
    type: str | None = None
    header: str = ""
    mapped_to: str | None = None
    type_seen: str | None = None
    samples: list[Any] = Field(default_factory=list)


class SampledReject(Answer):
    """A row of the sample that would not be written, and why."""

    row: int
    field: str = ""
    code: str = ""
    message: str = ""


class SampledRejects(Answer):
    """Rejects among rows from all over the file, and how many the whole file would have."""

    sampled_rows: int = 0
    rejected_rows: int = 0
    estimate: int = 0
    items: list[SampledReject] = Field(default_factory=list)


class TeamsTouched(Answer):
    """What a file would do to the teams there are: those in the rows that were looked at."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    managers_changed: int = 0
    duplicate_names: int = 0
    new_members: int = 0
    phones_in_several_teams: int = 0
    examined_rows: int = 0


class Preview(Answer):
    """What a job would do, before there is one. ``ok``: it would be accepted. ``exact``: the rows were counted.

    ``effects`` says in words what a row does to what is there already. ``blank_rows`` lines of the file are no row.
    """

    ok: bool = True
    total_rows: int | None = None
    blank_rows: int = 0
    exact: bool = True
    bytes: int | None = None
    seconds: float | None = None
    confirm_required: bool = False
    warnings: list[Notice] = Field(default_factory=list)
    errors: list[Notice] = Field(default_factory=list)
    conflict: dict[str, Any] | None = None
    columns: list[Column] = Field(default_factory=list)
    first_rows: list[Any] = Field(default_factory=list)
    rejects: SampledRejects = SampledRejects()
    teams: TeamsTouched | None = None
    effects: list[str] = Field(default_factory=list)

    @property
    def holder(self) -> str | None:
        """The job that holds the dataset now."""
        return (self.conflict or {}).get("holder")


class ResultPart(Answer):
    """What one part of an export has written."""

    n: int
    rows: int
    bytes: int
    sha256: str


class Manifest(Answer):
    """What is in an export's result. ``complete``: everything that was asked for; a stopped export has less."""

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


class Dataset(Answer):
    """A dataset's template, and what is in it."""

    name: str
    key: list[str]
    columns: list[dict[str, Any]]
    locked_by: str | None = None
    row_count: int | None = None


class Row(Answer):
    """A stored row, with the mark of the job that wrote it."""

    id: str = Field(alias="_id")
    values: dict[str, Any]
    row: int | None = None
    written_by: str | None = None
    revision: int | None = None


class Person(Answer):
    """Somebody of a team, known by the phone."""

    phone: str


class Team(Answer):
    """A team, with the mark of the job that first touched it as it is."""

    name: str
    description: str | None = None
    managers: list[Person] = Field(default_factory=list)
    members: list[Person] = Field(default_factory=list)
    form_ids: list[str] = Field(default_factory=list)
    written_by: str | None = None
    revision: int | None = None
