"""The style of an export beside its format: time zone, delimiter, text for a missing value, columns for choices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from collect.csv import unseen
from collect.errors import FieldError
from collect.exporting import zones
from collect.jobs.forms import FieldType, FormField

CSV_FORMATS = frozenset({"csv", "csv.gz"})
DELIMITERS = (",", ";", "\t", "|")
BOM = b"\xef\xbb\xbf"
MOST_NULL_CHARACTERS = 50

Choices = Mapping[str, tuple[str, ...]]
"""Field → the choices that get a column of their own, in the order of the columns."""

_OF_CSV_ALONE = ("bom", "delimiter", "null_text")
_UNFIT = re.compile(r'[\x00-\x1f\x7f",;|]')
_FORMULA = re.compile(r"['=+\-@]")
_NUMBER_OR_DASHES = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?|-+")


@dataclass(frozen=True, kw_only=True)
class Style:
    """The way in which values are written. The defaults are those of an export without such parameters.

    ``time_zone``: ``None`` is UTC, written ``Z``. ``null_text``: the text for a missing value in a CSV. ``choices``:
    those of the fields that are split.
    """

    time_zone: str | None = None
    bom: bool = False
    delimiter: str = ","
    null_text: str = ""
    choices: Choices = field(default_factory=dict)


PLAIN = Style()


def columns(fields: Iterable[FormField], choices: Choices) -> tuple[FormField, ...]:
    """Return all columns that are written: each field, and after it those of its choices, as ``field/choice``."""
    return tuple(column for each in fields for column in (each, *of_choices(each, choices)))


def of_choices(column: FormField, choices: Choices) -> Iterator[FormField]:
    """Return the columns of a field's choices."""
    for choice in choices.get(column.name, ()):
        yield FormField(name=f"{column.name}/{choice}", type=FieldType.BOOLEAN)


def style_of(params: Mapping[str, Any], format_: str) -> tuple[Style, list[FieldError]]:
    """Return the style for ``params`` of an export, and an error for each parameter that is invalid."""
    errors = [
        FieldError(f"params.{name}", "wrong_format", f"{name} goes with csv and csv.gz, not with {format_}.")
        for name in _OF_CSV_ALONE
        if params.get(name) not in (None, False) and format_ not in CSV_FORMATS
    ]
    zone, null_text = params.get("time_zone"), params.get("null_text") or ""
    if zone is not None and zone not in zones.names():
        errors.append(FieldError("params.time_zone", "unknown_time_zone", _unknown(zone)))
    if (unfit := _unfit(null_text)) is not None:
        errors.append(FieldError("params.null_text", "bad_null_text", unfit))
    style = Style(
        time_zone=None if zone == zones.UTC_NAME else zone,
        bom=bool(params.get("bom")),
        delimiter=params.get("delimiter") or ",",
        null_text=null_text,
    )
    return style, errors


def _unknown(zone: str) -> str:
    near = zones.nearest(zone)
    hint = f" Did you mean {' or '.join(near)}?" if near else " Names are as in Asia/Kolkata."
    return f"{zone[:100]!r} is no time zone of the IANA database.{hint}"


def _unfit(text: str) -> str | None:
    if len(text) > MOST_NULL_CHARACTERS:
        return f"null_text has at most {MOST_NULL_CHARACTERS} characters."
    if _UNFIT.search(text):
        return "null_text has no quote, no delimiter (, ; | tab) and no control character."
    if text and unseen.shows_nothing(text):
        return "null_text has a character that can be seen."
    if text != text.strip(unseen.BLANKS):
        return "null_text has no blanks around it, nor other characters that show nothing."
    if _FORMULA.match(text) and not _NUMBER_OR_DASHES.fullmatch(text):
        return "null_text does not begin with = + - @ or an apostrophe, unless it is a number or dashes."
    return None
