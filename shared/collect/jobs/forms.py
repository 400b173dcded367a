"""The forms, and the fields that their responses have. Exports choose columns and filter only by these fields."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class FieldType(StrEnum):
    """What the answers to a question are. Stored answers may still be something else, or missing."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    PHONE = "phone"
    LATITUDE = "latitude"
    LONGITUDE = "longitude"
    ENUM = "enum"
    JSON = "json"


TEXTS = frozenset({FieldType.STRING, FieldType.PHONE, FieldType.ENUM})
NUMBERS = frozenset({FieldType.NUMBER, FieldType.LATITUDE, FieldType.LONGITUDE})
TIMES = frozenset({FieldType.DATE, FieldType.DATETIME})


class FormField(BaseModel):
    """One question, or one thing that is known of every response.

    ``choices``: what may be chosen, of a question that takes several answers. Their order is the form's.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    type: FieldType
    choices: tuple[str, ...] = ()


class Form(BaseModel):
    """A form as it is published."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    org_id: str
    form_id: str
    title: str
    version: int = Field(ge=1)
    fields: tuple[FormField, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> FormField | None:
        """Return the field of that name, or ``None``."""
        return next((field for field in self.fields if field.name == name), None)
