"""Messages for cells without a value of their column's type: a code, and a sentence that says what to do."""

from __future__ import annotations

import json
import re
from datetime import date
from functools import cache

from collect.csv import phones, scalars, unseen, wrong_phones
from collect.csv.cell_rules import CellRules
from collect.errors import FieldError
from collect.jobs.template import NUMERIC, Column, ColumnType

EXCERPT_CHARACTERS = 40
MOST_VALUES_SHOWN = 10
MOST_FORMATS_SHOWN = 2
"""Most date formats that a message proposes, such as day first and month first."""

_NOT_A = {
    ColumnType.INTEGER: ("not_an_integer", "is no whole number as 1024 is one"),
    ColumnType.NUMBER: ("not_a_number", "is no number as 10.24 is one"),
    ColumnType.LATITUDE: ("not_a_number", "is no number as 10.24 is one"),
    ColumnType.LONGITUDE: ("not_a_number", "is no number as 10.24 is one"),
    ColumnType.BOOLEAN: ("not_a_boolean", "is neither true nor false (nor yes, no, 1, 0)"),
    ColumnType.DATE: ("not_a_date", "is no date as 2017-05-31 is one"),
    ColumnType.DATETIME: ("not_a_datetime", "is no time with a zone as 2017-05-31T09:30:00Z is one"),
    ColumnType.PHONE: ("not_a_phone", "is no phone number"),
}
_OTHER_MARK = {".": ",", ",": "."}
_NAMED = {".": "point", ",": "comma"}
_GROUPED = re.compile(
    r"[+-]?[0-9]{1,3}(?P<mark>[.,'\u2019 \u00a0\u2009\u202f])[0-9]{3}((?P=mark)[0-9]{3})*(?P<rest>[.,][0-9]+)?"
)
"""A number whose thousands are grouped, or one with exactly three decimals: it looks the same."""
_USUAL_FORMATS = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d %b %Y",
    "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%y",
)  # fmt: skip
"""Formats in which dates are often written. Two formats that read a text as different days are near each other."""
_MIDNIGHTS = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S")
_CLOCKS_WITH_ZONE = (" %H:%M%z", " %H:%M:%S%z", " %H:%M %z", " %H:%M:%S %z")
_ZONES = ("0", *(sign + rest for sign in "+-" for rest in ("0", "0.0", "0:0", "0:0:0", "0:0:0.0")))
"""Outlines of the zones that %z reads: Z, and hours, minutes and seconds with their fraction."""


def excerpt(text: str) -> str:
    """Return the text in quotes, cut to a length that fits into a message."""
    return repr(text if len(text) <= EXCERPT_CHARACTERS else text[:EXCERPT_CHARACTERS] + "…")


def untyped(column: Column, text: str, *, rules: CellRules) -> FieldError:
    """Return the error of a text that has no value of the column's type."""
    cell = excerpt(text)
    if column.type is ColumnType.ENUM:
        return _not_in_values(column, text)
    code, is_no = _NOT_A[column.type]
    if column.type is ColumnType.PHONE:
        code, is_no = wrong_phones.what_is_wrong(text, column.country)
        return FieldError(column.name, code, f"{column.name} {cell} {is_no}{_hint_of_blanks(column, text, rules)}")
    if column.type in NUMERIC and column.type is not ColumnType.INTEGER:
        value = scalars.rounded(text, rules.decimal)
        if value is not None:
            return _digits_lost(column, text, value)
    said = _of_its_form(column.type, text, rules) or f"{is_no}.{_hint(column, text, rules)}"
    return FieldError(column.name, code, f"{column.name} {cell} {said}")


def out_of_range(column: Column, text: str) -> FieldError:
    """Return the error of a value below the minimum or above the maximum."""
    low, high = column.minimum, column.maximum
    if low is None and high is None:
        low, high = column.bounds
    limits = (None if low is None else f"at least {low}", None if high is None else f"at most {high}")
    wanted = " and ".join(limit for limit in limits if limit)
    return FieldError(column.name, "out_of_range", f"{column.name} {excerpt(text)} is not {wanted}.")


def unlike_pattern(column: Column, text: str) -> FieldError:
    """Return the error of a text that does not match the column's pattern."""
    return FieldError(
        column.name, "pattern", f"{column.name} {excerpt(text)} is not of the form {excerpt(column.pattern or '')}."
    )


def too_long(column: Column, text: str, *, most_bytes: int) -> FieldError:
    """Return the error of a cell that is longer than ``most_bytes``."""
    said = f"{column.name} has {len(text.encode()):,} bytes; a cell has at most {most_bytes:,}."
    return FieldError(column.name, "field_too_long", said)


def has_nul(column: Column, text: str) -> FieldError:
    """Return the error of a cell with a NUL character."""
    return FieldError(column.name, "nul_character", f"{column.name} {excerpt(text)} has a NUL character. Remove it.")


def _digits_lost(column: Column, text: str, value: float) -> FieldError:
    becomes = excerpt(f"{value:.0f}").strip("'")
    said = (
        f"{column.name} {excerpt(text)} would become {becomes}: 64 bits do not hold this number. Round it; if it is a "
        "code or an ID, it needs a column of text."
    )
    return FieldError(column.name, "digits_lost", said)


def _not_in_values(column: Column, text: str) -> FieldError:
    values = column.values or ()
    listed = ", ".join(values[:MOST_VALUES_SHOWN]) + (", …" if len(values) > MOST_VALUES_SHOWN else "")
    meant = next((value for value in values if value.casefold() == text.strip(unseen.BLANKS).casefold()), None)
    hint = "" if meant is None else f" If it means {meant!r}, set value_map."
    return FieldError(column.name, "not_in_values", f"{column.name} {excerpt(text)} is none of: {listed}.{hint}")


def _of_its_form(kind: ColumnType, text: str, rules: CellRules) -> str | None:
    """Return the message for a text that has the form of its type but no value; ``None`` if it has another form."""
    if kind is ColumnType.INTEGER and scalars.DIGITS.fullmatch(text):
        return f"is not between {scalars.INT64.start:,} and {scalars.INT64.stop - 1:,}."
    if kind is ColumnType.DATE and scalars.DATE.fullmatch(text):
        swapped = scalars.day(f"{text[:5]}{text[8:]}-{text[5:7]}") is not None
        return "is no day of the calendar" + (": its day and month look swapped." if swapped else ".")
    if kind is ColumnType.DATETIME and scalars.lacks_zone(text, rules.date_formats):
        said = "has no time zone, as the Z of 2017-05-31T09:30:00Z is one."
        return said if scalars.DATETIME.fullmatch(text) else f"{said} A format of date_formats needs %z for it."
    return None


def _hint(column: Column, text: str, rules: CellRules) -> str:
    """Return the advice which parameter would help; empty if none would."""
    if blanks := _hint_of_blanks(column, text, rules):
        return blanks
    if column.type in NUMERIC:
        return _hint_of_numbers(column.type, text, rules)
    if column.type is ColumnType.BOOLEAN:
        return " If it means one of them, set value_map."
    if column.type is ColumnType.DATE:
        return _hint_of_dates(text, clocks=_MIDNIGHTS)
    if column.type is ColumnType.DATETIME:
        return _hint_of_dates(text, clocks=_CLOCKS_WITH_ZONE)
    return ""


def _hint_of_blanks(column: Column, text: str, rules: CellRules) -> str:
    bare = text.strip(unseen.BLANKS)
    if rules.trim or bare == text or not _has_value(column, bare, rules):
        return ""
    return " Blanks stand around it: set trim to true."


def _has_value(column: Column, text: str, rules: CellRules) -> bool:
    match column.type:
        case ColumnType.INTEGER:
            return scalars.integer(text) is not None
        case ColumnType.NUMBER | ColumnType.LATITUDE | ColumnType.LONGITUDE:
            return scalars.number(text, rules.decimal) is not None
        case ColumnType.BOOLEAN:
            return scalars.boolean(text) is not None
        case ColumnType.DATE:
            return scalars.day(text, rules.date_formats) is not None
        case ColumnType.DATETIME:
            return scalars.moment(text, rules.date_formats) is not None
        case ColumnType.PHONE:
            return phones.e164(text, column.country) is not None
        case _:
            return False


def _hint_of_numbers(kind: ColumnType, text: str, rules: CellRules) -> str:
    other = _OTHER_MARK[rules.decimal]
    grouped = _GROUPED.fullmatch(text)
    is_decimal = kind is not ColumnType.INTEGER and scalars.number(text, other) is not None
    if is_decimal and grouped:
        decide = f"Is {other!r} its decimal mark? Then set decimal to {other!r}."
        return f" {decide} Does it group thousands? Then leave it out."
    if is_decimal:
        return f" It has a decimal {_NAMED[other]}: set decimal to {other!r}."
    if grouped and (grouped["rest"] is None or kind is not ColumnType.INTEGER):
        return f" {grouped['mark']!r} seems to group its thousands: leave it out."
    return ""


def _outline(text: str) -> str:
    """Return the text with a 0 for each word and number, so that only the characters between them matter."""
    return re.sub(r"\s+", " ", re.sub(r"[^\W_]+", "0", text))


@cache
def _formats_by_outline(clocks: tuple[str, ...]) -> dict[str, list[str]]:
    """Return outline of a text → the usual formats that can read such a text.

    So only a few formats are tried for a text. Each try is slow: ``strptime`` compiles a format again unless it is one
    of the last five.
    """
    formats: dict[str, list[str]] = {}
    for form in (form + clock for form in _USUAL_FORMATS for clock in clocks):
        fields = re.sub("%[a-yA-Z]", "0", form)
        for outline in {_outline(fields.replace("%z", zone)) for zone in _ZONES}:
            formats.setdefault(outline, []).append(form)
    return formats


def _hint_of_dates(text: str, *, clocks: tuple[str, ...]) -> str:
    days: dict[date, str] = {}
    for form in _formats_by_outline(clocks).get(_outline(text), ()):
        if (read := scalars.read_as(text, form)) is not None:
            days.setdefault(read.date(), form)
    if not days:
        return ""
    ways = " or ".join(json.dumps([form]) for form in list(days.values())[:MOST_FORMATS_SHOWN])
    return f" If its dates are written that way, set date_formats, as in {ways}."
