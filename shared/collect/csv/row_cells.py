"""Cutting records into cells: a table of texts, and the rows without exactly one cell for each column of the file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from collect.csv import layout, unseen
from collect.csv.blocks import TEXT_AFTER_QUOTE, row_name, spoken, stray_sentence
from collect.csv.layout import Layout
from collect.csv.reading import Lot
from collect.csv.sources import UTF8_BOM
from collect.csv.wrong_cells import excerpt
from collect.errors import FieldError

MOST_SURPLUS = 64
"""Most cells behind the file's columns with which Arrow still reads rows all at once, not one by one."""
MOST_SHOWN = 3
"""Surplus cells that a message shows."""
_EMPTY_CELL = b'""'


class RowCells:
    """A cutter of the rows of one file. A row may have cells behind the file's columns if these show nothing.

    It remembers how many cells most rows have, because Arrow reads such rows all at once. The result does not depend on
    that.
    """

    def __init__(self, arranged: Layout) -> None:
        self._arranged = arranged
        self._delimiter = arranged.delimiter.encode()
        self._width = len(arranged.columns)
        self._usual = self._width + min(arranged.unnamed, MOST_SURPLUS)
        self._names = tuple(name or f"\0{place}" for place, name in enumerate(arranged.columns))

    def parse(self, lot: Lot) -> tuple[pa.Table, dict[int, FieldError]]:
        """Return the texts of the columns that are read, and row → error for the rows that this table leaves out."""
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
        """Return the cells as texts, and for records with another number of cells: index → how many they have."""
        counts: dict[int, int] = {}

        def skip(row: arrow_csv.InvalidRow) -> str:
            counts[row.number - 1] = row.actual_columns
            return "skip"

        names = [*self._names, *self._surplus]
        if data.startswith(UTF8_BOM):  # a mark that belongs to the row: Arrow would drop it as the file's
            data = UTF8_BOM + data
        if not data:
            return pa.table({name: pa.array([], pa.string()) for name in names}), counts
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            # One block, because Arrow could meet a record cut in two at the end of a block.
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
    def _surplus(self) -> list[str]:
        """The names under which Arrow reads the cells behind the file's columns."""
        return [f"\0{place}" for place in range(self._width, self._usual)]

    @property
    def _unnamed(self) -> list[str]:
        """The names of the Arrow columns that may hold no text: those without a name, and the surplus cells."""
        return [*(self._names[place] for place in self._arranged.gaps), *self._surplus]

    def _learn(self, counts: Mapping[int, int], rows: int) -> bool:
        """Remember the number of cells that most rows have. Return whether it has changed."""
        able = Counter(count for count in counts.values() if self._width <= count <= self._width + MOST_SURPLUS)
        usual, times = max(able.items(), key=lambda item: item[1], default=(self._usual, 0))
        if times <= rows - len(counts):
            return False
        self._usual = usual
        return True

    def _fitted(self, records: Sequence[bytes], counts: Mapping[int, int]) -> bytes:
        """Return the records as text, each with as many cells as are read, if the cells to add or drop show nothing."""
        lines = list(records)
        for index, count in counts.items():
            if count > self._usual:
                lines[index] = self._without(lines[index], count - self._usual)
            elif count >= self._width:
                lines[index] += (self._usual - count) * self._delimiter
        return b"\n".join(lines)

    def _without(self, record: bytes, surplus: int) -> bytes:
        """Return a record without its last ``surplus`` cells, if these show nothing."""
        end = len(record)
        for _ in range(surplus):
            if record.endswith(self._delimiter + _EMPTY_CELL, 0, end):
                end -= len(_EMPTY_CELL)
            if record[end - 1 : end] != self._delimiter:
                return self._written_anew(record)
            end -= 1
        return record[:end]

    def _written_anew(self, record: bytes) -> bytes:
        """Return a record cut to as many cells as are read, if the cells behind them show nothing; else unchanged."""
        cells = layout.parse(record, self._arranged.delimiter)
        if not all(map(unseen.shows_nothing, cells[self._usual :])):
            return record
        text = io.StringIO()
        csv.writer(text, delimiter=self._arranged.delimiter, lineterminator="").writerow(cells[: self._usual])
        return text.getvalue().encode()

    def _filled(self, table: pa.Table) -> list[int]:
        """Return the indexes of rows with text in a column without a name, or behind the file's columns."""
        filled: set[int] = set()
        for name in self._unnamed:
            texts = table.column(name)
            if pc.max(pc.binary_length(texts)).as_py():
                filled.update(place for place, text in enumerate(texts.to_pylist()) if not unseen.shows_nothing(text))
        return sorted(filled)

    def _wrong_number(self, record: bytes) -> FieldError:
        row = layout.parse(record, self._arranged.delimiter)
        unnamed = range(self._width, self._width + self._arranged.unnamed)
        filled = [place for place, cell in enumerate(row) if not unseen.shows_nothing(cell)]
        nameless = [place for place in filled if place in self._arranged.gaps or place in unnamed]
        if nameless and self._width <= len(row) and filled[-1] < unnamed.stop:
            return FieldError(
                "", "unnamed_column",
                f"Column {nameless[0] + 1:,} has no name in the header, and the row has {excerpt(row[nameless[0]])} "
                "there. Name the column, or remove what stands there.",
            )  # fmt: skip
        cells, columns = _counted(len(row), "cell"), _counted(self._width, "column")
        surplus = [row[place] for place in filled if place >= self._width]
        hint = self._other_delimiter(record) or self._hint(record, row, surplus)
        return FieldError("", "wrong_number_of_cells", f"The row has {cells}; the file has {columns}. {hint}")

    def _other_delimiter(self, record: bytes) -> str | None:
        """Return the advice for a row that is written with another delimiter than the file; ``None`` if it is not."""
        for other in layout.DELIMITERS:
            if other == self._arranged.delimiter or self._width == 1:
                continue
            if len(layout.fitted(layout.parse(record, other), self._width)) == self._width:
                return (
                    f"With {spoken(other)} between its cells it has as many as the file has columns. Write it with "
                    f"{spoken(self._arranged.delimiter)}, as the file."
                )
        return None

    def _hint(self, record: bytes, row: Sequence[str], surplus: Sequence[str]) -> str:
        if surplus:
            shown = ", ".join(map(excerpt, surplus[:MOST_SHOWN])) + (", …" if len(surplus) > MOST_SHOWN else "")
            return (
                f"A cell that holds {self._arranged.delimiter!r} must be in quotes. Where the row is shown with the "
                f"file's columns, what is behind them is left out: {shown}."
            )
        if b"\n" in record:
            return "One of its cells holds a line break, in quotes. See where that cell ends, and which are missing."
        if sum(map(bool, row)) == 1:
            return "If it is a total or a note, remove the line. A cell that holds a line break must be in quotes."
        return "A cell that holds a line break must be in quotes."

    def _text_after_quote(self, lot: Lot, index: int) -> FieldError:
        stray = lot.grammar.stray(lot.records[index])
        assert stray is not None
        where = row_name(lot.numbers[index])
        return FieldError(
            "", TEXT_AFTER_QUOTE,
            f"{stray_sentence(lot.grammar, stray, where=where, line=lot.strays[index])} Double a quote that belongs to "
            "the text, in a cell within quotes; or close the cell where it ends.",
        )  # fmt: skip


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
