"""What answers about datasets, teams and forms look like."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from collect.jobs.forms import FormField
from collect.jobs.template import Column


class DatasetShown(BaseModel):
    """A template, who holds the dataset, and how many rows it has."""

    name: str
    key: list[str]
    columns: list[Column]
    locked_by: str | None
    row_count: int


class RowShown(BaseModel):
    """A row, and the ledger entry that first touched it."""

    id: str = Field(alias="_id")
    org_id: str
    dataset: str
    values: dict[str, Any]
    row: int
    written_by: str
    revision: int


class PersonShown(BaseModel):
    """Somebody of a team; the phone is in E.164."""

    phone: str


class TeamShown(BaseModel):
    """A team with all its links, and the ledger entry that first touched it."""

    name: str
    description: str | None
    managers: list[PersonShown]
    members: list[PersonShown]
    form_ids: list[str]
    written_by: str
    revision: int


class FormShown(BaseModel):
    """A form. Unless ``responses_exact``, the number of its responses was estimated, since there are so many."""

    id: str
    form_id: str
    title: str
    version: int
    fields: list[FormField]
    responses: int
    responses_exact: bool
