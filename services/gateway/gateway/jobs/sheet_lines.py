"""The check of a CSV of corrections for quoted cells that seem to hold whole lines."""

from __future__ import annotations

from collect.api.answers import Warning
from collect.checks.line_counts import FileLines
from collect.csv.blocks import Block
from collect.csv.files import Opened


class SheetLines:
    """A check of the blocks of a CSV of corrections, one after the other, while the CSV is read."""

    def __init__(self) -> None:
        self._lines: FileLines | None = None

    def look(self, opened: Opened, block: Block) -> None:
        """Check one block."""
        if self._lines is None:
            self._lines = FileLines(width=len(opened.header.cells), delimiter=opened.header.delimiter)
        self._lines.look(block)

    def warnings(self) -> list[Warning]:
        """Return a warning when a quoted cell holds a whole line, else an empty list."""
        found = [] if self._lines is None else list(self._lines.warnings(blank=0))
        return [
            Warning(
                code=warning.code,
                message=f"A cell in quotes holds line {warning.evidence['line']:,} of the file, "
                f"{warning.evidence['text']!r}, which looks like a row of its own: it would be stored within that "
                "cell. See whether a quote is missing there, or one too many stands before it.",
                columns=[],
                evidence={name: warning.evidence[name] for name in ("line", "text", "like_rows")},
            )
            for warning in found
        ]
