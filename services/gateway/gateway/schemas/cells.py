"""Cells of files as requests have them, and how those are written."""

from __future__ import annotations

import decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, PlainValidator, StringConstraints, WithJsonSchema

from collect.csv import encodings
from collect.jobs import date_formats

Header = Annotated[str, StringConstraints(max_length=200_000, pattern=r"^[^\x00]*$")]
"""A name in a file's header. It becomes the name of a field, and those have no NUL."""
DelimiterName = Literal[",", ";", "\t", "|"]
DecimalMark = Literal[".", ","]
Encoding = Annotated[str, StringConstraints(max_length=encodings.MOST_NAME_CHARACTERS)]


def _usable(date_format: str) -> str:
    if (wrong := date_formats.wrong(date_format)) is not None:
        raise ValueError(wrong)
    return date_format


DateFormat = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_usable)]
"""A format of `strptime` that names a day, a month and a year."""


class NumberText(str):
    """The text of a cell that was given as a number of JSON, which has a decimal point whatever the file has."""

    __slots__ = ()

    def written(self, mark: str) -> str:
        """Return the text with another decimal mark."""
        return str(self).replace(".", mark)


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():  # JSON does not tell 34 from 34.0, and a column of integers does; no exponent, as people write
            return NumberText(int(value)) if value.is_integer() else NumberText(f"{decimal.Decimal(repr(value)):f}")
    raise ValueError("a cell is a text, a number, true, false or null")


def spelled(text: str, mark: str) -> str:
    """Return a cell's text as a file with this decimal mark has it."""
    return text.written(mark) if isinstance(text, NumberText) else text


Cell = Annotated[
    str, PlainValidator(_cell), WithJsonSchema({"type": ["string", "integer", "number", "boolean", "null"]})
]
"""A cell as JSON has it, and as the text that stands for it in a file: an empty one is null."""

CellText = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]
"""The text of a cell as a file has it. It becomes the name of a field, and those have no NUL."""
ValueMap = dict[Header, dict[CellText, Cell]]
"""Column of the template → text in the file → what is read instead: a text, a number, true, false or null (empty)."""
