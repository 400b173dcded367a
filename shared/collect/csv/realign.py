"""A file whose cells of some columns are read from other rows: what a column that has slipped needs to be right again.

The text is written anew, record by record, so that whoever reads it afterwards need not know.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from collect.csv import layout
from collect.csv.blocks import Block, row_name, text_after_quote
from collect.csv.grammar import Grammar
from collect.errors import TaskRefused

MOST_ROWS = 100_000
"""By which a column may be moved: as many rows are held in memory."""
MOST_BYTES = 64 * 1024 * 1024
"""Of rows that are held."""

Lacking = dict[str, tuple[int, int]]
"""Column → the first and the last row that are left without a cell of it."""


class Shifted:
    """The text of a file's rows, with the cells of some columns moved: down by so many rows, or up where negative."""

    def __init__(
        self, blocks: Iterator[Block | None], grammar: Grammar, *, moves: Mapping[str, tuple[int, int]]
    ) -> None:
        """``blocks`` of the file as it is. ``moves``: column → its place in the file, and by how many rows it moves."""
        self.blank_rows = 0
        self._blocks = blocks
        self._grammar = grammar
        self._moves = moves
        self._shifts = dict(moves.values())
        self._up = max(0, *(-rows for rows in self._shifts.values()))
        self._down = max(0, *self._shifts.values())
        self._total: int | None = None

    def __iter__(self) -> Iterator[bytes]:
        """The pieces of the new text; empty ones while rows are gathered that later ones need."""
        held: deque[list[str]] = deque()
        sizes: deque[int] = deque()
        first = row = 1
        for records in self._records():
            held.extend(layout.parse(record, self._grammar.delimiter) for record in records)
            sizes.extend(map(len, records))
            ready = range(row, first + len(held) - self._up)
            yield self._written(held, first, ready)
            row = max(row, ready.stop)
            while first < row - self._down:
                held.popleft()
                sizes.popleft()
                first += 1
            if sum(sizes) > MOST_BYTES:
                raise TaskRefused(
                    f"column_shift moves cells past more than {MOST_BYTES // 1024**2} MiB of rows. Move them by fewer.",
                    code="shift_too_far",
                )
        self._total = first + len(held) - 1
        yield self._written(held, first, range(row, self._total + 1))

    def lacking(self, first: int, last: int) -> Lacking:
        """Of the rows ``first`` to ``last``, which have been read: those that are left without a cell."""
        found: Lacking = {}
        for name, (_, rows) in self._moves.items():
            begin, end = 1, rows
            if rows < 0:
                if self._total is None:
                    continue
                begin, end = self._total + rows + 1, self._total
            begin, end = max(begin, first), min(end, last)
            if begin <= end:
                found[name] = (begin, end)
        return found

    def _records(self) -> Iterator[Sequence[bytes]]:
        """The records of each block.

        Raises:
            TaskRefused: text follows a closing quote. Such a row would be written anew as if it were right.
        """
        for block in self._blocks:
            if block is None:
                yield []
                continue
            self.blank_rows += block.blank
            records = block.records or self._grammar.split(block.data, final=True)
            if records.strays:
                index, before = next(iter(records.strays.items()))
                raise text_after_quote(
                    self._grammar,
                    records.lines[index],
                    where=row_name(block.first_row + index),
                    line=None if block.first_line is None else block.first_line + before,
                )
            yield records.lines

    def _written(self, held: deque[list[str]], first: int, rows: range) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self._grammar.delimiter, lineterminator="\r\n")
        for row in rows:
            cells = list(held[row - first])
            for place, by in self._shifts.items():
                at = row - by - first
                there: list[str] = held[at] if 0 <= at < len(held) else []
                if place < len(cells):
                    cells[place] = there[place] if place < len(there) else ""
            writer.writerow(cells)
        return text.getvalue().encode()


def moves(arranged: layout.Layout, column_shift: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Column → its place in the file, and by how many rows it moves; only of columns that the file has."""
    return {
        name: (arranged.columns.index(name), rows)
        for name, rows in column_shift.items()
        if rows and name in arranged.columns
    }


def stored(lacking: Lacking) -> dict[str, Any]:
    """For a part's source."""
    return {name: list(rows) for name, rows in lacking.items()}


def read(source: Mapping[str, Any]) -> Lacking:
    """As :func:`stored` wrote it."""
    return {name: (rows[0], rows[1]) for name, rows in source.get("lacking", {}).items()}
