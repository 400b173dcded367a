"""The check for stored values that an upsert would delete, because their cells in the file are blank."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collect.checks.warning import Warning
from collect.csv import unseen
from collect.csv.validation import Valid

MOST_COLUMNS_NAMED = 5
MOST_ROWS_NAMED = 3


class BlankCells:
    """The blank cells of the rows in a preview's sample, by key. If several rows have the same key, the last counts."""

    def __init__(self) -> None:
        self.columns: set[str] = set()
        self._of: dict[str, tuple[int, Collection[str]]] = {}

    @property
    def keys(self) -> Collection[str]:
        """The distinct keys of all rows."""
        return self._of.keys()

    def add(self, valid: Valid) -> None:
        """Take rows that are valid by the template."""
        blanks: dict[int, list[str]] = {}
        for name, values in valid.columns.items():
            if (blank := _blank(values)) is not None:
                for place in pc.indices_nonzero(blank).to_pylist():
                    blanks.setdefault(place, []).append(name)
        for place, (row, key) in enumerate(zip(valid.rows.to_pylist(), valid.keys.to_pylist(), strict=True)):
            self.add_row(row, key, blanks.get(place, ()))

    def add_row(self, row: int, key: str, blanks: Collection[str]) -> None:
        """Take a row. ``blanks``: the columns in which its cell is blank."""
        self._of[key] = row, blanks
        self.columns.update(blanks)

    def warnings(
        self, stored: Mapping[str, Mapping[str, Any]], *, looked_at: int, total_rows: int | None
    ) -> list[Warning]:
        """Return the warning about stored values that an upsert would delete, if there are any.

        ``stored``: key → column → stored value, for :attr:`columns`. ``looked_at``: how many rows the sample has, with
        those that would be rejected. ``total_rows``: how many rows the file has.
        """
        held: dict[str, int] = {}
        cleared: dict[str, list[int]] = {}
        for key, (row, blanks) in self._of.items():
            for name, value in stored.get(key, {}).items():
                if name in self.columns and not _shows_nothing(value):
                    held[name] = held.get(name, 0) + 1
                    if name in blanks:
                        cleared.setdefault(name, []).append(row)
        return [self._warning(held, cleared, looked_at, total_rows or looked_at)] if cleared else []

    def _warning(
        self, held: Mapping[str, int], cleared: Mapping[str, Sequence[int]], looked_at: int, total_rows: int
    ) -> Warning:
        names = sorted(cleared, key=lambda name: -len(cleared[name]))
        each = [
            f"{len(cleared[name]):,} of {held[name]:,} of `{name}` (first in row {min(cleared[name]):,})"
            for name in names[:MOST_COLUMNS_NAMED]
        ]
        more = f", and some of {len(names) - len(each):,} columns more" if len(names) > len(each) else ""
        is_sample = looked_at < total_rows
        among = f" among the {looked_at:,} rows looked at, of {total_rows:,}" if is_sample else ""
        message = (
            f"Stored values would be emptied, since their cells are blank{among}: {', '.join(each)}{more}. "
            'With {"blank": "keep"} a blank cell leaves what is stored.'
        )
        share = total_rows / looked_at
        evidence = {
            name: {
                "cleared": len(rows), "stored": held[name], "rows": sorted(rows)[:MOST_ROWS_NAMED],
                "looked_at_rows": looked_at, "estimate": round(len(rows) * share),
            }
            for name, rows in cleared.items()
        }  # fmt: skip
        return Warning(
            code="would_clear", message=message, columns=tuple(names), evidence=evidence, suggestion={"blank": "keep"}
        )


def _blank(values: pa.Array) -> pa.Array | None:
    """Return which cells are empty or have only invisible characters; ``None`` if no cell is."""
    nothing = unseen.mask(values) if pa.types.is_string(values.type) else None
    if nothing is not None:
        return pc.or_(pc.fill_null(nothing, True), pc.is_null(values))
    return pc.is_null(values) if values.null_count else None


def _shows_nothing(value: Any) -> bool:
    return value in (None, []) or (isinstance(value, str) and unseen.shows_nothing(value))
