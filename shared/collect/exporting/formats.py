"""The four formats: what one block of documents becomes, and what stands before the first.

A block is a piece of a gzip member in ``csv.gz`` and a row group in Parquet. Equal documents give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from collect.exporting import cells, decoding, gzips
from collect.exporting.decoding import Column
from collect.exporting.selection import Selection
from collect.jobs.forms import NUMBERS, FieldType, FormField

if TYPE_CHECKING:
    from pyarrow import parquet as pq

_ARROW = {FieldType.INTEGER: pa.int64(), FieldType.BOOLEAN: pa.bool_(), FieldType.DATE: pa.date32()} | {
    FieldType.DATETIME: pa.timestamp("ms", tz="UTC")
}


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """Documents as the bytes of a format. ``misfits``: values that the format's types have no room for, by field."""

    data: bytes
    misfits: dict[str, int] = field(default_factory=dict)


def header(selection: Selection) -> bytes:
    """What the result begins with, before any row."""
    names = [column.name for column in selection.columns]
    if selection.format == "csv":
        return _csv_line(names)
    return gzips.member([_csv_line(names)]) if selection.format == "csv.gz" else b""


def least_bytes(selection: Selection) -> int:
    """What a row takes at least, whatever its document holds."""
    names = selection.columns if selection.format == "jsonl" else ()
    return len(selection.columns) + sum(len(column.name.encode()) + len('"":null') for column in names)


def render(selection: Selection, blocks: Iterable[bytes]) -> Rendered:
    """Blocks of documents (BSON, back to back) as they stand in the result; each is taken when it is its turn."""
    found = (decoding.columns(block, selection.columns) for block in blocks)
    match selection.format:
        case "csv":
            return Rendered(data=b"".join(_csv(columns, selection) for columns in found))
        case "csv.gz":
            return Rendered(data=gzips.member(_csv(columns, selection) for columns in found))
        case "jsonl":
            return Rendered(data=b"".join(_jsonl(columns) for columns in found))
        case _:
            return _parquet(found, selection)


def parquet_writer(sink: Any, selection: Selection) -> pq.ParquetWriter:
    """A writer of files with the selection's columns, whatever they are written to."""
    from pyarrow import parquet as pq  # thirty megabytes, which a gateway that only weighs exports can do without

    types = [(column.name, _arrow_type(column)) for column in selection.columns]
    return pq.ParquetWriter(sink, pa.schema(types), compression="zstd")


def _arrow_type(column: FormField) -> pa.DataType:
    return pa.float64() if column.type in NUMBERS else _ARROW.get(column.type, pa.string())


def _csv_line(names: Sequence[str]) -> bytes:
    quoted = ['"' + name.replace('"', '""') + '"' if any(c in name for c in '",\r\n') else name for name in names]
    return (",".join(quoted) + "\n").encode()


def _csv(columns: Sequence[Column], selection: Selection) -> bytes:
    texts = [cells.csv(column, formula_safe=selection.formula_safe) for column in columns]
    if len(texts) == 1:  # an empty line would be no row
        texts = [pc.if_else(pc.equal(pc.fill_null(texts[0], ""), ""), '""', texts[0])]
    return _lines(texts, ",")


def _jsonl(columns: Sequence[Column]) -> bytes:
    pieces: list[pa.Array | str] = []
    for n, column in enumerate(columns):
        name = cells.name(column.field.name)
        pieces += [f"{',' if n else '{'}{name}:", cells.jsonl(column)]
    return _lines([*pieces, "}"], "")


def _lines(pieces: Sequence[pa.Array | str], separator: str) -> bytes:
    """The pieces of each row joined to a line, all lines back to back."""
    joined = pc.binary_join_element_wise(*pieces, separator, null_handling="replace", null_replacement="")
    ended = pc.binary_join_element_wise(joined, "\n", "")
    _, _, data = ended.buffers()
    return data.to_pybytes() if data is not None else b""


def _parquet(blocks: Iterable[Sequence[Column]], selection: Selection) -> Rendered:
    """A file with a row group for each block."""
    out = pa.BufferOutputStream()
    misfits: dict[str, int] = {}
    with parquet_writer(out, selection) as writer:
        for columns in blocks:
            writer.write_table(pa.table([cells.parquet(column) for column in columns], schema=writer.schema))
            for name, count in decoding.misfits(columns).items():
                misfits[name] = misfits.get(name, 0) + count
    return Rendered(data=out.getvalue().to_pybytes(), misfits=misfits)
