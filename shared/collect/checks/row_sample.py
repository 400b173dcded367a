"""The sample of rows that a preview checks: all rows of a small file, stretches from all over a big one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from collect.csv.blocks import Block
from collect.csv.grammar import Grammar
from collect.csv.reading import Lot

MOST_ROWS = 100_000
MOST_CELLS = 2_000_000
"""Most cells of all sampled rows together. The check of a cell takes about 0.75 µs."""
FEWEST_ROWS = 20_000
"""Rows that a sample may always have, even if the file has so many columns that :data:`MOST_CELLS` is exceeded."""
MOST_BYTES = 32 * 1024 * 1024
STRETCH_ROWS = 100
STRETCH_BYTES = 256 * 1024
LOT_ROWS = 10_000
LOT_BYTES = 4 * 1024 * 1024
"""Most bytes that are checked at once. The check needs about ten times as much memory."""


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """Consecutive records of a file.

    ``row``: the number of the first one. ``strays``: index of a record with text after a closing quote → its line in
    the file, if known.
    """

    row: int
    records: Sequence[bytes]
    size: int
    strays: dict[int, int | None]


class RowSample:
    """Takes a file's blocks one after the other, and keeps an even sample of their rows.

    At first it keeps every stretch of rows. Each time it has too many, it drops every second one, and from then on
    keeps only half as many of those that follow. ``first_rows``: keep this many rows from the beginning instead.
    """

    def __init__(self, grammar: Grammar, *, width: int, first_rows: int | None = None) -> None:
        self.rows = 0
        self._grammar = grammar
        self._most_rows = first_rows or max(FEWEST_ROWS, min(MOST_ROWS, MOST_CELLS // max(1, width)))
        self._is_beginning = first_rows is not None
        self._stretches: list[_Stretch] = []
        self._step = 1
        self._next = 0
        self._sampled_rows = self._sampled_bytes = 0

    def take(self, block: Block) -> None:
        """Take the next block of the file."""
        self.rows += block.rows
        if self._is_beginning and self._is_full():
            return
        lines = block.data.split(b"\n") if block.records is None else block.records.lines
        length = max(1, min(STRETCH_ROWS, STRETCH_BYTES * block.rows // max(1, len(block.data))))
        for begin in range(0, block.rows, length):
            number, self._next = self._next, self._next + 1
            if number % self._step:
                continue
            if self._is_beginning:
                length_left = self._most_rows - self._sampled_rows
                self._keep(block, lines[begin : min(begin + length, block.rows, begin + length_left)], begin)
                if self._is_full():
                    return
                continue
            self._keep(block, lines[begin : min(begin + length, block.rows)], begin)
            while len(self._stretches) > 1 and self._is_over():
                self._thin()

    @property
    def records(self) -> list[bytes]:
        """The sampled records, in the file's order."""
        return [record for stretch in self._stretches for record in stretch.records]

    @property
    def sampled_rows(self) -> int:
        """How many rows are in the sample."""
        return self._sampled_rows

    def numbered(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number and the text of each sampled row."""
        for stretch in self._stretches:
            yield from enumerate(stretch.records, start=stretch.row)

    def first(self, most: int) -> list[bytes]:
        """Return the first records of the file."""
        return [record for _, record in islice(self.numbered(), most)]

    def lots(self) -> Iterator[Lot]:
        """Yield the sampled rows, at most 10,000 at a time."""
        held: list[_Stretch] = []
        rows = size = 0
        for stretch in self._stretches:
            if held and (rows + len(stretch.records) > LOT_ROWS or size + stretch.size > LOT_BYTES):
                yield self._lot(held)
                held, rows, size = [], 0, 0
            held.append(stretch)
            rows, size = rows + len(stretch.records), size + stretch.size
        if held:
            yield self._lot(held)

    def _keep(self, block: Block, records: Sequence[bytes], begin: int) -> None:
        if block.records is None:
            records = [record.removesuffix(b"\r") for record in records]
            strays: dict[int, int | None] = {}
        else:
            line = block.first_line
            strays = {
                index - begin: None if line is None else line + before
                for index, before in block.records.strays.items()
                if begin <= index < begin + len(records)
            }
        size = sum(map(len, records))
        self._stretches.append(_Stretch(row=block.first_row + begin, records=records, size=size, strays=strays))
        self._sampled_rows += len(records)
        self._sampled_bytes += size

    def _is_full(self) -> bool:
        return self._sampled_rows >= self._most_rows or self._sampled_bytes >= MOST_BYTES

    def _is_over(self) -> bool:
        return self._sampled_rows > self._most_rows or self._sampled_bytes > MOST_BYTES

    def _thin(self) -> None:
        self._stretches = self._stretches[::2]
        self._step *= 2
        self._sampled_rows = sum(len(stretch.records) for stretch in self._stretches)
        self._sampled_bytes = sum(stretch.size for stretch in self._stretches)

    def _lot(self, stretches: Sequence[_Stretch]) -> Lot:
        records = [record for stretch in stretches for record in stretch.records]
        strays: dict[int, int | None] = {}
        numbers: list[int] = []
        for stretch in stretches:
            strays.update({len(numbers) + index: line for index, line in stretch.strays.items()})
            numbers.extend(range(stretch.row, stretch.row + len(stretch.records)))
        first = stretches[0].row
        follow_each_other = numbers[-1] - first + 1 == len(numbers)
        return Lot(
            data=b"\n".join(records), rows=len(records), row=first, strays=strays, cut=records, grammar=self._grammar,
            listed=() if follow_each_other else tuple(numbers),
        )  # fmt: skip
