"""Bodies and queries of requests. What they do not know they refuse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from collect.jobs.model import Confirm
from collect.jobs.states import State
from gateway.schemas.cells import Cell, DateFormat, DecimalMark, DelimiterName, ValueMap
from gateway.schemas.pages import PageQuery
from gateway.schemas.times import Time

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
Id = Annotated[str, StringConstraints(max_length=100)]
PriorityName = Literal["low", "normal", "high"]
Seconds = Annotated[StrictFloat, Field(gt=0, le=365 * 24 * 3600)]
RowsPerSecond = Annotated[StrictFloat, Field(ge=0.001, le=1e9)]


class Strict(BaseModel):
    """A body or a query."""

    model_config = ConfigDict(extra="forbid")


class JobPath(BaseModel):
    """`/v1/jobs/{job_id}`."""

    job_id: str


class FilePath(BaseModel):
    """`/v1/files/{file_id}`."""

    file_id: str


class KeyPath(BaseModel):
    """`/v1/keys/{key_id}`."""

    key_id: str


class DatasetPath(BaseModel):
    """`/v1/datasets/{name}`."""

    name: str


class TeamPath(BaseModel):
    """`/v1/teams/{name}`."""

    name: str


class RejectLimit(Strict):
    """How many rejects a job may have: a number of rows, or a share of all."""

    rows: StrictInt | None = Field(default=None, ge=0, le=2**53)
    percent: StrictFloat | None = Field(default=None, ge=0, le=100)

    @model_validator(mode="after")
    def _one_of_them(self) -> RejectLimit:
        if (self.rows is None) == (self.percent is None):
            raise ValueError('give either "rows" or "percent"')
        return self


class NewJobBody(Strict):
    """`POST /v1/jobs`. ``params`` are those of the kind."""

    kind: str = Field(max_length=50)
    params: dict[str, Any]
    reason: str = Field(default="", max_length=1_000)
    priority: PriorityName = "normal"
    confirm: Confirm = "auto"
    start_at: Time | None = None
    time_limit_seconds: Seconds | None = None
    max_rows_per_second: RowsPerSecond | None = None
    callback: None = None


class CreateQuery(Strict):
    """`?validate_only=true`: say what would happen."""

    validate_only: bool = False


def _names(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for names in given for name in names.split(",") if name)


class JobsQuery(PageQuery):
    """`GET /v1/jobs`. ``state`` may stand several times, or have commas."""

    state: list[str] | None = None
    kind: str | None = Field(default=None, max_length=50)
    created_by: str | None = Field(default=None, max_length=200)
    q: str | None = Field(default=None, max_length=200, pattern=r"^[^\x00]*$")
    since: Time | None = None
    until: Time | None = None

    @property
    def states(self) -> tuple[str, ...]:
        return _names(self.state or ())

    @field_validator("state")
    @classmethod
    def _are_known(cls, given: list[str] | None) -> list[str] | None:
        names = set(_names(given or ()))
        if given is not None and (not names or not names <= set(State)):
            raise ValueError(f"state is one of {', '.join(State)}")
        return given

    @field_validator("until")
    @classmethod
    def _is_after_since(cls, until: datetime | None, info: ValidationInfo) -> datetime | None:
        since = info.data.get("since")
        if since is not None and until is not None and since > until:
            raise ValueError("since is after until")
        return until


class JobQuery(Strict):
    """`GET /v1/jobs/{id}`: wait for a state, ``rest`` or ``final``."""

    wait_for: str | None = None
    timeout_seconds: float = Field(default=30.0, ge=0, le=3600)

    @field_validator("wait_for")
    @classmethod
    def _is_known(cls, wait_for: str | None) -> str | None:
        if wait_for not in {None, "final", "rest", *State}:
            raise ValueError(f"wait_for is final, rest, or a state: {', '.join(State)}")
        return wait_for


class PatchBody(Strict):
    """`PATCH /v1/jobs/{id}`: only what is given changes."""

    priority: PriorityName | None = None
    max_rows_per_second: RowsPerSecond | None = None
    max_rejected: RejectLimit | None = None

    @field_validator("priority")
    @classmethod
    def _is_something(cls, priority: PriorityName | None) -> PriorityName | None:
        if priority is None:
            raise ValueError("priority is low, normal or high")
        return priority


class VerbQuery(Strict):
    """``wait_seconds``: answer when the job rests, or as it is by then."""

    wait_seconds: float = Field(default=0.0, ge=0, le=3600)


class RestartQuery(VerbQuery):
    """``validate_only``: say what the new job would do."""

    validate_only: bool = False


class UndoQuery(VerbQuery):
    """``validate_only``: say what would be taken back."""

    validate_only: bool = False


class VerbBody(Strict):
    """Why."""

    reason: Reason


class PauseBody(VerbBody):
    """``until``: resumes by itself then."""

    until: Time | None = None


class ResumeBody(VerbBody):
    """``max_rejected``: from now on."""

    max_rejected: RejectLimit | None = None


class RestartBody(VerbBody):
    """``params`` are merged over the parent's; ``file_id`` names a corrected file, unless one is sent along.

    The others are the parent's as they were last, unless they are given; null takes a limit away.
    """

    file_id: Id | None = None
    params: dict[str, Any] | None = None
    priority: PriorityName | None = None
    confirm: Confirm | None = None
    time_limit_seconds: Seconds | None = None
    max_rows_per_second: RowsPerSecond | None = None


class RowCorrection(Strict):
    """A rejected row by its number in the file, and the columns that change; the others stay as they are."""

    row: StrictInt = Field(ge=1, le=2**53 - 1)
    values: dict[str, Cell] = Field(min_length=1, max_length=2_000)


class CorrectedCells(Strict):
    """How the cells of a correction are written, where they are not as the job's params say."""

    trim: bool = False
    decimal: DecimalMark | None = None
    date_formats: list[DateFormat] | None = Field(default=None, max_length=20)


class CorrectionsBody(CorrectedCells):
    """`POST /v1/jobs/{id}/corrections`: ``rows`` with their new cells, a ``value_map``, or both.

    The map corrects every stored reject that has one of its values in a column that is wrong. ``change_keys``: rows may
    get another key though theirs was not what was wrong.
    """

    reason: str = Field(default="", max_length=1_000)
    trim: StrictBool = False
    rows: list[RowCorrection] | None = Field(default=None, min_length=1, max_length=10_000)
    value_map: ValueMap | None = Field(default=None, min_length=1, max_length=2_000)
    change_keys: StrictBool = False


class CorrectionsForm(CorrectedCells):
    """The fields beside the part `file`: why, how its text is read, and whether rows may get another key.

    ``blank``: ``keep`` leaves a row's own cell where the file has a blank one. Lists and maps are JSON.
    """

    reason: str = Field(default="", max_length=1_000)
    encoding: str | None = Field(default=None, max_length=50)
    delimiter: DelimiterName | None = None
    has_header: bool = True
    skip_lines: int = Field(default=0, ge=0, le=1_000)
    blank: Literal["clear", "keep"] = "clear"
    value_map: ValueMap | None = Field(default=None, min_length=1, max_length=2_000)
    change_keys: bool = False


class CorrectQuery(VerbQuery):
    """``validate_only``: say what would be corrected. For a body that is the CSV itself: the fields of its form."""

    validate_only: bool = False
    reason: str = Field(default="", max_length=1_000)
    encoding: str | None = Field(default=None, max_length=50)
    delimiter: DelimiterName | None = None
    has_header: bool = True
    skip_lines: int = Field(default=0, ge=0, le=1_000)
    trim: bool = False
    decimal: DecimalMark | None = None
    date_formats: list[str] | None = Field(default=None, max_length=20)
    blank: Literal["clear", "keep"] = "clear"
    change_keys: bool = False


class CorrectionsQuery(PageQuery):
    """``row``: the revisions of one row."""

    row: int | None = Field(default=None, ge=1, le=2**53 - 1)


class RejectsQuery(PageQuery):
    """``format=csv``: all of it, as a file. ``summary``: by column and code with the distinct values, not by row."""

    format: Literal["json", "csv"] = "json"
    summary: bool = False


class UnprocessedQuery(Strict):
    """A file is all there is."""

    format: Literal["csv"] = "csv"


class ResultQuery(Strict):
    """``part``: what one part has written, instead of the whole."""

    part: int | None = Field(default=None, ge=0, le=2**31 - 1)


class RowsQuery(PageQuery):
    """``key``: one row; with a composite key, one for each of its columns."""

    key: list[str] | None = None


class TeamsQuery(PageQuery):
    """``name``: what the teams' names begin with."""

    name: str = ""


class FileQuery(Strict):
    """``name``: what the file is called."""

    name: str | None = Field(default=None, max_length=255)


class KeyBody(Strict):
    """`POST /v1/keys`."""

    name: str = Field(min_length=1, max_length=200)
    role: Literal["viewer", "operator", "admin"]
    expires_at: Time | None = None


class LimitsBody(Strict):
    """Those that are given change."""

    concurrent_jobs: StrictInt | None = Field(default=None, ge=1, le=1000)
    confirm_threshold_rows: StrictInt | None = Field(default=None, ge=0, le=2**53)
    undo_days: StrictInt | None = Field(default=None, ge=0, le=365)
    retention_days: StrictInt | None = Field(default=None, ge=1, le=3650)


class OrganisationBody(Strict):
    """`PATCH /v1/organisation`."""

    limits: LimitsBody


def until(at: datetime | None) -> datetime | None:
    """A time as it is stored: to the millisecond."""
    return None if at is None else at.replace(microsecond=at.microsecond // 1000 * 1000)
