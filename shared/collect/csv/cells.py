"""Cells of one column at a time: from texts to typed values, and the errors of cells without a value.

A function here works on a whole column of a chunk. Where Arrow has no operation that is strict enough, Python parses
each distinct text once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collect.csv import guards, phones, scalars, unseen, wrong_cells
from collect.csv.cell_rules import CellRules as CellRules
from collect.errors import FieldError
from collect.jobs.template import Column, ColumnType

MAX_FIELD_BYTES = 1024 * 1024
MOMENT = pa.timestamp("ms")
"""Type of times: milliseconds in UTC, without a zone, so that Arrow needs no time zone database."""

_PLAIN_INTEGER = r"\A-?[0-9]{1,18}\z"
_PLAIN_NUMBER = {mark: rf"\A-?[0-9]{{1,15}}([{mark}][0-9]{{1,15}})?\z" for mark in (".", ",")}


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The values of a column, null where a cell is empty or wrong, and (index, error) pairs in no order."""

    values: pa.Array
    errors: list[tuple[int, FieldError]]


def check(
    column: Column, texts: pa.Array, *, required: bool, rules: CellRules | None = None, keeps_blanks: bool = False
) -> Checked:
    """Return the typed values of ``column`` and the errors of its cells.

    A cell that shows nothing is empty. In a column of optional text it is so only with ``trim``, or with
    ``keeps_blanks``: then a blank cell leaves the stored value unchanged.
    """
    rules = rules or CellRules()
    in_file, texts = texts, as_read(column, texts, rules)
    present = _without_nulls(column, texts, unseen_too=required or rules.trim or keeps_blanks)
    values = _TYPED[column.type](column, present, rules)
    errors: list[tuple[int, FieldError]] = []
    if values.null_count != present.null_count:
        present = _without_unseen(present, pc.and_(pc.is_null(values), pc.is_valid(present)))
        wrong = pc.and_(pc.is_null(values), pc.is_valid(present))
        errors.extend(_each(column, texts, wrong, partial(wrong_cells.untyped, rules=rules)))
    if required and present.null_count:
        missing = FieldError(column.name, "required", f"{column.name} is empty, and it is required.")
        errors.extend((index, missing) for index in _where(pc.is_null(present)))
    for mask, tell in _constraints(column, values):
        if pc.any(mask).as_py():
            errors.extend(_each(column, texts, mask, tell))
    if errors and rules.value_map.get(column.name):
        errors = [(index, _with_cell(error, in_file[index], texts[index], rules)) for index, error in errors]
    return Checked(values=values, errors=errors)


def as_read(column: Column, texts: pa.Array, rules: CellRules) -> pa.Array:
    """Return the texts after ``formula_guarded``, ``trim`` and ``value_map`` have changed them, in this order."""
    texts = _bare(texts, rules)
    instead = rules.value_map.get(column.name)
    if not instead or not len(texts):
        return texts
    places = pc.index_in(texts, value_set=pa.array(list(instead), pa.string()))
    return pc.coalesce(pa.array(list(instead.values()), pa.string()).take(places), texts)


def _bare(texts: pa.Array, rules: CellRules) -> pa.Array:
    """Return the texts after ``formula_guarded`` and ``trim`` have changed them, in this order."""
    if rules.formula_guarded:
        texts = guards.taken_off(texts)
    return unseen.trimmed(texts) if rules.trim else texts


def _with_cell(error: FieldError, in_file: pa.Scalar, read: pa.Scalar, rules: CellRules) -> FieldError:
    """Return the error of a cell. If ``value_map`` replaced its text, the message shows the file's text too."""
    if _bare(pa.array([in_file.as_py()], pa.string()), rules)[0].as_py() == read.as_py():
        return error
    said = f"The cell in the file is {wrong_cells.excerpt(in_file.as_py())}; value_map replaced it."
    return FieldError(error.field, error.code, f"{error.message} {said}")


def plain_texts(column: Column, texts: Sequence[str], rules: CellRules) -> list[str]:
    """Return the texts as a file that needs no ``rules`` would have them. Checks that compare columns use this."""
    read: list[str] = as_read(column, pa.array(texts, pa.string()), rules).to_pylist()
    if rules.decimal == "." and not rules.date_formats:
        return read
    return [scalars.canonical(text, decimal=rules.decimal, formats=rules.date_formats) for text in read]


def check_texts(column: Column, texts: pa.Array, *, may_be_long: bool, may_have_nul: bool) -> Checked:
    """Return the texts and the errors that do not depend on a type: too long, or a NUL. Wrong cells become null."""
    errors: list[tuple[int, FieldError]] = []
    bad = []
    if may_be_long and (pc.max(pc.binary_length(texts)).as_py() or 0) > MAX_FIELD_BYTES:
        bad.append(pc.greater(pc.binary_length(texts), MAX_FIELD_BYTES))
        errors.extend(_each(column, texts, bad[-1], partial(wrong_cells.too_long, most_bytes=MAX_FIELD_BYTES)))
    if may_have_nul:
        bad.append(pc.match_substring(texts, "\0"))
        errors.extend(_each(column, texts, bad[-1], wrong_cells.has_nul))
    for mask in bad:
        texts = pc.if_else(mask, pa.scalar(None, pa.string()), texts)
    return Checked(values=texts, errors=errors)


def _without_nulls(column: Column, texts: pa.Array, *, unseen_too: bool) -> pa.Array:
    empty = pc.equal(texts, "")
    if column.null_values:
        empty = pc.or_(empty, pc.is_in(texts, value_set=pa.array(column.null_values, pa.string())))
    if unseen_too and column.type is ColumnType.STRING and (nothing := unseen.mask(texts)) is not None:
        empty = pc.or_(empty, nothing)
    if not pc.any(empty).as_py():
        return texts
    return pc.if_else(empty, pa.scalar(None, pa.string()), texts)


def _without_unseen(texts: pa.Array, among: pa.Array) -> pa.Array:
    """Return the texts. At the places where ``among`` is true, texts that show nothing become null."""
    nothing = unseen.mask(pc.if_else(among, texts, pa.scalar(None, pa.string())))
    if nothing is None:
        return texts
    return pc.if_else(pc.fill_null(nothing, False), pa.scalar(None, pa.string()), texts)


def _strings(column: Column, texts: pa.Array, rules: CellRules) -> pa.Array:
    if column.type is ColumnType.ENUM:
        known = pc.is_in(texts, value_set=pa.array(column.values, pa.string()))
        return pc.if_else(known, texts, pa.scalar(None, pa.string()))
    return texts


def _integers(column: Column, texts: pa.Array, rules: CellRules) -> pa.Array:
    return _mostly(texts, _matching(texts, _PLAIN_INTEGER), kind=pa.int64(), parse=scalars.integer)


def _numbers(column: Column, texts: pa.Array, rules: CellRules) -> pa.Array:
    plain = _matching(texts, _PLAIN_NUMBER[rules.decimal])
    cast = _with_points if rules.decimal == "," else None
    parse = partial(scalars.number, decimal=rules.decimal)
    if rules.not_finite:
        parse = partial(scalars.any_number, decimal=rules.decimal, bounded=column.bounds != (None, None))
    return _mostly(texts, plain, kind=pa.float64(), parse=parse, cast=cast)


def _with_points(texts: pa.Array) -> pa.Array:
    return pc.replace_substring(texts, ",", ".")


def _matching(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(texts, pattern=pattern)


def _mostly(
    texts: pa.Array,
    is_plain: pa.Array,
    *,
    kind: pa.DataType,
    parse: Callable[[str], Any],
    cast: Callable[[pa.Array], pa.Array] | None = None,
) -> pa.Array:
    """Return the values of texts. Arrow casts plain ones, after ``cast``; Python parses the others, usually few."""
    if pc.all(is_plain).as_py() is not False:
        return (cast(texts) if cast else texts).cast(kind)
    nothing = pa.scalar(None, pa.string())
    others = _distinct(pc.if_else(is_plain, nothing, texts), parse, kind)
    plain = pc.if_else(is_plain, texts, nothing)
    return pc.coalesce((cast(plain) if cast else plain).cast(kind), others)


def _booleans(column: Column, texts: pa.Array, rules: CellRules) -> pa.Array:
    return _distinct(texts, scalars.boolean, pa.bool_())


def _dates(column: Column, texts: pa.Array, rules: CellRules) -> pa.Array:
    return _distinct(texts, partial(scalars.day, formats=rules.date_formats), MOMENT)


def _datetimes(column: Column, texts: pa.Array, rules: CellRules) -> pa.Array:
    return _distinct(texts, partial(scalars.moment, formats=rules.date_formats), MOMENT)


def _phones(column: Column, texts: pa.Array, rules: CellRules) -> pa.Array:
    def parse(text: str) -> str | None:
        return phones.e164(text, column.country)

    plain = phones.as_they_are(texts, column.country)
    if plain is None:
        return _distinct(texts, parse, pa.string())
    return _mostly(texts, plain, kind=pa.string(), parse=parse)


_TYPED: dict[ColumnType, Callable[[Column, pa.Array, CellRules], pa.Array]] = {
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


def _constraints(column: Column, values: pa.Array) -> Iterator[tuple[pa.Array, Callable[[Column, str], FieldError]]]:
    low, high = column.bounds
    if low is not None:
        yield pc.less(values, _scalar(low, values)), wrong_cells.out_of_range
    if high is not None:
        yield pc.greater(values, _scalar(high, values)), wrong_cells.out_of_range
    if column.pattern is not None:
        yield (
            pc.invert(pc.match_substring_regex(values, pattern=rf"\A(?:{column.pattern})\z")),
            wrong_cells.unlike_pattern,
        )


def _scalar(bound: Any, values: pa.Array) -> pa.Scalar:
    if values.type == pa.int64():
        return pa.scalar(int(bound), pa.int64())
    return pa.scalar(scalars.milliseconds(bound) if isinstance(bound, datetime) else bound, values.type)


def _where(mask: pa.Array) -> list[int]:
    found: list[int] = pc.indices_nonzero(mask).to_pylist()
    return found


def _each(
    column: Column, texts: pa.Array, mask: pa.Array, tell: Callable[[Column, str], FieldError]
) -> Iterator[tuple[int, FieldError]]:
    for index in _where(mask):
        yield index, tell(column, texts[index].as_py())
