"""Columns as texts: the cells of a CSV, or the values of JSON lines. Each function works on a whole column."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import lru_cache, partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from bson import Binary, Decimal128, Int64, ObjectId
from bson.datetime_ms import DatetimeMS

from collect.exporting import clocks
from collect.exporting.decoding import Column, Numbers
from collect.exporting.style import PLAIN, Style
from collect.exporting.zones import UTC_NAME
from collect.jobs.forms import TEXTS, TIMES, FieldType

_DAY = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()
_FORMULA = "^[=+\\-@\t\r]"
_GUARDED = "^'+[=+\\-@\t\r]"
"""Pattern of a text with an apostrophe before a formula. Such a text gets one more apostrophe, so that an upload can
always take off one."""
_HARMLESS = r"^([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|\+[0-9][0-9 ().-]{4,22}[0-9])$"
"""Pattern of a text that is wholly a number or a phone number. Spreadsheets do not run these as formulas."""


def csv(column: Column, *, formula_safe: bool, style: Style = PLAIN) -> pa.Array:
    """Return the cells of a CSV, quoted where necessary; null where there is no value.

    ``formula_safe``: put an apostrophe before a text that a spreadsheet would take for a formula. A text that is empty
    or equal to ``null_text`` is quoted, so that it differs from a missing value.
    """
    return quoted(unquoted(column, formula_safe=formula_safe, style=style), style)


def unquoted(column: Column, *, formula_safe: bool, style: Style) -> pa.Array:
    """Return the texts of the cells of a CSV, without quotes."""
    texts = _with_odd(_texts(column, style.time_zone), column.odd, partial(_plain, zone=style.time_zone))
    if formula_safe and column.field.type in TEXTS:
        texts = _harmless(texts)
    elif formula_safe and column.odd:
        texts = pc.if_else(_mask(column.odd, len(texts)), _harmless(texts), texts)
    return texts


def like_null(texts: pa.Array, null_text: str) -> int:
    """Return how many texts are equal to ``null_text``, which is written for a missing value."""
    return int(pc.sum(pc.equal(texts, null_text)).as_py() or 0)


def quoted(texts: pa.Array, style: Style) -> pa.Array:
    """Return the cells of a CSV, in quotes where necessary."""
    offsets, parts = _parts(texts)
    data, delimiter = parts.tobytes(), style.delimiter
    masks = []
    if any(each in data for each in (b'"', delimiter.encode(), b"\n", b"\r")):
        masks.append(pc.match_substring_regex(texts, f'[{re.escape(delimiter)}"\r\n]'))
    if np.diff(offsets).min(initial=1) == 0:
        masks.append(pc.equal(texts, ""))
    if style.null_text:
        masks.append(pc.equal(texts, style.null_text))
    if not masks or not pc.any(mask := reduce(pc.or_, masks)).as_py():
        return texts
    within = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(mask, within, texts)


def jsonl(column: Column, style: Style = PLAIN) -> pa.Array:
    """Return the values as JSON texts. A missing value is ``null``, as is a number that JSON does not have."""
    texts = _texts(column, style.time_zone)
    if column.field.type in TEXTS:
        escaped = _escaped(texts)
        texts = pc.binary_join_element_wise('"', escaped, '"', "")
    elif column.field.type in TIMES:
        texts = pc.binary_join_element_wise('"', texts, '"', "")
    elif pa.types.is_floating(column.values.type):
        texts = pc.if_else(pc.is_finite(column.values), texts, None)
    return _with_odd(texts, column.odd, partial(_json, zone=style.time_zone)).fill_null("null")


def parquet(column: Column, style: Style = PLAIN) -> pa.Array:
    """Return typed values for Parquet. A value that does not fit is null. A field of type JSON has JSON texts."""
    if column.field.type is FieldType.JSON:
        return _with_odd(column.values, column.odd, partial(_json, zone=style.time_zone))
    if column.field.type is FieldType.DATE:
        return column.values.cast(pa.date32(), safe=False)
    return (
        column.values.cast(pa.timestamp("ms", tz=style.time_zone or UTC_NAME))
        if column.field.type in TIMES
        else column.values
    )


def _texts(column: Column, zone: str | None) -> pa.Array:
    if column.field.type in TIMES:
        return _moments(column, zone)
    return column.values if pa.types.is_string(column.values.type) else column.values.cast(pa.string())


def _with_odd(texts: pa.Array, odd: dict[int, Any], shown: Callable[[Any], str]) -> pa.Array:
    if not odd:
        return texts
    return pc.replace_with_mask(
        texts, _mask(odd, len(texts)), pa.array([shown(odd[row]) for row in sorted(odd)], pa.string())
    )


def _mask(odd: Iterable[int], rows: int) -> pa.Array:
    mask = np.zeros(rows, dtype=bool)
    mask[list(odd)] = True
    return pa.array(mask)


def _plain(value: Any, *, zone: str | None = None) -> str:
    """Return a value of an unexpected type as the cell of a CSV."""
    match value:
        case str():
            return value
        case bool() | dict() | list():
            return _json(value, zone=zone)
        case float():
            return str(pa.scalar(value).cast(pa.string()))
        case datetime():
            return clocks.written(value, zone)
        case _:
            return str(_for_json(value))


def _json(value: Any, *, zone: str | None = None) -> str:
    other = partial(_for_json, zone=zone)
    return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), default=other)


def _finite(value: Any) -> Any:
    """Return the value with ``None`` in place of the numbers that JSON does not have."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _finite(inner) for name, inner in value.items()}
        case list():
            return [_finite(inner) for inner in value]
        case bytes():
            return _for_json(value)
        case _:
            return value


def _for_json(value: Any, *, zone: str | None = None) -> Any:
    """Return a value of a BSON type that JSON does not have, as a text or an integer."""
    match value:
        case datetime():
            return clocks.written(value, zone)
        case DatetimeMS() | Int64():
            return int(value)
        case Binary() | bytes():
            return base64.b64encode(value).decode()
        case ObjectId() | Decimal128() | _:
            return str(value)


def name(field: str) -> str:
    """Return a field's name as a JSON text."""
    return json.dumps(field, ensure_ascii=False)


def _harmless(texts: pa.Array) -> pa.Array:
    if not _may_begin_formula(texts):
        return texts
    looks = pc.and_(pc.match_substring_regex(texts, _FORMULA), pc.invert(pc.match_substring_regex(texts, _HARMLESS)))
    looks = pc.or_(looks, pc.match_substring_regex(texts, _GUARDED))
    return pc.if_else(looks, pc.binary_join_element_wise("'", texts, ""), texts)


def _may_begin_formula(texts: pa.Array) -> bool:
    """Return whether any text begins with a character of a formula. It is a fast check; phone numbers pass it, too."""
    offsets, data = _parts(texts)
    if len(data) == 0:
        return False
    first = data[np.minimum(offsets[:-1], len(data) - 1)]
    return bool(np.isin(first[np.diff(offsets) > 0], _STARTS).any())


_STARTS = np.frombuffer(b"=+-@\t\r'", dtype=np.uint8)


def _parts(texts: pa.Array) -> tuple[Numbers, Numbers]:
    """Return the offsets and the bytes of a column of texts."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32, count=texts.offset + len(texts) + 1)[texts.offset :]
    whole = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return bounds, whole[: bounds[-1]]


def _escaped(texts: pa.Array) -> pa.Array:
    """Return the texts escaped for JSON, without quotes around them."""
    data = _parts(texts)[1]
    if not (data < ord(" ")).any() and b'"' not in (plain := data.tobytes()) and b"\\" not in plain:
        return texts
    mask = pc.match_substring_regex(texts, '[\x00-\x1f"\\\\]').fill_null(False)
    escaped = [json.dumps(text, ensure_ascii=False)[1:-1] for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(escaped, pa.string()))


def _moments(column: Column, zone: str | None) -> pa.Array:
    """Return times in RFC 3339 with milliseconds, in UTC or by the clocks of ``zone``. A date field has dates alone.

    A date is stored as midnight in UTC, and is the same date in every zone. If a value of a date field is not midnight,
    its time is written too.
    """
    valid = column.values.is_valid().to_numpy(zero_copy_only=False)
    moments = column.values.cast(pa.int64()).fill_null(0).to_numpy()
    if column.field.type is not FieldType.DATE:
        return _fixed(_whole(moments, zone), valid)
    days, rest = np.divmod(moments, _DAY)
    dates = _fixed(_dates(days), valid)
    return dates if not rest.any() else pc.if_else(rest == 0, dates, _fixed(_whole(moments, zone), valid))


def _whole(moments: Numbers, zone: str | None) -> Numbers:
    minutes = np.zeros(len(moments), dtype=np.int64) if zone is None else clocks.offsets(moments, zone)
    days, rest = np.divmod(moments + minutes * clocks.MINUTE_MS, _DAY)
    known, place = np.unique(minutes, return_inverse=True)
    width = len(clocks.suffix(0, zone))
    suffixes = b"".join(clocks.suffix(int(each), zone).encode() for each in known)
    texts = np.empty((len(moments), 23 + width), dtype=np.uint8)
    texts[:, :10] = _dates(days)
    texts[:, 10:19] = _seconds()[rest // 1000]
    texts[:, 19:23] = _milliseconds()[rest % 1000]
    texts[:, 23:] = np.frombuffer(suffixes, dtype=np.uint8).reshape(-1, width)[place]
    return texts


def _dates(days: Numbers) -> Numbers:
    known, place = np.unique(days, return_inverse=True)
    return np.frombuffer(b"".join(_day(int(day)) for day in known), dtype=np.uint8).reshape(-1, 10)[place]


def _fixed(texts: Numbers, valid: Numbers) -> pa.Array:
    """Return texts of equal length as a column."""
    count, width = texts.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    bits = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(texts)), bits, -1, 0
    )


@lru_cache(maxsize=20_000)
def _day(number: int) -> bytes:
    """Return a date such as ``2017-08-01``, from days since 1970."""
    return date.fromordinal(number + _EPOCH).isoformat().encode()


@lru_cache(maxsize=1)
def _seconds() -> Numbers:
    """Return a text such as ``T00:00:00`` for each second of a day."""
    clock = (f"T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in range(86_400))
    return np.frombuffer("".join(clock).encode(), dtype=np.uint8).reshape(-1, 9)


@lru_cache(maxsize=1)
def _milliseconds() -> Numbers:
    """Return a text such as ``.000`` for each millisecond of a second."""
    return np.frombuffer("".join(f".{n:03}" for n in range(1000)).encode(), dtype=np.uint8).reshape(-1, 4)
