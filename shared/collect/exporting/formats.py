"""The four formats: what one block of documents becomes, and what stands before the first.

A block is a piece of a gzip member in ``csv.gz`` and a row group in Parquet. Equal documents give equal bytes.
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
"""What every response has beside its answers."""
_ARROW = {FieldType.INTEGER: pa.int64(), FieldType.BOOLEAN: pa.bool_(), FieldType.DATE: pa.date32()}


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """Documents as the bytes of a format, and what there is to say of them, each by field.

    ``misfits``: values that the format's types have no room for. ``left_out``: documents with a value under a name that
    is no field of the form; known where all columns were asked for. ``choices_left_out``: answers with a choice that
    has no column. ``like_null``: texts that are equal to what is written for a missing value.
    """

    data: bytes
    misfits: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    choices_left_out: dict[str, int] = field(default_factory=dict)
    like_null: dict[str, int] = field(default_factory=dict)


def header(selection: Selection) -> bytes:
    """What the result begins with, before any row."""
    names = [column.name for column in selection.written]
    line = (BOM if selection.style.bom else b"") + _csv_line(names, selection.style.delimiter)
    if selection.format == "csv":
        return line
    return gzips.member([line]) if selection.format == "csv.gz" else b""


def least_bytes(selection: Selection) -> int:
    """What a row takes at least, whatever its document holds."""
    names = selection.written if selection.format == "jsonl" else ()
    return len(selection.written) + sum(len(column.name.encode()) + len('"":null') for column in names)


def render(selection: Selection, blocks: Iterable[bytes]) -> Rendered:
    """Blocks of documents (BSON, back to back) as they stand in the result; each is taken when it is its turn."""
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
    """What is counted while blocks are rendered."""

    def __init__(self) -> None:
        self.misfits = Counter[str]()
        self.left_out = Counter[str]()
        self.choices_left_out = Counter[str]()
        self.like_null = Counter[str]()

    def columns(self, block: bytes, selection: Selection) -> list[Column]:
        """The columns of a block, as they are written."""
        found, others = decoding.decoded(block, selection.columns)
        if selection.whole:
            self.left_out.update({name: count for name, count in others.items() if name not in OURS})
        if not selection.style.choices:
            return found
        columns, left_out = splitting.split(found, selection.style.choices)
        self.choices_left_out.update(left_out)
        return columns


def parquet_writer(sink: Any, selection: Selection) -> pq.ParquetWriter:
    """A writer of files with the selection's columns, whatever they are written to."""
    from pyarrow import parquet as pq  # thirty megabytes, which a gateway that only weighs exports can do without

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
    if len(quoted) == 1:  # a line that shows nothing would be no row
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
    """The pieces of each row joined to a line, all lines back to back."""
    joined = pc.binary_join_element_wise(*pieces, separator, null_handling="replace", null_replacement=null)
    ended = pc.binary_join_element_wise(joined, "\n", "")
    _, _, data = ended.buffers()
    return data.to_pybytes() if data is not None and len(ended) else b""


def _parquet(blocks: Iterable[Sequence[Column]], selection: Selection, tally: _Tally) -> bytes:
    """A file with a row group for each block."""
    out = pa.BufferOutputStream()
    with parquet_writer(out, selection) as writer:
        for columns in blocks:
            typed = [cells.parquet(column, selection.style) for column in columns]
            writer.write_table(pa.table(typed, schema=writer.schema))
            tally.misfits.update(decoding.misfits(columns))
    data: bytes = out.getvalue().to_pybytes()
    return data
