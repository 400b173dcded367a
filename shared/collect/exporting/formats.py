"""The four formats of an export: how a header and blocks of documents are written in each.

A block becomes a piece of a gzip member in ``csv.gz``, and a row group in Parquet. Equal documents give equal bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from collect.exporting import cells, decoding, gzips, splitting
from collect.exporting.decoding import Column
from collect.exporting.selection import Selection
from collect.exporting.style import BOM
from collect.exporting.zones import UTC_NAME
from collect.jobs.forms import NUMBERS, FieldType, FormField

if TYPE_CHECKING:
    from pyarrow import parquet as pq

OURS = frozenset({"_id", "org_id", "form_id", "submitted_at"})
"""The fields that every response has beside its answers."""
_ARROW = {FieldType.INTEGER: pa.int64(), FieldType.BOOLEAN: pa.bool_(), FieldType.DATE: pa.date32()}


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """The bytes of some documents in a format, and counts by field.

    ``misfits``: values that do not fit the type of their Parquet column. ``left_out``: documents with a value under a
    name that is not a field of the form; counted only if the export has all fields. ``choices_left_out``: answers with
    a choice that has no column. ``like_null``: texts that are equal to the text for a missing value.
    """

    data: bytes
    misfits: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    choices_left_out: dict[str, int] = field(default_factory=dict)
    like_null: dict[str, int] = field(default_factory=dict)


def header(selection: Selection) -> bytes:
    """Return the first bytes of the result, before any row. JSON lines and Parquet have none."""
    names = [column.name for column in selection.written]
    line = (BOM if selection.style.bom else b"") + _csv_line(names, selection.style.delimiter)
    if selection.format == "csv":
        return line
    return gzips.member([line]) if selection.format == "csv.gz" else b""


def least_bytes(selection: Selection) -> int:
    """Return the fewest bytes that a row of the selection can have."""
    names = selection.written if selection.format == "jsonl" else ()
    return len(selection.written) + sum(len(column.name.encode()) + len('"":null') for column in names)


def render(selection: Selection, blocks: Iterable[bytes]) -> Rendered:
    """Return blocks of documents (BSON, back to back) in the result's format. A block is read when it is needed."""
    tally = _Tally()
    found = (tally.columns(block, selection) for block in blocks)
    match selection.format:
        case "csv":
            data = b"".join(_csv(columns, selection, tally) for columns in found)
        case "csv.gz":
            data = gzips.member(_csv(columns, selection, tally) for columns in found)
        case "jsonl":
            data = b"".join(_jsonl(columns, selection) for columns in found)
        case _:
            data = _parquet(found, selection, tally)
    return Rendered(
        data=data,
        misfits=dict(tally.misfits),
        left_out=dict(tally.left_out),
        choices_left_out=dict(tally.choices_left_out),
        like_null=dict(tally.like_null),
    )


class _Tally:
    """The counts that are made while blocks are rendered."""

    def __init__(self) -> None:
        self.misfits = Counter[str]()
        self.left_out = Counter[str]()
        self.choices_left_out = Counter[str]()
        self.like_null = Counter[str]()

    def columns(self, block: bytes, selection: Selection) -> list[Column]:
        """Return the columns of a block that are written, and add to the counts."""
        found, others = decoding.decoded(block, selection.columns)
        if selection.whole:
            self.left_out.update({name: count for name, count in others.items() if name not in OURS})
        if not selection.style.choices:
            return found
        columns, left_out = splitting.split(found, selection.style.choices)
        self.choices_left_out.update(left_out)
        return columns


def parquet_writer(sink: Any, selection: Selection) -> pq.ParquetWriter:
    """Return a Parquet writer for the selection's columns. ``sink``: a file object or Arrow stream to write to."""
    from pyarrow import parquet as pq  # needs 30 MB of memory, which a gateway that only previews exports can save

    types = [(column.name, _arrow_type(column, selection)) for column in selection.written]
    return pq.ParquetWriter(sink, pa.schema(types), compression="zstd")


def _arrow_type(column: FormField, selection: Selection) -> pa.DataType:
    if column.type is FieldType.DATETIME:
        return pa.timestamp("ms", tz=selection.style.time_zone or UTC_NAME)
    return pa.float64() if column.type in NUMBERS else _ARROW.get(column.type, pa.string())


def _csv_line(names: Sequence[str], delimiter: str) -> bytes:
    special = f'"\r\n{delimiter}'
    quoted = ['"' + name.replace('"', '""') + '"' if any(c in name for c in special) else name for name in names]
    return (delimiter.join(quoted) + "\n").encode()


def _csv(columns: Sequence[Column], selection: Selection, tally: _Tally) -> bytes:
    style = selection.style
    texts = [cells.unquoted(column, formula_safe=selection.formula_safe, style=style) for column in columns]
    for column, each in zip(columns, texts, strict=True):
        if count := cells.like_null(each, style.null_text):
            tally.like_null[column.field.name] += count
    quoted = [cells.quoted(each, style) for each in texts]
    if len(quoted) == 1:  # a blank line would not be read as a row
        blank = pc.match_substring_regex(pc.fill_null(quoted[0], style.null_text), r"^\s*$")
        quoted = [pc.if_else(blank, pc.binary_join_element_wise('"', pc.fill_null(quoted[0], ""), '"', ""), quoted[0])]
    return _lines(quoted, style.delimiter, null=style.null_text)


def _jsonl(columns: Sequence[Column], selection: Selection) -> bytes:
    pieces: list[pa.Array | str] = []
    for n, column in enumerate(columns):
        name = cells.name(column.field.name)
        pieces += [f"{',' if n else '{'}{name}:", cells.jsonl(column, selection.style)]
    return _lines([*pieces, "}"], "")


def _lines(pieces: Sequence[pa.Array | str], separator: str, *, null: str = "") -> bytes:
    """Return the lines back to back. Each line is joined from the pieces of its row."""
    joined = pc.binary_join_element_wise(*pieces, separator, null_handling="replace", null_replacement=null)
    ended = pc.binary_join_element_wise(joined, "\n", "")
    _, _, data = ended.buffers()
    return data.to_pybytes() if data is not None and len(ended) else b""


def _parquet(blocks: Iterable[Sequence[Column]], selection: Selection, tally: _Tally) -> bytes:
    """Return a Parquet file with a row group for each block."""
    out = pa.BufferOutputStream()
    with parquet_writer(out, selection) as writer:
        for columns in blocks:
            typed = [cells.parquet(column, selection.style) for column in columns]
            writer.write_table(pa.table(typed, schema=writer.schema))
            tally.misfits.update(decoding.misfits(columns))
    data: bytes = out.getvalue().to_pybytes()
    return data
