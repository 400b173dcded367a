"""Answers about files, datasets, teams, forms, keys, the organisation and the system itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from collect.api.answers import Answer, KnownValues, Time
from collect.jobs.columns import MOST_PATTERN_CHARACTERS, Bound, ColumnName, ColumnType
from collect.jobs.forms import FormField
from collect.jobs.limits import Limits, Role


class File(Answer):
    """An input file. It never changes."""

    id: str
    name: str
    bytes: int
    sha256: str
    created_at: Time
    expires_at: Time


class DatasetColumn(Answer):
    """A column. ``minimum`` and ``maximum`` are inclusive: numbers, or ISO 8601 texts for dates and times."""

    SOMETIMES = frozenset({"required", "pattern", "minimum", "maximum", "values", "country", "null_values"})

    name: ColumnName
    type: Annotated[ColumnType | str, Field(union_mode="left_to_right"), KnownValues()]
    required: bool = False
    pattern: str | None = Field(default=None, max_length=MOST_PATTERN_CHARACTERS)
    minimum: Bound | None = None
    maximum: Bound | None = None
    values: tuple[str, ...] | None = None
    country: str | None = None
    null_values: tuple[str, ...] = ()


class Dataset(Answer):
    """A dataset: its template, the job that holds it, and its number of rows."""

    name: str
    key: list[str]
    columns: list[DatasetColumn]
    locked_by: str | None = None
    row_count: int = 0


class Row(Answer):
    """A stored row. ``written_by``: the ledger entry of the job that touched it first."""

    id: str = Field(alias="_id")
    org_id: str = ""
    dataset: str = ""
    values: dict[str, Any]
    row: int = 0
    written_by: str = ""
    revision: int = 0


class Person(Answer):
    """A person in a team, identified by a phone number in E.164."""

    phone: str


class Team(Answer):
    """A team with its people and forms. ``written_by``: the ledger entry of the job that touched it first."""

    name: str
    description: str | None = None
    managers: list[Person] = Field(default_factory=list)
    members: list[Person] = Field(default_factory=list)
    form_ids: list[str] = Field(default_factory=list)
    written_by: str = ""
    revision: int = 0


class Form(Answer):
    """A form. ``responses_exact``: its responses were counted; otherwise their number is an estimate."""

    id: str
    form_id: str
    title: str
    version: int
    fields: list[FormField]
    responses: int
    responses_exact: bool


class Key(Answer):
    """An API key without its secret. ``org_id`` is null for a key of platform staff."""

    id: str
    org_id: str | None
    name: str
    role: Role
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None


class NewKey(Key):
    """An API key that was just created. ``key``: the secret. It is shown only in the first answer."""

    key: str | None


class Organisation(Answer):
    """The organisation that the key acts for, and its limits."""

    id: str
    name: str
    limits: Limits


class Slot(Answer):
    """A slot of a worker. A job of another organisation is not named."""

    busy: bool
    job_id: str | None
    part: int | None
    rows_per_second: float
    rss_bytes: int
    cpu_seconds: float


class Worker(Answer):
    """A worker that has sent a heartbeat lately."""

    id: str
    kind: str
    version: str
    at: Time
    slots: list[Slot]


class Queue(Answer):
    """The number of the organisation's parts that wait for a slot, and that run."""

    kind: str
    queue: str
    waiting: int
    running: int


class Health(Answer):
    """The answer of `GET /healthz`."""

    status: str


class Readiness(Answer):
    """The answer of `GET /readyz`: which servers answer."""

    status: str
    mongodb: bool
    rabbitmq: bool
    redis: bool
