"""From records to cells: a table of texts, and the rows that do not have one cell for each column of the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from collect.csv import layout
from collect.csv.blocks import TEXT_AFTER_QUOTE, row_name, stray_sentence
from collect.csv.layout import Layout
from collect.csv.reading import Lot
from collect.csv.sources import UTF8_BOM
from collect.csv.wrong_cells import excerpt
from collect.errors import FieldError

MOST_SURPLUS = 64
"""Cells that a row may have more than the file has columns, without being looked at one by one."""
_EMPTY_CELL = b'""'


class RowCells:
    """Cuts the rows of one file into cells. A row may have more cells than the file has columns if those are empty.

    It remembers how many cells most rows have: Arrow reads these at once. What comes out does not depend on that.
    """

    def __init__(self, arranged: Layout) -> None:
        self._arranged = arranged
        self._delimiter = arranged.delimiter.encode()
        self._width = len(arranged.columns)
        self._usual = self._width + min(arranged.unnamed, MOST_SURPLUS)

    def parse(self, lot: Lot) -> tuple[pa.Table, dict[int, FieldError]]:
        """The cells of the columns that are read, as texts; and by row what is wrong with those that are left out."""
        numbers, data, wrong = lot.numbers, lot.data, {}
        records: Sequence[bytes] | None = None
        if lot.strays:
            wrong = {numbers[index]: self._text_after_quote(lot, index) for index in lot.strays}
            kept = [index for index in range(lot.rows) if index not in lot.strays]
            numbers, records = [numbers[index] for index in kept], [lot.records[index] for index in kept]
            data = b"\n".join(records)
        table, counts = self._read(data)
        if counts and self._learn(counts, len(numbers)):
            table, counts = self._read(data)
        if any(count >= self._width for count in counts.values()):
            records = lot.records if records is None else records
            table, counts = self._read(self._fitted(records, counts))
        surplus = self._filled(table)
        if not counts and not surplus:
            return table, wrong
        records = lot.records if records is None else records
        read = [index for index in range(len(numbers)) if index not in counts]
        for index in (*counts, *(read[place] for place in surplus)):
            wrong[numbers[index]] = self._wrong_number(records[index])
        if surplus:
            filled = frozenset(surplus)
            table = table.take(pa.array([place for place in range(len(read)) if place not in filled], pa.int64()))
        return table, wrong

    def _read(self, data: bytes) -> tuple[pa.Table, dict[int, int]]:
        """The cells as texts, and the records with another number of cells, by index: how many they have."""
        counts: dict[int, int] = {}

        def skip(row: arrow_csv.InvalidRow) -> str:
            counts[row.number - 1] = row.actual_columns
            return "skip"

        names = [name or f"\0{place}" for place, name in enumerate(self._arranged.columns)]
        names.extend(self._unnamed)
        if data.startswith(UTF8_BOM):  # a row's own: Arrow would take it for the file's, and leave it out
            data = UTF8_BOM + data
        if not data:
            return pa.table({name: pa.array([], pa.string()) for name in names}), counts
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            # One block, or Arrow could meet a record that is cut in two.
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._arranged.delimiter, newlines_in_values=b'"' in data, invalid_row_handler=skip
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[*self._arranged.present, *self._unnamed],
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
        return table, counts

    @property
    def _unnamed(self) -> list[str]:
        """The names under which the cells behind the file's columns are read."""
        return [f"\0{place}" for place in range(self._width, self._usual)]

    def _learn(self, counts: Mapping[int, int], rows: int) -> bool:
        """Take over the number of cells that most of the rows have; returns whether it is another one."""
        able = Counter(count for count in counts.values() if self._width <= count <= self._width + MOST_SURPLUS)
        usual, times = max(able.items(), key=lambda item: item[1], default=(self._usual, 0))
        if times <= rows - len(counts):
            return False
        self._usual = usual
        return True

    def _fitted(self, records: Sequence[bytes], counts: Mapping[int, int]) -> bytes:
        """The records, those with more or fewer empty cells at their end with as many as are read."""
        lines = list(records)
        for index, count in counts.items():
            if count > self._usual:
                lines[index] = self._without(lines[index], count - self._usual)
            elif count >= self._width:
                lines[index] += (self._usual - count) * self._delimiter
        return b"\n".join(lines)

    def _without(self, record: bytes, surplus: int) -> bytes:
        """A record without its last cells, as many as are ``surplus``, if those are empty."""
        end = len(record)
        for _ in range(surplus):
            if record.endswith(self._delimiter + _EMPTY_CELL, 0, end):
                end -= len(_EMPTY_CELL)
            if record[end - 1 : end] != self._delimiter:
                return record
            end -= 1
        return record[:end]

    def _filled(self, table: pa.Table) -> list[int]:
        """The rows of a table, by index, that have text behind the file's columns."""
        filled: set[int] = set()
        for name in self._unnamed:
            lengths = pc.binary_length(table.column(name))
            if pc.max(lengths).as_py():
                filled.update(pc.indices_nonzero(lengths).to_pylist())
        return sorted(filled)

    def _wrong_number(self, record: bytes) -> FieldError:
        row = layout.parse(record, self._arranged.delimiter)
        filled = [place for place in range(self._width, len(row)) if row[place]]
        if filled and filled[-1] < self._width + self._arranged.unnamed:
            return FieldError(
                "", "unnamed_column",
                f"Column {filled[0] + 1:,} has no name in the header, and the row has {excerpt(row[filled[0]])} "
                "there. Name the column, or remove what stands there.",
            )  # fmt: skip
        special = repr(self._arranged.delimiter) if len(row) > self._width else "a line break"
        return FieldError(
            "", "wrong_number_of_cells",
            f"The row has {len(row):,} cells; the file has {self._width:,} columns. "
            f"A cell that holds {special} must be in quotes.",
        )  # fmt: skip

    def _text_after_quote(self, lot: Lot, index: int) -> FieldError:
        stray = lot.grammar.stray(lot.records[index])
        assert stray is not None
        where = row_name(lot.numbers[index])
        return FieldError(
            "", TEXT_AFTER_QUOTE,
            f"{stray_sentence(lot.grammar, stray, where=where, line=lot.strays[index])} Double a quote that belongs to "
            "the text, in a cell within quotes; or close the cell where it ends.",
        )  # fmt: skip
