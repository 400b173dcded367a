"""The types and names of a dataset's columns."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

MOST_PATTERN_CHARACTERS = 1_000
ColumnName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
Bound = int | float | str
"""A bound of a column's values: a number, or an ISO 8601 text for dates and times."""


class ColumnType(StrEnum):
    """The type of a column's cells."""

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
