"""The answers of the API as pydantic models. Fields that a newer gateway adds are kept and passed on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from collect.jobs.states import ENDED, RESTING, State


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(_rfc3339, when_used="json-unless-none")]
"""A time. It is serialised in the API's own format, RFC 3339 in UTC with milliseconds."""


class Answer(BaseModel):
    """The base class of all answers."""

    model_config = ConfigDict(frozen=True, extra="allow")


class File(Answer):
    """An input file. It never changes."""

    id: str
    name: str
    bytes: int
    sha256: str
    created_at: Time | None = None
    expires_at: Time | None = None


class Actor(Answer):
    """The key, or the part of the system, that did something."""

    id: str
    name: str


class Reason(Answer):
    """The reason for a job's present state."""

    code: str
    message: str
    hint: str | None = None
    where: str | None = None


class Progress(Answer):
    """The number of rows by outcome. ``total`` is ``None`` while the file is read for the first time."""

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
    """The last verb of a job: when it was requested, when it took effect, when no slot worked on the job any more."""

    verb: str
    actor: Actor | None = None
    reason: str | None = None
    requested_at: Time | None = None
    effective_at: Time | None = None
    latency_ms: float | None = None
    slots_free_at: Time | None = None


class Job(Answer):
    """A job in the state that it had when it was read. ``etag``: the value for ``if_match`` of a verb.

    ``start_at``: the earliest time of its start. ``until``: the time at which a paused job resumes by itself.
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
        """True when nothing more happens to the job without a verb."""
        return self.state in RESTING

    @property
    def ended(self) -> bool:
        """True when the job is in a final state, or has failed."""
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
    """One change of a job's state: who requested it, the reason, and how long it took to take effect."""

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
    """A row that was not written, with its first error."""

    row: int
    field: str = ""
    code: str
    message: str
    line: str = ""


class CorrectedRow(Answer):
    """One revision of a rejected row that was corrected: its error, the new text (``corrected_line``), its outcome."""

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
    """How many rows were rejected, and how many of them are stored: at most a limit, the first that were found."""

    rejected: int = 0
    stored: int = 0


class BadValue(Answer):
    """A wrong value, and the number of rows that have it."""

    value: str
    count: int = 0


class WrongWay(Answer):
    """One kind of error in one column. ``more``: the number of distinct values that are not listed."""

    field: str = ""
    code: str = ""
    count: int = 0
    distinct: int = 0
    values: list[BadValue] = Field(default_factory=list)
    more: int = 0


class RejectsSummary(StoredRejects):
    """The errors by column and code. ``value_map``: a template of a map in which each value is mapped to itself."""

    items: list[WrongWay] = Field(default_factory=list)
    value_map: dict[str, dict[str, str]] = Field(default_factory=dict)
    examined: int = 0


class Conflict(Answer):
    """A document that undo did not take back, with the reason."""

    id: str
    why: str = ""
    row: int | None = None


class UndoPreview(Answer):
    """The preview of terminate or undo."""

    will_delete: int = 0
    will_restore: int = 0
    conflicts: int = 0
    seconds: float | None = None
    conflict: dict[str, Any] | None = None

    @property
    def holder(self) -> str | None:
        """The job that holds the dataset now. Undo is refused while it does."""
        return (self.conflict or {}).get("holder")


class Notice(Answer):
    """A warning or an error of a preview. ``suggestion``: params to merge into ``params``, which remove the cause."""

    code: str = ""
    message: str = ""
    field: str | None = None
    columns: list[str] = Field(default_factory=list)
    evidence: Any = None
    suggestion: dict[str, Any] | None = None


class CorrectionPreview(Answer):
    """The preview of a correction: its number of rows, and warnings of what it changes apart from the wrong cells."""

    ok: bool = True
    rows: int = 0
    warnings: list[Notice] = Field(default_factory=list)
    conflict: dict[str, Any] | None = None
    rejects: SampledRejects = Field(default_factory=lambda: SampledRejects())

    @property
    def changes_keys(self) -> bool:
        """True when a row would get another key although its key was not wrong."""
        keys = [warning.evidence or {} for warning in self.warnings if warning.code == "key_changed"]
        return any(evidence.get("not_wrong", 0) for evidence in keys)


class Column(Answer):
    """A column of a file, as the preview found it; or a column of an export, with ``name`` and ``type``."""

    name: str | None = None
    type: str | None = None
    header: str = ""
    mapped_to: str | None = None
    type_seen: str | None = None
    samples: list[Any] = Field(default_factory=list)


class SampledReject(Answer):
    """A row of the sample that would be rejected, with its first error."""

    row: int
    field: str = ""
    code: str = ""
    message: str = ""


class SampledRejects(Answer):
    """The rejects in a sample of rows from the whole file, and an estimate for all rows."""

    sampled_rows: int = 0
    rejected_rows: int = 0
    estimate: int = 0
    items: list[SampledReject] = Field(default_factory=list)


class TeamsTouched(Answer):
    """The effects of a file on teams, counted in the rows that the preview read (``examined_rows``)."""

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
    """The preview of a job. ``ok``: the job would be accepted. ``exact``: the rows were counted, not estimated.

    ``effects``: sentences that say what a row does to stored data. ``blank_rows``: blank lines, which are not rows.
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
    """The output of one part of an export."""

    n: int
    rows: int
    bytes: int
    sha256: str


class Manifest(Answer):
    """The content of an export's result. ``complete``: all requested rows are in it; a stopped export has fewer."""

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
    """A dataset: its template, the job that holds it, and its number of rows."""

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
    """A person in a team, identified by phone number."""

    phone: str


class Team(Answer):
    """A team, with the mark of the job that wrote it last."""

    name: str
    description: str | None = None
    managers: list[Person] = Field(default_factory=list)
    members: list[Person] = Field(default_factory=list)
    form_ids: list[str] = Field(default_factory=list)
    written_by: str | None = None
    revision: int | None = None
