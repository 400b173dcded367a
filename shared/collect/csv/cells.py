"""Cells of one column at a time: from texts to typed values, and what is wrong with those that have none.

A function here sees a whole column of a chunk. Where Arrow has no operation that is strict enough, Python sees each
distinct text once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collect.csv import phones
from collect.errors import FieldError
from collect.jobs.template import Column, ColumnType

EXCERPT_CHARACTERS = 40
MAX_FIELD_BYTES = 1024 * 1024
MOMENT = pa.timestamp("ms")
"""Times are in UTC and say nothing of a zone, so that no time zone database is needed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_DIGITS = re.compile(r"[+-]?[0-9]+")
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}.*")
_PLAIN_INTEGER = r"\A-?[0-9]{1,18}\z"
_PLAIN_NUMBER = r"\A-?[0-9]{1,15}(\.[0-9]{1,15})?\z"
_INT64 = range(-(2**63), 2**63)
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


@dataclass(frozen=True, kw_only=True)
class CellRules:
    """How the texts of cells become values. The defaults change no text.

    ``trim``: drop blanks around each text. ``decimal``: the decimal mark of numbers, ``.`` or ``,``. ``date_formats``:
    ``strptime`` formats that dates and times may have beside ISO 8601. ``value_map``: column → text in the file → text
    that is read instead.
    """

    trim: bool = False
    decimal: str = "."
    date_formats: tuple[str, ...] = ()
    value_map: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> CellRules:
        """Return the rules in a job's ``params``."""
        return cls(
            trim=bool(params.get("trim")),
            decimal=params.get("decimal") or ".",
            date_formats=tuple(params.get("date_formats") or ()),
            value_map=params.get("value_map") or {},
        )


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A column's values, null where a cell is empty or wrong, and the errors by index, in no order."""

    values: pa.Array
    errors: list[tuple[int, FieldError]]


def check(column: Column, texts: pa.Array, *, required: bool) -> Checked:
    """Type and check the cells of ``column``."""
    present = _without_nulls(column, texts)
    errors: list[tuple[int, FieldError]] = []
    if required and present.null_count:
        missing = FieldError(column.name, "required", f"{column.name} is empty, and it is required.")
        errors.extend((index, missing) for index in _where(pc.is_null(present)))
    values = _TYPED[column.type](column, present)
    if values.null_count != present.null_count:
        wrong = pc.and_(pc.is_null(values), pc.is_valid(present))
        errors.extend(_each(column, texts, wrong, _what_is_wrong))
    for mask, tell in _constraints(column, values):
        if pc.any(mask).as_py():
            errors.extend(_each(column, texts, mask, tell))
    return Checked(values=values, errors=errors)


def check_texts(column: Column, texts: pa.Array, *, may_be_long: bool, may_have_nul: bool) -> Checked:
    """What is wrong with texts whatever their type; such cells are emptied."""
    errors: list[tuple[int, FieldError]] = []
    bad = []
    if may_be_long and (pc.max(pc.binary_length(texts)).as_py() or 0) > MAX_FIELD_BYTES:
        bad.append(pc.greater(pc.binary_length(texts), MAX_FIELD_BYTES))
        errors.extend(_each(column, texts, bad[-1], _too_long))
    if may_have_nul:
        bad.append(pc.match_substring(texts, "\0"))
        errors.extend(_each(column, texts, bad[-1], _has_nul))
    for mask in bad:
        texts = pc.if_else(mask, pa.scalar(None, pa.string()), texts)
    return Checked(values=texts, errors=errors)


def excerpt(text: str) -> str:
    """The text in quotes, cut to a length that fits into a message."""
    return repr(text if len(text) <= EXCERPT_CHARACTERS else text[:EXCERPT_CHARACTERS] + "…")


def _without_nulls(column: Column, texts: pa.Array) -> pa.Array:
    empty = pc.equal(texts, "")
    if column.null_values:
        empty = pc.or_(empty, pc.is_in(texts, value_set=pa.array(column.null_values, pa.string())))
    if not pc.any(empty).as_py():
        return texts
    return pc.if_else(empty, pa.scalar(None, pa.string()), texts)


def _strings(column: Column, texts: pa.Array) -> pa.Array:
    if column.type is ColumnType.ENUM:
        known = pc.is_in(texts, value_set=pa.array(column.values, pa.string()))
        return pc.if_else(known, texts, pa.scalar(None, pa.string()))
    return texts


def _integers(column: Column, texts: pa.Array) -> pa.Array:
    return _mostly(texts, _matching(texts, _PLAIN_INTEGER), kind=pa.int64(), parse=_integer)


def _numbers(column: Column, texts: pa.Array) -> pa.Array:
    return _mostly(texts, _matching(texts, _PLAIN_NUMBER), kind=pa.float64(), parse=_number)


def _matching(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(texts, pattern=pattern)


def _mostly(texts: pa.Array, is_plain: pa.Array, *, kind: pa.DataType, parse: Callable[[str], Any]) -> pa.Array:
    """Texts that are plain are cast by Arrow; the others, few as a rule, are Python's."""
    if pc.all(is_plain).as_py() is not False:
        return texts.cast(kind)
    nothing = pa.scalar(None, pa.string())
    others = _distinct(pc.if_else(is_plain, nothing, texts), parse, kind)
    return pc.coalesce(pc.if_else(is_plain, texts, nothing).cast(kind), others)


def _booleans(column: Column, texts: pa.Array) -> pa.Array:
    return _distinct(texts, lambda text: _BOOLEANS.get(text.lower()), pa.bool_())


def _dates(column: Column, texts: pa.Array) -> pa.Array:
    return _distinct(texts, _date, MOMENT)


def _datetimes(column: Column, texts: pa.Array) -> pa.Array:
    return _distinct(texts, _datetime, MOMENT)


def _phones(column: Column, texts: pa.Array) -> pa.Array:
    def parse(text: str) -> str | None:
        return phones.e164(text, column.country)

    plain = phones.as_they_are(texts, column.country)
    if plain is None:
        return _distinct(texts, parse, pa.string())
    return _mostly(texts, plain, kind=pa.string(), parse=parse)


_TYPED: dict[ColumnType, Callable[[Column, pa.Array], pa.Array]] = {
    ColumnType.STRING: _strings,
    ColumnType.ENUM: _strings,
    ColumnType.INTEGER: _integers,
    ColumnType.NUMBER: _numbers,
    ColumnType.LATITUDE: _numbers,
    ColumnType.LONGITUDE: _numbers,
    ColumnType.BOOLEAN: _booleans,
    ColumnType.DATE: _dates,
    ColumnType.DATETIME: _datetimes,
    ColumnType.PHONE: _phones,
}


def _distinct(texts: pa.Array, parse: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    encoded = texts.dictionary_encode()
    return pa.array(map(parse, encoded.dictionary.to_pylist()), kind).take(encoded.indices)


def _integer(text: str) -> int | None:
    value = int(text) if _INTEGER.fullmatch(text) else None
    return value if value is not None and value in _INT64 else None


def _number(text: str) -> float | None:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None


def _date(text: str) -> int | None:
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None
    return None if day is None else _milliseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _datetime(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text) if _DATETIME.fullmatch(text) else None
        return None if moment is None or moment.tzinfo is None else _milliseconds(moment.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _constraints(column: Column, values: pa.Array) -> Iterator[tuple[pa.Array, Callable[[Column, str], FieldError]]]:
    low, high = column.bounds
    if low is not None:
        yield pc.less(values, _scalar(low, values)), _out_of_range
    if high is not None:
        yield pc.greater(values, _scalar(high, values)), _out_of_range
    if column.pattern is not None:
        yield pc.invert(pc.match_substring_regex(values, pattern=rf"\A(?:{column.pattern})\z")), _unlike_pattern


def _scalar(bound: Any, values: pa.Array) -> pa.Scalar:
    if values.type == pa.int64():
        return pa.scalar(int(bound), pa.int64())
    return pa.scalar(_milliseconds(bound) if isinstance(bound, datetime) else bound, values.type)


def _where(mask: pa.Array) -> list[int]:
    found: list[int] = pc.indices_nonzero(mask).to_pylist()
    return found


def _each(
    column: Column, texts: pa.Array, mask: pa.Array, tell: Callable[[Column, str], FieldError]
) -> Iterator[tuple[int, FieldError]]:
    for index in _where(mask):
        yield index, tell(column, texts[index].as_py())


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


def _what_is_wrong(column: Column, text: str) -> FieldError:
    cell = excerpt(text)
    if column.type is ColumnType.ENUM:
        values = column.values or ()
        known = ", ".join(values[:10]) + (", …" if len(values) > 10 else "")
        return FieldError(column.name, "not_in_values", f"{column.name} {cell} is none of: {known}.")
    code, is_no = _NOT_A[column.type]
    if column.type is ColumnType.PHONE and (spoilt := phones.spoilt(text)):
        return FieldError(column.name, spoilt[0], f"{column.name} {cell} {spoilt[1]}")
    where = f" valid in {column.country}" if column.type is ColumnType.PHONE and column.country else ""
    return FieldError(column.name, code, f"{column.name} {cell} {_of_its_form(column.type, text) or is_no}{where}.")


def _of_its_form(kind: ColumnType, text: str) -> str | None:
    """What is wrong with a text that looks right."""
    if kind is ColumnType.INTEGER and _DIGITS.fullmatch(text):
        return f"is not between {_INT64.start:,} and {_INT64.stop - 1:,}"
    if kind is ColumnType.DATE and _DATE.fullmatch(text):
        swapped = _date(f"{text[:5]}{text[8:]}-{text[5:7]}") is not None
        return "is no day of the calendar" + (": its day and month look swapped" if swapped else "")
    if kind is ColumnType.DATETIME and _DATETIME.fullmatch(text):
        return "has no time zone, as the Z of 2017-05-31T09:30:00Z is one" if _lacks_zone(text) else None
    return None


def _lacks_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _out_of_range(column: Column, text: str) -> FieldError:
    low, high = column.minimum, column.maximum
    if low is None and high is None:
        low, high = column.bounds
    limits = (None if low is None else f"at least {low}", None if high is None else f"at most {high}")
    wanted = " and ".join(limit for limit in limits if limit)
    return FieldError(column.name, "out_of_range", f"{column.name} {excerpt(text)} is not {wanted}.")


def _unlike_pattern(column: Column, text: str) -> FieldError:
    return FieldError(
        column.name, "pattern", f"{column.name} {excerpt(text)} is not of the form {excerpt(column.pattern or '')}."
    )


def _too_long(column: Column, text: str) -> FieldError:
    said = f"{column.name} has {len(text.encode()):,} bytes; a cell has at most {MAX_FIELD_BYTES:,}."
    return FieldError(column.name, "field_too_long", said)


def _has_nul(column: Column, text: str) -> FieldError:
    return FieldError(column.name, "nul_character", f"{column.name} {excerpt(text)} has a NUL character. Remove it.")
