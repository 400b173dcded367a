"""What rejected rows and their corrections look like in answers."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, RootModel

from gateway.schemas.previews import FieldErrorShown, HolderShown, WarningShown

T = TypeVar("T")


class PageOf(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None


class RejectShown(BaseModel):
    """A row that was not written, and why: its first error, and all of them.

    ``revision``: of its text; 1 is the file's own, each correction makes the next. ``correcting``: one is under way.
    """

    row: int
    field: str
    code: str
    message: str
    line: str
    errors: list[FieldErrorShown]
    revision: int
    correcting: bool


class CorrectionShown(BaseModel):
    """A revision of a row that was rejected, what was wrong with it, the text in its place, and what became of that.

    ``audit_seq``: the audit entry of the request.
    """

    row: int
    revision: int
    field: str
    code: str
    message: str
    line: str
    corrected_line: str
    became: Literal["written", "rejected"]
    at: datetime
    audit_seq: int


class RejectsPage(PageOf[RejectShown]):
    """``rejected`` rows are counted, ``stored`` of them can be listed."""

    rejected: int
    stored: int


class BadValue(BaseModel):
    """A cell that was rejected, as it was read, and how many rows have it."""

    value: str
    count: int


class WrongWay(BaseModel):
    """What is wrong in one way with one column; ``field`` is empty for rows as a whole.

    ``distinct`` values in ``count`` rows; ``more`` of them than are listed.
    """

    field: str
    code: str
    count: int
    distinct: int
    values: list[BadValue]
    more: int


class RejectsSummary(BaseModel):
    """``rejected`` rows are counted, ``stored`` of them kept, ``examined`` of these summed up.

    ``value_map``: to begin with; each value stands for itself, until it is replaced.
    """

    items: list[WrongWay]
    value_map: dict[str, dict[str, str]]
    rejected: int
    stored: int
    examined: int


class RejectsShown(RootModel[RejectsSummary | RejectsPage]):
    """Rejects row by row, or summed up."""


class StillWrong(FieldErrorShown):
    """A row that would be rejected again."""

    row: int


class RejectedAgain(BaseModel):
    """Rows that are still wrong in themselves, and some of them."""

    rejected_rows: int
    items: list[StillWrong]


class CorrectionPreviewShown(BaseModel):
    """What a correction of ``rows`` rows would do. ``conflict``: the job that holds what it needs."""

    ok: bool
    rows: int
    warnings: list[WarningShown]
    errors: list[FieldErrorShown]
    conflict: HolderShown | None
    rejects: RejectedAgain
