"""The encoder of a chunk's rows as BSON. It works on whole columns, and gives the same bytes as ``bson.encode``.

It is fast because it makes no dict for each row. Each element of a document has pieces: type and name, length, value.
Each piece is a column of all documents, and Arrow joins the columns. The last elements are known only inside the
transaction, so :func:`complete` adds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import bson
import pyarrow as pa
import pyarrow.compute as pc

from collect.storage.bulk_insert import Documents

_STRING, _DOCUMENT, _BOOLEAN, _MOMENT, _NULL, _INT64, _DOUBLE = (
    b"\x02",
    b"\x03",
    b"\x08",
    b"\x09",
    b"\x0a",
    b"\x12",
    b"\x01",
)
_END = b"\0"
FROM_ROWS = "from_rows"
"""The field that lists, for columns whose value is not from the document's ``row``, the row that it is from
(rows/keeping.py)."""
_HEAD_BYTES = 200
"""Bytes of a document without its values, about."""
_ELEMENT_BYTES = 10
"""Bytes of an element without its name: the type, the zero after the name, and the eight bytes of a number."""
_FRAME_BYTES = 5
"""Bytes around the elements of a document: its length before them (4) and a zero after them (1)."""


def empty_bytes(names: Iterable[str]) -> int:
    """Return about how many bytes a document with these columns has when all cells are empty.

    In the file such a row is only a few delimiters, so its document is much larger than its text.
    """
    return _HEAD_BYTES + sum(len(name.encode()) + _ELEMENT_BYTES for name in names)


def bodies(
    *, ids: pa.Array, head: Mapping[str, str], columns: Mapping[str, pa.Array], rows: pa.Array, keeps: bool = False
) -> pa.Array:
    """Return the elements of each document without the last ones: ``_id``, those of ``head``, ``values`` and ``row``.

    ``keeps``: add :data:`FROM_ROWS`, which lists the columns with blank cells.
    """
    values = [_element(name, column) for name, column in columns.items()]
    return _joined(
        [
            _element("_id", ids),
            *(_constant(name, text) for name, text in head.items()),
            _framed("values", _joined(values, count=len(ids))),
            _element("row", rows),
            *([_blanks(columns)] if keeps and any(column.null_count for column in columns.values()) else []),
        ],
        count=len(ids),
    )


def content(body: bytes) -> dict[str, Any]:
    """Return the content of one document that :func:`bodies` has encoded."""
    decoded: dict[str, Any] = bson.decode((len(body) + _FRAME_BYTES).to_bytes(4, "little") + body + _END)
    return decoded


def complete(bodies: pa.Array, *, written_by: str, revision: int) -> Documents:
    """Return whole documents. All get the mark ``written_by`` and the revision."""
    tail = bson.encode({"written_by": written_by, "revision": revision})[4:]
    lengths = _little_endian(pc.add(pc.binary_length(bodies), 4 + len(tail)))
    whole = _joined([[lengths], [bodies], [_scalar(tail)]], count=len(bodies))
    return Documents(data=_data(whole), count=len(whole))


def _data(whole: pa.Array) -> bytes | memoryview:
    """Return the bytes of all values of an array back to back, without a copy. The array must begin at offset 0."""
    _, _, data = whole.buffers()
    return b"" if data is None else memoryview(data)[: pc.sum(pc.binary_length(whole)).as_py() or 0]


def _element(name: str, column: pa.Array) -> list[pa.Array]:
    """Return the pieces of one element of each document. An empty cell is an element with null."""
    label = name.encode() + _END
    if column.type == pa.string():
        text = column.cast(pa.binary())
        # In BSON, the length of a text counts the zero after it.
        pieces = [_scalar(_STRING + label), _little_endian(pc.add(pc.binary_length(text), 1)), text, _scalar(_END)]
    elif column.type == pa.bool_():
        pieces = [pc.if_else(column, _scalar(_BOOLEAN + label + b"\1"), _scalar(_BOOLEAN + label + b"\0"))]
    else:
        kind = {pa.int64(): _INT64, pa.float64(): _DOUBLE}.get(column.type, _MOMENT)
        pieces = [_scalar(kind + label), _bytes_of(column, 8)]
    if not column.null_count:
        return pieces
    whole = pieces[0] if len(pieces) == 1 else pc.binary_join_element_wise(*pieces, b"", null_handling="emit_null")
    return [pc.fill_null(whole, _scalar(_NULL + label))]


def _blanks(columns: Mapping[str, pa.Array]) -> list[pa.Array]:
    """Return the element :data:`FROM_ROWS` of each document: its columns with blank cells, each with row 0.

    It has no bytes in a document without blank cells.
    """
    zero = (0).to_bytes(8, "little")
    entries = [
        [pc.if_else(pc.is_null(column), _scalar(_INT64 + name.encode() + _END + zero), _scalar(b""))]
        for name, column in columns.items()
        if column.null_count
    ]
    count = len(next(iter(columns.values())))
    listed = _joined(entries, count=count)
    element = _joined([_framed(FROM_ROWS, listed)], count=count)
    return [pc.if_else(pc.equal(pc.binary_length(listed), 0), _scalar(b""), element)]


def _constant(name: str, text: str) -> list[pa.Scalar]:
    return [_scalar(bson.encode({name: text})[4:-1])]


def _framed(name: str, elements: pa.Array) -> list[pa.Array]:
    lengths = _little_endian(pc.add(pc.binary_length(elements), _FRAME_BYTES))
    return [_scalar(_DOCUMENT + name.encode() + _END), lengths, elements, _scalar(_END)]


def _joined(elements: Sequence[Sequence[pa.Array | pa.Scalar]], *, count: int) -> pa.Array:
    pieces = [piece for element in elements for piece in element]
    if not count or not pieces:
        return pa.array([b""] * count, pa.binary())
    return pc.binary_join_element_wise(*_fewest(pieces), b"")


def _fewest(pieces: Sequence[pa.Array | pa.Scalar]) -> list[pa.Array | pa.Scalar]:
    """Return the pieces with adjacent constants joined into one, since each piece adds to the time that Arrow needs."""
    fewest: list[pa.Array | pa.Scalar] = []
    for is_constant, run in groupby(pieces, lambda piece: isinstance(piece, pa.Scalar)):
        together = list(run)
        fewest.extend([_scalar(b"".join(piece.as_py() for piece in together))] if is_constant else together)
    return fewest


def _scalar(raw: bytes) -> pa.Scalar:
    return pa.scalar(raw, pa.binary())


def _little_endian(lengths: pa.Array) -> pa.Array:
    return _bytes_of(lengths.cast(pa.int32()), 4)


def _bytes_of(column: pa.Array, width: int) -> pa.Array:
    """Return the bytes of each value as they are in memory: little-endian, as in BSON."""
    validity, data = column.buffers()
    fixed = pa.Array.from_buffers(pa.binary(width), len(column), [validity, data], offset=column.offset)
    return fixed.cast(pa.binary())
