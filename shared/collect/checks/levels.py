"""Columns that name places within places, so that a file itself says which of two is the larger."""

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
"""What places are called, from the largest. A place lies in one place of each level above; none is split."""

_FEWEST_ROWS = 50
_FEWEST_VALUES = 3
_RATIO = 1.5
_EXCEPTIONS = 0.01


@dataclass(frozen=True)
class Counted:
    """Distinct values under two columns, and in how many rows a value of the upper goes with its usual lower one."""

    rows: int
    upper: int
    lower: int
    follow: int


def exchanged(columns: Sequence[FileColumn]) -> tuple[FileColumn, FileColumn] | None:
    """The only two columns, upper level first, whose cells are in each other's place.

    Then the upper column has the more values, each of them lies in one of the lower column's, and not the other way
    round: in a file that is right a district that has several blocks shows the contrary.
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
    """What the file says of the two."""
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
        and found.upper * 2 <= found.rows  # a value that is met once goes with one other in any case
        and found.follow >= (1 - _EXCEPTIONS) * found.rows
    )


def _level(name: str) -> int | None:
    return next((level for level, names in enumerate(LEVELS) if name in names), None)
