"""The check of a file's lines against its rows: blank lines, and quoted cells that seem to hold whole rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from collect.checks.warning import Warning
from collect.csv.blocks import SHOWN_BYTES, Block

FEWEST_COLUMNS = 2
"""Fewest columns for the check of quoted cells. With one column, each line of a cell would look like a row."""
TOLERANCE = 4
"""Columns for each cell that a line may have too many or too few and still look like a row: one cell in four columns.
"""


@dataclass(frozen=True, kw_only=True)
class _Swallowed:
    """A row with a quoted cell in which some lines look like rows of their own.

    ``line``, ``text``: the number in the file and the text of the first such line. ``lines``: how many there are.
    """

    row: int
    line: int | None
    text: bytes
    lines: int


class FileLines:
    """Counts a file's lines and rows, block by block, and keeps the first row that may have swallowed others."""

    def __init__(self, *, width: int, delimiter: str) -> None:
        self.blank = 0
        self._width = width
        self._delimiter = delimiter.encode()
        self._lines = self._rows = 0
        self._swallowed: _Swallowed | None = None
        self._others = 0

    def look(self, block: Block) -> None:
        """Count the lines and rows of a block. If its rows have line breaks, look for rows within quoted cells."""
        self.blank += block.blank
        self._lines += block.lines
        self._rows += block.rows
        if block.records is None or block.lines == block.rows + block.blank or self._width < FEWEST_COLUMNS:
            return
        for index, record in enumerate(block.records.lines):
            places = self._like_rows(record) if b"\n" in record else []
            if places and self._swallowed is None:
                self._swallowed = self._found(block, index, record, places)
            elif places:
                self._others += 1

    def warnings(self, *, blank: int) -> Iterator[Warning]:
        """Yield the warnings about quoted cells and blank lines. ``blank``: how many lines are blank."""
        if self._swallowed is not None:
            yield self._quoted_lines(self._swallowed)
        if blank:
            lines = "1 line is" if blank == 1 else f"{blank:,} lines are"
            yield Warning(
                code="blank_rows",
                message=f"{lines} blank, with nothing or only delimiters: no row is made of such a line.",
                evidence={"lines": blank},
            )

    def _like_rows(self, record: bytes) -> list[int]:
        """Return the indexes of the lines of a record that look like rows of their own.

        The first and the last line hold the row's own first and last cells, so as a rule they are left out.
        """
        lines = record.split(b"\n")
        alike = [place for place, line in enumerate(lines) if self._has_width(line)]
        within = [place for place in alike if 0 < place < len(lines) - 1]
        if self._width == FEWEST_COLUMNS:  # an address often has a comma in each line
            return within or alike[1:] if len(alike) == len(lines) else []
        if within:
            return within
        return [len(lines) - 1] if len(alike) == len(lines) else []

    def _has_width(self, line: bytes) -> bool:
        return abs(line.count(self._delimiter) + 1 - self._width) <= self._width // TOLERANCE

    def _found(self, block: Block, index: int, record: bytes, places: list[int]) -> _Swallowed:
        line: int | None = None
        if block.first_line is not None:
            before = block.data.count(b"\n", 0, max(0, block.data.find(record)))
            line = block.first_line + before + places[0]
        text = record.split(b"\n")[places[0]]
        return _Swallowed(row=block.first_row + index, line=line, text=text, lines=len(places))

    def _quoted_lines(self, row: _Swallowed) -> Warning:
        text = row.text[:SHOWN_BYTES].removesuffix(b"\r").decode("utf-8", "replace")
        where = "a line" if row.line is None else f"line {row.line:,}"
        rows = "1 row" if self._rows == 1 else f"{self._rows:,} rows"
        others = f" So do cells of {self._others:,} more rows." if self._others else ""
        return Warning(
            code="quoted_lines",
            message=(
                f"{self._lines:,} lines below the header make {rows}, because cells in quotes hold line breaks. A cell "
                f"of row {row.row:,} holds {where}, {text!r}, which looks like a row of its own.{others} See whether a "
                "quote is missing there, or one too many stands before it."
            ),
            evidence={
                "lines": self._lines,
                "rows": self._rows,
                "row": row.row,
                "line": row.line,
                "text": text,
                "like_rows": row.lines,
            },
        )
