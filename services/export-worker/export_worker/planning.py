"""The plan of an export: its parts are ranges of index keys, found without reading a response."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from collect.exporting.selection import Selection
from collect.jobs.model import Part
from collect.runtime.task import PlannedPart
from collect.storage import responses
from collect.storage.database import Database
from collect.storage.responses import Key

SIZES = ((2, 20_000), (4, 60_000), (6, 150_000))
BIGGEST = 300_000


def plan(
    db: Database, selection: Selection, after: Part | None, *, rows_of: Callable[[int], int]
) -> Iterator[PlannedPart | None]:
    """Yield the parts of the selection that follow ``after``, in the order of keys. Part n has ``rows_of(n)`` rows."""
    n, row, start = 1, 1, Key(selection.start)
    if after is not None:
        n, row, start = after.n + 1, after.source["row"] + after.total, Key.of(after.source["end"])
    end = Key(selection.end)
    while start != end:
        size = rows_of(n)
        following = responses.boundary(db, selection, start, end, rows=size)
        total = size if following is not None else responses.count(db, selection, start, end)
        following = following or end
        if total > 0:
            source = {"version": 1, "row": row, "end": following.stored(), "shape": selection.shape}
            yield PlannedPart(source=source, cursor={"version": 1, **start.stored()}, total=total)
        n, row, start = n + 1, row + total, following


def part_rows(n: int) -> int:
    """Return the rows of part ``n``. The first parts are small: a small export has several, and a big one begins soon.

    The size must depend on ``n`` alone, since the blocks of a result are counted from the starts of its parts.
    """
    return next((size for last, size in SIZES if n <= last), BIGGEST)
