"""Columns as texts: the cells of a CSV, or the values of JSON lines. A function here sees a whole column."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from bson import Binary, Decimal128, Int64, ObjectId
from bson.datetime_ms import DatetimeMS

from collect.exporting.decoding import Column, Numbers
from collect.jobs.forms import TEXTS, TIMES, FieldType

_DAY = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()
_FORMULA = "^[=+\\-@\t\r]"
_HARMLESS = r"^([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|\+[0-9][0-9 ().-]{4,22}[0-9])$"
"""All of it is a number, or a phone number as people write them: no spreadsheet makes anything else of those."""


def csv(column: Column, *, formula_safe: bool) -> pa.Array:
    """The cells of a CSV, quoted where they have to be; null where there is no value.

    A text that a spreadsheet would take for a formula begins with an apostrophe, if it is to be ``formula_safe``.
    """
    texts = _with_odd(_texts(column), column.odd, _plain)
    if formula_safe and column.field.type in TEXTS:
        texts = _harmless(texts)
    elif formula_safe and column.odd:
        texts = pc.if_else(_mask(column.odd, len(texts)), _harmless(texts), texts)
    data = _parts(texts)[1].tobytes()
    if not any(special in data for special in (b'"', b",", b"\n", b"\r")):
        return texts
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(texts, '[",\r\n]'), quoted, texts)


def jsonl(column: Column) -> pa.Array:
    """Values of JSON; ``null`` where there is none, and for numbers that JSON does not have."""
    texts = _texts(column)
    if column.field.type in TEXTS:
        escaped = _escaped(texts)
        texts = pc.binary_join_element_wise('"', escaped, '"', "")
    elif column.field.type in TIMES:
        texts = pc.binary_join_element_wise('"', texts, '"', "")
    elif pa.types.is_floating(column.values.type):
        texts = pc.if_else(pc.is_finite(column.values), texts, None)
    return _with_odd(texts, column.odd, _json).fill_null("null")


def parquet(column: Column) -> pa.Array:
    """Typed values. One that does not fit is null; a field of any type holds JSON."""
    if column.field.type is FieldType.JSON:
        return _with_odd(column.values, column.odd, _json)
    if column.field.type is FieldType.DATE:
        return column.values.cast(pa.date32(), safe=False)
    return column.values.cast(pa.timestamp("ms", tz="UTC")) if column.field.type in TIMES else column.values


def _texts(column: Column) -> pa.Array:
    if column.field.type in TIMES:
        return _moments(column)
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


def _plain(value: Any) -> str:
    """A value of an unexpected type, as the cell of a CSV."""
    match value:
        case str():
            return value
        case bool() | dict() | list():
            return _json(value)
        case float():
            return str(pa.scalar(value).cast(pa.string()))
        case datetime():
            return _rfc3339(value)
        case _:
            return str(_for_json(value))


def _json(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), default=_for_json)


def _finite(value: Any) -> Any:
    """The same without the numbers that JSON does not have."""
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


def _for_json(value: Any) -> Any:
    """Types of BSON that JSON does not have, as texts."""
    match value:
        case datetime():
            return _rfc3339(value)
        case DatetimeMS() | Int64():
            return int(value)
        case Binary() | bytes():
            return base64.b64encode(value).decode()
        case ObjectId() | Decimal128() | _:
            return str(value)


def name(field: str) -> str:
    """A name as JSON has it."""
    return json.dumps(field, ensure_ascii=False)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _harmless(texts: pa.Array) -> pa.Array:
    if not _may_begin_formula(texts):
        return texts
    looks = pc.and_(pc.match_substring_regex(texts, _FORMULA), pc.invert(pc.match_substring_regex(texts, _HARMLESS)))
    return pc.if_else(looks, pc.binary_join_element_wise("'", texts, ""), texts)


def _may_begin_formula(texts: pa.Array) -> bool:
    """A look at the first bytes alone. Columns of phone numbers pass, and are looked at more closely."""
    offsets, data = _parts(texts)
    if len(data) == 0:
        return False
    first = data[np.minimum(offsets[:-1], len(data) - 1)]
    return bool(np.isin(first[np.diff(offsets) > 0], _STARTS).any())


_STARTS = np.frombuffer(b"=+-@\t\r", dtype=np.uint8)


def _parts(texts: pa.Array) -> tuple[Numbers, Numbers]:
    """Offsets and bytes of a column of texts."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32, count=texts.offset + len(texts) + 1)[texts.offset :]
    whole = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return bounds, whole[: bounds[-1]]


def _escaped(texts: pa.Array) -> pa.Array:
    """As they stand between the quotes of JSON."""
    data = _parts(texts)[1]
    if not (data < ord(" ")).any() and b'"' not in (plain := data.tobytes()) and b"\\" not in plain:
        return texts
    mask = pc.match_substring_regex(texts, '[\x00-\x1f"\\\\]').fill_null(False)
    escaped = [json.dumps(text, ensure_ascii=False)[1:-1] for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(escaped, pa.string()))


def _moments(column: Column) -> pa.Array:
    """RFC 3339 in UTC with milliseconds; dates alone in a column of dates, unless the time says more."""
    valid = column.values.is_valid().to_numpy(zero_copy_only=False)
    moments = column.values.cast(pa.int64()).fill_null(0).to_numpy()
    days, rest = np.divmod(moments, _DAY)
    known, place = np.unique(days, return_inverse=True)
    written = np.frombuffer(b"".join(_day(int(day)) for day in known), dtype=np.uint8).reshape(-1, 10)[place]
    if column.field.type is FieldType.DATE and not rest.any():
        return _fixed(written, valid)
    texts = np.empty((len(moments), 24), dtype=np.uint8)
    texts[:, :10] = written
    texts[:, 10:19] = _seconds()[rest // 1000]
    texts[:, 19:] = _milliseconds()[rest % 1000]
    whole = _fixed(texts, valid)
    return whole if column.field.type is not FieldType.DATE else pc.if_else(rest == 0, _fixed(written, valid), whole)


def _fixed(texts: Numbers, valid: Numbers) -> pa.Array:
    """Texts of one length as a column."""
    count, width = texts.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    bits = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(texts)), bits, -1, 0
    )


@lru_cache(maxsize=20_000)
def _day(number: int) -> bytes:
    """``2017-08-01``, from days since 1970."""
    return date.fromordinal(number + _EPOCH).isoformat().encode()


@lru_cache(maxsize=1)
def _seconds() -> Numbers:
    """``T00:00:00`` for each second of a day."""
    clock = (f"T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in range(86_400))
    return np.frombuffer("".join(clock).encode(), dtype=np.uint8).reshape(-1, 9)


@lru_cache(maxsize=1)
def _milliseconds() -> Numbers:
    """``.000Z`` for each millisecond of a second."""
    return np.frombuffer("".join(f".{n:03}Z" for n in range(1000)).encode(), dtype=np.uint8).reshape(-1, 5)
