"""The base of all answers, and the parts that several of them share."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")


def rfc3339(at: datetime) -> str:
    """Return the time as ``2026-01-31T09:30:00.000Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: Any) -> Any:
    """Return ``value`` as JSON has it: its times as the API writes them, and ``None`` for numbers that JSON lacks."""
    match value:
        case datetime():
            return rfc3339(value)
        case Enum():
            return value.value
        case dict():
            return {name: plain(inner) for name, inner in value.items()}
        case float() if not math.isfinite(value):
            return None
        case list() | tuple():
            return [plain(inner) for inner in value]
        case _:
            return value


Time = Annotated[
    datetime,
    PlainSerializer(rfc3339, when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time. JSON has it in RFC 3339, in UTC, with milliseconds."""


class KnownValues:
    """Describes a field of type ``E | str`` as the enum ``E``.

    A newer gateway may send values that this release does not know. The client takes them as texts.
    """

    def __get_pydantic_json_schema__(self, union: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(cast(core_schema.UnionSchema, union)["choices"][0])  # type: ignore[arg-type]


class Answer(BaseModel):
    """The base class of all answers. Fields that a newer gateway adds are kept and passed on.

    A field with a default is still in every answer: the default is for answers of an older gateway. The fields in
    ``SOMETIMES`` are in some answers only.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
        json_schema_extra=lambda schema, model: model._describe(schema),
    )
    SOMETIMES: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def _describe(cls, schema: dict[str, Any]) -> None:
        schema.pop("additionalProperties", None)
        always = [name for name in schema.get("required", []) if name not in cls.SOMETIMES]
        schema.pop("required", None)
        if always:
            schema["required"] = always
        for name in always:
            schema["properties"][name].pop("default", None)

    def body(self) -> dict[str, Any]:
        """Return the answer as JSON has it, with the fields that were given."""
        document: dict[str, Any] = plain(self.model_dump(by_alias=True, exclude_unset=True))
        return document


class Page(Answer, Generic[T]):
    """One page of a list. ``next_cursor``: the cursor of the next page; null on the last page."""

    items: list[T]
    next_cursor: str | None


class Actor(Answer):
    """The API key, or the part of the system, that did something."""

    id: str
    name: str


class FieldError(Answer):
    """An error, and the field that has it."""

    field: str
    code: str
    message: str


class Warning(Answer):
    """Something that looks like a mistake.

    ``suggestion``: params that remove the cause when they are merged into ``params``. ``evidence``: what was found.
    """

    SOMETIMES = frozenset({"columns", "evidence", "suggestion"})

    code: str = ""
    message: str = ""
    columns: list[str] = []
    evidence: Any = None
    suggestion: dict[str, Any] = Field(default_factory=dict)


class Holder(Answer):
    """The job that holds the dataset."""

    holder: str
