"""The decoder from raw BSON to columns, one field of all documents at a time (the fast path of an export).

PyMongoArrow was measured and rejected: it takes twice as long, and an integer field with 3.7 or ``true`` comes out as 3
or 1 (docs/figures.md). This decoder checks the type byte of every value. A value that does not fit its field is kept
unchanged, beside the column.

The documents of one form mostly have the same fields in the same order. So the decoder keeps a position in each
document. All documents whose position is at the same field name are moved past that field in one step.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import bson
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.regex import Regex

from collect.exporting.clocks import FIRST_MS, LAST_MS
from collect.jobs.forms import NUMBERS, TEXTS, TIMES, FieldType, FormField

Numbers = npt.NDArray[Any]

DOUBLE, STRING, BOOLEAN, DATETIME, NULL, REGEX, INT32, INT64 = 1, 2, 8, 9, 10, 11, 16, 18
ABSENT = (0, 6, NULL)
"""The types that mean no value: the field is absent (0, which BSON does not use), undefined, null."""

_FIXED = {DOUBLE: 8, 6: 0, 7: 12, BOOLEAN: 1, DATETIME: 8, NULL: 0, INT32: 4, 17: 8, INT64: 8, 19: 16, 127: 0, 255: 0}
_PREFIXED = {STRING: 4, 3: 0, 4: 0, 5: 5, 13: 4, 14: 4, 15: 0}
"""Size of a value by its type, in bytes (BSON 1.1). ``_FIXED``: the size. ``_PREFIXED``: what to add to the length that
the value begins with."""
_PADDING = bytes(16)
_INLINE = 12
_EXACT = 2**53

_size_of = struct.Struct("<i").unpack_from
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One field of all documents.

    ``odd``: row → a value that does not fit the field's type; ``values`` is null in that row.
    """

    field: FormField
    values: pa.Array
    odd: dict[int, Any]


def starts(raw: bytes) -> list[int]:
    """Return the offset at which each document begins."""
    found: list[int] = []
    at, end = 0, len(raw)
    add, size_of = found.append, _size_of
    while at < end:
        add(at)
        at += size_of(raw, at)[0]
    return found


def documents(raw: bytes) -> list[dict[str, Any]]:
    """Return all documents as dicts. This is the slow way."""
    return bson.decode_all(raw, _CODEC)


def columns(raw: bytes, fields: Sequence[FormField]) -> list[Column]:
    """Return the columns of the documents that are back to back in ``raw``, in the order of ``fields``."""
    return decoded(raw, fields)[0]


def decoded(raw: bytes, fields: Sequence[FormField]) -> tuple[list[Column], dict[str, int]]:
    """Return the columns, and the top-level names that are no field: name → in how many documents it has a value."""
    block = _Block(raw, fields)
    if block.walk():
        return [block.column(field) for field in fields], block.others
    return columns(_regular(raw, fields), fields), _others(raw, {field.name for field in fields})


def _others(raw: bytes, names: set[str]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for document in documents(raw):
        found.update(name for name, value in document.items() if name not in names and value is not None)
    return dict(found)


def _regular(raw: bytes, fields: Sequence[FormField]) -> bytes:
    """Return the documents with these fields only, in this order. A regex becomes text: BSON gives it no length."""
    names = [field.name for field in fields]
    return b"".join(
        bson.encode({name: _steppable(doc[name]) for name in names if name in doc}) for doc in documents(raw)
    )


def _steppable(value: Any) -> Any:
    return value.pattern if isinstance(value, Regex) else value


class _Block:
    """A block of documents that is decoded to columns."""

    def __init__(self, raw: bytes, fields: Sequence[FormField]) -> None:
        self._raw = raw
        self._padded = raw + _PADDING
        self._starts = np.array(starts(raw), dtype=np.int64)
        self._count = len(self._starts)
        self._u1 = self._unaligned("u1", 1)
        self._i4 = self._unaligned("<i4", 4)
        self._u8 = self._unaligned("<u8", 8)
        self._order = {field.name.encode() + b"\0": n for n, field in enumerate(fields)}
        self._wanted = set(self._order)
        self._places: dict[bytes, tuple[Numbers, Numbers]] = {}
        self._whole: dict[int, dict[str, Any]] = {}
        self.others: dict[str, int] = {}

    def _unaligned(self, kind: str, width: int) -> Numbers:
        """Return an array with the value of that kind that begins at each byte of the block."""
        return np.ndarray((len(self._padded) - width + 1,), dtype=kind, buffer=self._padded, strides=(1,))

    def walk(self) -> bool:
        """Step through all fields of all documents. Return ``False`` if the fast path cannot read them.

        That is so if their fields differ too much in order, or if a value has no known length.
        """
        at = self._starts + 4
        unread = np.arange(self._count)
        steps = 64 + 8 * len(self._order)
        while (unread := unread[self._u1[at[unread]] != 0]).size:
            steps -= 1
            name, here = self._next(at, unread)
            if steps < 0 or not self._step(name, here, at):
                return False
        return True

    def _next(self, at: Numbers, unread: Numbers) -> tuple[bytes, Numbers]:
        """Return the field name to step over next, and the documents whose position is at it.

        If the documents are at different names, it is the name that comes first in the order of the fields.
        """
        while True:
            places = at[unread] + 1
            name = self._name(int(places[0]))
            stand = self._stand_at(places, name)
            if stand.all():
                return name, unread
            other = self._name(int(places[np.argmin(stand)]))
            if self._rank(other) >= self._rank(name):
                return name, unread[stand]
            unread = unread[~stand]

    def _name(self, place: int) -> bytes:
        return self._padded[place : self._padded.index(b"\0", place) + 1]

    def _rank(self, name: bytes) -> int:
        return self._order.setdefault(name, len(self._order))

    def _stand_at(self, places: Numbers, name: bytes) -> Numbers:
        """Return which of the places have this name. It compares eight bytes at a time."""
        same = np.ones(len(places), dtype=bool)
        for offset in range(0, len(name), 8):
            word = name[offset : offset + 8]
            # A place beyond the end is cut to the last word: an earlier word of the name has differed already.
            found = self._u8[np.minimum(places + offset, len(self._u8) - 1)]
            if len(word) < 8:
                found &= np.uint64((1 << 8 * len(word)) - 1)
            same &= found == np.uint64(int.from_bytes(word, "little"))
        return same

    def _step(self, name: bytes, here: Numbers, at: Numbers) -> bool:
        places = at[here]
        types = self._u1[places]
        values = places + 1 + len(name)
        sizes = np.zeros(len(here), dtype=np.int64)
        for kind in np.unique(types).tolist():
            these = types == kind
            if kind in _FIXED:
                sizes[these] = _FIXED[kind]
            elif kind in _PREFIXED:
                sizes[these] = self._i4[values[these]] + _PREFIXED[kind]
            else:
                return False
        at[here] = values + sizes
        if name in self._wanted:
            self._keep(name, here, values, types)
        elif count := int(np.count_nonzero(~np.isin(types, ABSENT))):
            shown = name[:-1].decode(errors="replace")
            self.others[shown] = self.others.get(shown, 0) + count
        return True

    def _keep(self, name: bytes, here: Numbers, values: Numbers, types: Numbers) -> None:
        if len(here) == self._count:
            self._places[name] = values, types
            return
        if name not in self._places:
            self._places[name] = np.zeros(self._count, dtype=np.int64), np.zeros(self._count, dtype=np.uint8)
        known_values, known_types = self._places[name]
        known_values[here], known_types[here] = values, types

    def column(self, field: FormField) -> Column:
        """Return the column of a field."""
        none = np.zeros(self._count, dtype=np.int64), np.zeros(self._count, dtype=np.uint8)
        values, types = self._places.get(field.name.encode() + b"\0", none)
        if field.type in TEXTS:
            array, fits = self._texts(values, types == STRING)
        elif field.type in NUMBERS:
            array, fits = self._doubles(values, types)
        elif field.type is FieldType.INTEGER:
            array, fits = self._integers(values, types)
        elif field.type is FieldType.BOOLEAN:
            fits = types == BOOLEAN
            array = _array(pa.bool_(), np.packbits(self._u1[values] & fits, bitorder="little"), fits)
        elif field.type in TIMES:
            moments = self._i8(values)
            fits = (types == DATETIME) & (moments >= FIRST_MS) & (moments <= LAST_MS)
            array = _array(pa.timestamp("ms"), np.where(fits, moments, 0), fits)
        else:
            array, fits = pa.nulls(self._count, pa.string()), np.zeros(self._count, dtype=bool)
        return Column(field=field, values=array, odd=self._odd(field.name, np.flatnonzero(~fits), types))

    def _i8(self, values: Numbers) -> Numbers:
        return self._u8[values].view(np.int64)

    def _doubles(self, values: Numbers, types: Numbers) -> tuple[pa.Array, Numbers]:
        """Return the values as doubles, and which fit. An integer fits if a double holds it exactly."""
        if (types == DOUBLE).all():
            fits = types == DOUBLE
            return _array(pa.float64(), self._u8[values], fits), fits
        whole, fits = self._whole_numbers(values, types)
        fits = (fits & (whole >= -_EXACT) & (whole <= _EXACT)) | (types == DOUBLE)
        doubles = np.where(types == DOUBLE, self._u8[values].view(np.float64), whole)
        return _array(pa.float64(), np.where(fits, doubles, 0.0), fits), fits

    def _integers(self, values: Numbers, types: Numbers) -> tuple[pa.Array, Numbers]:
        whole, fits = self._whole_numbers(values, types)
        return _array(pa.int64(), whole, fits), fits

    def _whole_numbers(self, values: Numbers, types: Numbers) -> tuple[Numbers, Numbers]:
        short, long = types == INT32, types == INT64
        return np.where(short, self._i4[values], np.where(long, self._i8(values), 0)), short | long

    def _texts(self, values: Numbers, fits: Numbers) -> tuple[pa.Array, Numbers]:
        """Return the texts, and which fit. Arrow's string views point into the documents, and are then copied."""
        views = np.zeros((self._count, 4), dtype=np.uint32)
        where = np.flatnonzero(fits)
        texts = values[where] + 4
        lengths = self._i4[values[where]] - 1
        views[where, 0] = lengths
        views[where, 1] = self._i4[texts].view(np.uint32)
        views[where, 3] = texts
        short = lengths <= _INLINE
        views[where[short], 1:] = self._inline(texts[short], lengths[short])
        buffers = [_validity(fits), pa.py_buffer(views), pa.py_buffer(self._padded)]
        column = pa.Array.from_buffers(pa.binary_view(), self._count, buffers)
        try:
            return column.cast(pa.string()), fits
        except pa.ArrowInvalid:  # not UTF-8, which the server does not check: such a text is decoded the slow way
            whole = np.array([_is_utf8(text) for text in column.to_pylist()], dtype=bool)
            return self._texts(values, fits & whole)

    def _inline(self, texts: Numbers, lengths: Numbers) -> Numbers:
        """Return the last three words of a short text's view: its bytes, and zeros after them."""
        found = np.empty((len(texts), 12), dtype=np.uint8)
        found[:, :8] = self._u8[texts].view(np.uint8).reshape(-1, 8)
        found[:, 8:] = self._i4[texts + 8].view(np.uint8).reshape(-1, 4)
        found[np.arange(_INLINE) >= lengths[:, None]] = 0
        return found.view(np.uint32)

    def _odd(self, name: str, rows: Numbers, types: Numbers) -> dict[int, Any]:
        return {row: self._document(row)[name] for row in rows.tolist() if types[row] not in ABSENT}

    def _document(self, row: int) -> dict[str, Any]:
        if row not in self._whole:
            start = int(self._starts[row])
            self._whole[row] = bson.decode(self._raw[start : start + _size_of(self._raw, start)[0]], _CODEC)
        return self._whole[row]


def _array(kind: pa.DataType, values: Numbers, fits: Numbers) -> pa.Array:
    return pa.Array.from_buffers(kind, len(fits), [_validity(fits), pa.py_buffer(np.ascontiguousarray(values))])


def _validity(fits: Numbers) -> pa.Buffer | None:
    return None if fits.all() else pa.py_buffer(np.packbits(fits, bitorder="little"))


def _is_utf8(text: bytes | None) -> bool:
    try:
        return (text or b"").decode() is not None
    except UnicodeDecodeError:
        return False


def misfits(found: Iterable[Column]) -> dict[str, int]:
    """Return field → how many of its values have another type. A field of type JSON takes all types, so it has none."""
    return {
        column.field.name: len(column.odd) for column in found if column.odd and column.field.type != FieldType.JSON
    }
