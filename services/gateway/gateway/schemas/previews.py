"""What previews look like: what a job of a kind would do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field, RootModel

from collect.jobs.forms import FormField


class FileShown(BaseModel):
    """A file's metadata."""

    id: str
    name: str
    bytes: int
    sha256: str
    created_at: datetime
    expires_at: datetime


class FieldErrorShown(BaseModel):
    """What is wrong, and where."""

    field: str
    code: str
    message: str


class WarningShown(BaseModel):
    """What looks wrong; ``suggestion``, where there is one, corrects it when it is merged into ``params``."""

    code: str
    message: str
    columns: list[str] = []
    evidence: Any = None
    suggestion: dict[str, Any] = Field(default_factory=dict)


class HolderShown(BaseModel):
    """The job that holds the dataset."""

    holder: str


class ColumnSeen(BaseModel):
    """A column of a file."""

    header: str
    mapped_to: str | None
    type_seen: str | None
    samples: list[Any]


class SampledReject(FieldErrorShown):
    """A row that would be rejected."""

    row: int
    line: str


class SampledRejects(BaseModel):
    """Rejects in a sample of the whole file; ``estimate`` of them in all of it."""

    sampled_rows: int
    rejected_rows: int
    estimate: int
    items: list[SampledReject]


class UploadPreviewShown(BaseModel):
    """What an upload would do. ``blank_rows``: lines that hold nothing, or only delimiters, and are no row."""

    ok: bool
    total_rows: int | None
    blank_rows: int
    seconds: float | None
    warnings: list[WarningShown]
    errors: list[FieldErrorShown]
    conflict: HolderShown | None
    delimiter: str | None
    encoding: str | None
    has_header: bool | None
    columns: list[ColumnSeen]
    first_rows: list[dict[str, Any]]
    rejects: SampledRejects
    file: FileShown


class TeamChange(BaseModel):
    """A field of a team that would be another one."""

    team: str
    field: str
    before: Any
    after: Any


class TwiceNamed(BaseModel):
    """A name that stands in several rows."""

    team_name: str
    rows: list[int]


class InSeveralTeams(BaseModel):
    """A phone that would be in several teams."""

    phone: str
    teams: list[str]


class TeamChangesShown(BaseModel):
    """Teams by what would become of them, among ``examined_rows``; and some of each."""

    examined_rows: int
    created: int
    changed: int
    unchanged: int
    rejected: int
    managers_changed: int
    duplicate_names: int
    new_members: int
    phones_in_several_teams: int
    duplicates: list[TwiceNamed]
    new_phones: list[str]
    several: list[InSeveralTeams]
    changes: list[TeamChange]


class TeamsPreviewShown(UploadPreviewShown):
    """What a job of teams would do. ``effects``: what a row does, in words."""

    teams: TeamChangesShown
    effects: list[str]


class ExportPreviewShown(BaseModel):
    """What an export would give. ``exact``: its rows were counted; otherwise they are an estimate, as the bytes are."""

    ok: bool
    total_rows: int
    exact: bool
    bytes: int
    seconds: float
    confirm_required: bool
    warnings: list[WarningShown]
    errors: list[FieldErrorShown]
    conflict: HolderShown | None
    columns: list[FormField]


class PreviewShown(RootModel[TeamsPreviewShown | UploadPreviewShown | ExportPreviewShown]):
    """What a job would do, by its kind."""
