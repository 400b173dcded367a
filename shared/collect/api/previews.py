"""The previews of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from collect.api.answers import Answer, FieldError, Holder, Warning
from collect.api.data import File
from collect.jobs.forms import FormField


class Preview(Answer):
    """The preview of a job. ``ok``: the job would be accepted. ``conflict``: the job that holds the dataset now."""

    ok: bool = True
    total_rows: int | None = None
    seconds: float | None = None
    warnings: list[Warning] = Field(default_factory=list)
    errors: list[FieldError] = Field(default_factory=list)
    conflict: Holder | None = None

    @property
    def holder(self) -> str | None:
        """The job that holds the dataset now."""
        return None if self.conflict is None else self.conflict.holder


class FileColumn(Answer):
    """A column of a file: its header, the column that it is read as, the type that its cells look like, some cells."""

    header: str = ""
    mapped_to: str | None = None
    type_seen: str | None = None
    samples: list[Any] = Field(default_factory=list)


class SampledReject(FieldError):
    """A row that would be rejected, with its first error."""

    row: int
    line: str = ""


class SampledRejects(Answer):
    """The rejects in a sample of rows from the whole file. ``estimate``: the rejects in all rows."""

    sampled_rows: int = 0
    rejected_rows: int = 0
    estimate: int = 0
    items: list[SampledReject] = Field(default_factory=list)


class UploadPreview(Preview):
    """The preview of an upload. ``blank_rows``: lines that are empty or have only delimiters. They are no rows."""

    blank_rows: int = 0
    delimiter: str | None = None
    encoding: str | None = None
    has_header: bool | None = None
    columns: list[FileColumn] = Field(default_factory=list)
    first_rows: list[dict[str, Any]] = Field(default_factory=list)
    rejects: SampledRejects = SampledRejects()
    file: File


class TeamChange(Answer):
    """A field of a team that would change."""

    team: str
    field: str
    before: Any
    after: Any


class DuplicateName(Answer):
    """A name that several rows have."""

    team_name: str
    rows: list[int]


class InSeveralTeams(Answer):
    """A phone that would be in several teams."""

    phone: str
    teams: list[str]


class TeamChanges(Answer):
    """The effects of a file on teams, counted in ``examined_rows``, with some examples of each."""

    examined_rows: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    managers_changed: int = 0
    duplicate_names: int = 0
    new_members: int = 0
    phones_in_several_teams: int = 0
    duplicates: list[DuplicateName] = Field(default_factory=list)
    new_phones: list[str] = Field(default_factory=list)
    several: list[InSeveralTeams] = Field(default_factory=list)
    changes: list[TeamChange] = Field(default_factory=list)


class TeamsPreview(UploadPreview):
    """The preview of a job of teams. ``effects``: sentences that say what a row does to stored teams."""

    teams: TeamChanges = TeamChanges()
    effects: list[str] = Field(default_factory=list)


class ExportPreview(Preview):
    """The preview of an export. ``exact``: the rows were counted; otherwise they are estimated, like the bytes."""

    total_rows: int = 0
    seconds: float = 0.0
    exact: bool = True
    bytes: int = 0
    confirm_required: bool = False
    columns: list[FormField] = Field(default_factory=list)


AnyPreview = TeamsPreview | UploadPreview | ExportPreview


def preview(body: Mapping[str, Any]) -> AnyPreview:
    """Return the preview in an answer. Its fields tell the kind of job."""
    kind = TeamsPreview if "teams" in body else ExportPreview if "exact" in body else UploadPreview
    return kind.model_validate(body)
