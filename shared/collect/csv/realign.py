"""``column_shift``: moves the cells of a column that has slipped up or down back to their own rows.

The text is written anew, record by record, so that later readers need not know of the move.
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
"""Most rows by which a column may be moved. So many rows are held in memory."""
MOST_BYTES = 64 * 1024 * 1024
"""Most bytes of the rows that are held in memory."""

Lacking = dict[str, tuple[int, int]]
"""Column → the first and the last row that have no cell of it after the move."""


class Shifted:
    """The text of a file's rows with the cells of some columns moved: down by some rows, or up if negative."""

    def __init__(
        self, blocks: Iterator[Block | None], grammar: Grammar, *, moves: Mapping[str, tuple[int, int]]
    ) -> None:
        """Take the file's ``blocks`` as they are. ``moves``: column → its place, and the rows by which it moves."""
        self.blank_rows = 0
        self._blocks = blocks
        self._grammar = grammar
        self._moves = moves
        self._shifts = dict(moves.values())
        self._up = max(0, *(-rows for rows in self._shifts.values()))
        self._down = max(0, *self._shifts.values())
        self._total: int | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces of the new text. A piece is empty while further rows have to be read first."""
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
        """Return which of the rows ``first`` to ``last`` have no cell of a moved column.

        These rows must have been read already.
        """
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
        """Yield the records of each block.

        Raises:
            TaskRefused: text follows a closing quote. The new text would show such a row as if it were right.
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
    """Return column → its place in the file and the rows by which it moves, for each column that the file has."""
    return {
        name: (arranged.columns.index(name), rows)
        for name, rows in column_shift.items()
        if rows and name in arranged.columns
    }


def stored(lacking: Lacking) -> dict[str, Any]:
    """Return ``lacking`` as a part's source stores it."""
    return {name: list(rows) for name, rows in lacking.items()}


def read(source: Mapping[str, Any]) -> Lacking:
    """Return the rows without a cell that :func:`stored` wrote into a part's ``source``."""
    return {name: (rows[0], rows[1]) for name, rows in source.get("lacking", {}).items()}
