"""The check for exchanged columns of administrative levels, such as district and village.

A village lies in one district, and a district has several villages. So the file itself shows which column is which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from collect.checks.column_fit import FileColumn

LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"country", "nation"}),
    frozenset({"state", "province", "region"}),
    frozenset({"division"}),
    frozenset({"district", "county", "zila"}),
    frozenset({"subdistrict", "sub_district", "block", "tehsil", "taluk", "taluka", "mandal", "upazila", "subcounty"}),
    frozenset({"panchayat", "gram_panchayat", "parish"}),
    frozenset({"village", "hamlet", "settlement"}),
)
"""The column names of each level, from the largest places. A place lies in exactly one place of each level above."""

_FEWEST_ROWS = 50
_FEWEST_VALUES = 3
_RATIO = 1.5
_EXCEPTIONS = 0.01


@dataclass(frozen=True)
class Counted:
    """The counts of two columns.

    ``rows``: rows with both cells. ``upper``, ``lower``: distinct values in each column. ``follow``: rows in which the
    value of the upper column has the value of the lower column that it is most often found with.
    """

    rows: int
    upper: int
    lower: int
    follow: int


def exchanged(columns: Sequence[FileColumn]) -> tuple[FileColumn, FileColumn] | None:
    """Return the two columns that are exchanged, the upper level first; ``None`` if there is no pair or several.

    They are exchanged if the upper column has more distinct values than the lower one, and each of its values goes with
    one value of the lower column. In a correct file it is the other way round: a district has several blocks.
    """
    named = [(level, each) for each in columns if (level := _level(each.name)) is not None]
    pairs = [
        (one, other) if first < second else (other, one)
        for (first, one), (second, other) in combinations(named, 2)
        if first != second
    ]
    found = [(upper, lower) for upper, lower in pairs if _are_exchanged(counted(upper, lower))]
    return found[0] if len(found) == 1 else None


def counted(upper: FileColumn, lower: FileColumn) -> Counted:
    """Return the counts of two columns."""
    seen: dict[str, dict[str, int]] = {}
    for above, below in zip(upper.texts, lower.texts, strict=True):
        if above and below:
            inner = seen.setdefault(above, {})
            inner[below] = inner.get(below, 0) + 1
    return Counted(
        rows=sum(sum(inner.values()) for inner in seen.values()),
        upper=len(seen),
        lower=len({below for inner in seen.values() for below in inner}),
        follow=sum(max(inner.values()) for inner in seen.values()),
    )


def _are_exchanged(found: Counted) -> bool:
    return (
        found.rows >= _FEWEST_ROWS
        and found.lower >= _FEWEST_VALUES
        and found.upper >= _RATIO * found.lower
        and found.upper * 2 <= found.rows  # a value that is found once goes with one other value in any case
        and found.follow >= (1 - _EXCEPTIONS) * found.rows
    )


def _level(name: str) -> int | None:
    return next((level for level, names in enumerate(LEVELS) if name in names), None)
