"""The check for shifted columns: the cells are moved up or down by some rows, so each row has the cell of another row.

The check compares the cells with the stored values. For a column without enough stored values,
:mod:`collect.checks.alignment` compares the columns of the file with one another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from collect.checks import alignment
from collect.checks.alignment import ShiftColumn
from collect.checks.warning import Warning

FARTHEST = 1_000
"""Largest shift that is searched for, in rows, up or down."""
SURE = 4.0
"""Least surprise (-log10 of a chance) for a shift: cells in random order would match the stored values less often."""
FOLLOWING = 1.5
"""The same for a column when another column is already found to be shifted by as many rows."""
ENOUGH = 20
"""Rows with stored values from which on a column is judged by these alone, and not by the other columns of the file."""
_FEWEST_MATCHES = 5
_FEWEST_BORDERS = 4
_MOST_BORDERS = 0.8
_LEAST_BORDER = 0.6
_LEAST_SHARE = 0.5
_LEAST_CHANCE = 1e-6
_TRIED_ROWS = 300
_NEARLY = 0.85
_MOST_TRIED = 120
_NOTHING, _NOT_STORED, _UNREAD = -1, -2, -3

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class _Slip:
    """A shifted column, and the counts that show it. Moving its cells by ``shift`` rows (down, if > 0) corrects it.

    ``compared``: rows with both a cell and a stored value. ``changing``: those of them in which the two differ now.
    ``corrected``: rows that differ now and match after the move.
    """

    column: ShiftColumn
    shift: int
    compared: int
    changing: int
    corrected: int


def find(
    names: Sequence[str], columns: Sequence[ShiftColumn], *, column_shift: Mapping[str, int] | None = None
) -> list[Warning]:
    """Return the warnings about shifted columns: one for all columns that are shifted by the same number of rows.

    ``names``: the name in each row. Stored values are looked up by name, so the file may have its rows in another order
    than the store, and more or fewer of them. ``column_shift``: the parameter of the request. The cells in ``columns``
    are already moved by it, so the suggestion is added to it. A column without sound evidence gets no warning.
    Pure; 10,000 rows of five columns take less than 0.5 s.
    """
    slips = _slips(names, columns)
    compared = {column.name for column in columns if column.compared(names) >= ENOUGH}
    within: list[alignment.Slipped] = []
    if any(column.name not in compared and len(set(column.texts)) > 1 for column in columns):
        known = {slip.column.name for slip in slips}
        others = [column for column in columns if column.name not in known]
        in_place = frozenset(column.name for column in others if column.name in compared and column.agrees(names))
        within = alignment.slipped(names, others, in_place=in_place)
        within = [each for each in within if compared.isdisjoint(each.columns)]
    moves = {slip.column.name: slip.shift for slip in slips}
    moves |= {name: each.shift for each in within for name in each.columns}
    given = column_shift or {}
    wanted = {name: given.get(name, 0) + moves.get(name, 0) for name in [*given, *(n for n in moves if n not in given)]}
    suggestion = {"column_shift": {name: shift for name, shift in wanted.items() if shift}}
    by_stored = [
        [slip for slip in slips if slip.shift == shift] for shift in dict.fromkeys(slip.shift for slip in slips)
    ]
    return [
        *(
            _warning(_columns(each), _said(each), {s.column.name: _evidence(s) for s in each}, suggestion)
            for each in by_stored
        ),
        *(_warning(each.columns, each.message, each.evidence, suggestion) for each in within),
    ]


def _warning(
    columns: tuple[str, ...], message: str, evidence: Mapping[str, Any], suggestion: Mapping[str, Any]
) -> Warning:
    return Warning(code="column_shifted", message=message, columns=columns, evidence=evidence, suggestion=suggestion)


def _columns(slips: Sequence[_Slip]) -> tuple[str, ...]:
    return tuple(slip.column.name for slip in slips)


class _Compared:
    """A column's cells and the stored values for the names of their rows, both as numbers. Equal numbers match.

    A list of several values matches when its smallest or its largest value does. So a list still matches, as a rule,
    after one member was added or removed.
    """

    def __init__(self, names: Sequence[str], column: ShiftColumn) -> None:
        codes: dict[str, int] = {}

        def code(values: frozenset[str], pick: Any, *, absent: int) -> int:
            return codes.setdefault(pick(values), len(codes)) if values else absent

        stored = [column.stored.get(name, frozenset()) for name in names]
        absent = [_UNREAD if text else _NOTHING for text in column.texts]
        self.cells = tuple(
            np.array([code(v, pick, absent=a) for v, a in zip(column.values, absent, strict=True)], np.int32)
            for pick in (min, max)
        )
        self.stored = tuple(
            np.array([code(v, pick, absent=_NOT_STORED) for v in stored], np.int32) for pick in (min, max)
        )

    @property
    def rows(self) -> int:
        return len(self.cells[0])

    def matches(self, shift: int) -> npt.NDArray[np.bool_]:
        """Return whether each row's cell matches the stored value when the column is moved by ``shift``.

        Rows that would have no cell after the move are left out.
        """
        (least, most), (low, high) = self.cells, self.stored
        here, there = _overlap(self.rows, shift)
        found: npt.NDArray[np.bool_] = (least[there] == low[here]) | (most[there] == high[here])
        return found

    def compared(self, shift: int) -> npt.NDArray[np.bool_]:
        """Return, for the same rows as :meth:`matches`, whether the row has both a cell and a stored value."""
        here, there = _overlap(self.rows, shift)
        found: npt.NDArray[np.bool_] = (self.cells[0][there] != _NOTHING) & (self.stored[0][here] != _NOT_STORED)
        return found

    @cached_property
    def others(self) -> npt.NDArray[np.bool_]:
        """Whether each row's cell equals the stored value of some row.

        A cell that is new or cannot be read does not: it has not come from another row.
        """
        return np.isin(self.cells[0], self.stored[0][self.stored[0] >= 0])

    @cached_property
    def by_chance(self) -> float:
        """The chance that a cell matches the stored value of a row picked at random."""
        (least, most), (low, high) = self.cells, self.stored
        common = _chance(least, low)
        return common if np.array_equal(least, most) and np.array_equal(low, high) else common + _chance(most, high)


def _chance(cells: Codes, stored: Codes) -> float:
    cells, stored = cells[cells >= 0], stored[stored >= 0]
    size = int(max(cells.max(initial=0), stored.max(initial=0))) + 1
    frequent = np.bincount(cells, minlength=size) / max(len(cells), 1)
    common = float(np.dot(frequent, np.bincount(stored, minlength=size) / max(len(stored), 1)))
    return min(0.5, common + _LEAST_CHANCE)


def _overlap(rows: int, shift: int) -> tuple[slice, slice]:
    """Return the rows that have a cell when a column is moved by ``shift``, and the rows that these cells come from."""
    return slice(max(shift, 0), rows + min(shift, 0)), slice(max(-shift, 0), rows - max(shift, 0))


def _slips(names: Sequence[str], columns: Sequence[ShiftColumn]) -> list[_Slip]:
    """Return the columns that are shifted against the stored values.

    When one column is surely shifted, less evidence is enough for another column with the same shift.
    """
    compared = {column.name: _Compared(names, column) for column in columns if column.compared(names)}
    able = [column for column in columns if column.name in compared]
    found = {column.name: slip for column in able if (slip := _slip(column, compared[column.name])) is not None}
    for shift in dict.fromkeys(slip.shift for slip in found.values()):
        for column in able:
            if column.name not in found and (slip := _slip(column, compared[column.name], shift=shift)) is not None:
                found[column.name] = slip
    return [found[column.name] for column in able if column.name in found]


def _slip(column: ShiftColumn, compared: _Compared, *, shift: int | None = None) -> _Slip | None:
    """Return how the column is shifted, or ``None``. ``shift``: try only this one, which another column has."""
    rows, matching = int(compared.compared(0).sum()), int(compared.matches(0).sum())
    if matching > rows - _FEWEST_MATCHES:
        return None
    farthest = min(FARTHEST, compared.rows // 2)
    counts = {each: int(np.count_nonzero(compared.matches(each))) for each in _worth(compared, farthest, shift)}
    if not counts:
        return None
    best = max(counts, key=lambda each: counts[each])
    there = int(compared.compared(best).sum())
    if counts[best] < _LEAST_SHARE * there or there < rows / 2 or counts[best] <= matching:
        return None
    if (1 - counts[best] / there) * 2 > 1 - matching / rows:
        return None
    sure = FOLLOWING if shift is not None else SURE + math.log10(2 * farthest)
    if _surprise(compared, best) < sure:
        return None
    return _Slip(
        column=column, shift=best, compared=rows, changing=rows - matching, corrected=_corrected(compared, best)
    )


def _worth(compared: _Compared, farthest: int, shift: int | None) -> list[int]:
    """Return the shifts worth counting in full, smallest first.

    Each shift is tried on a sample of the rows that do not match. Those are kept that correct nearly as many of them as
    the best shift does.
    """
    if shift is not None:
        return [shift] if 0 < abs(shift) <= farthest else []
    wrong = np.flatnonzero(compared.compared(0) & ~compared.matches(0))
    rows = wrong[:: max(1, len(wrong) // _TRIED_ROWS)][:, None]
    shifts = np.array([each for each in sorted(range(-farthest, farthest + 1), key=abs) if each], np.int64)
    at = rows - shifts[None, :]
    within = (at >= 0) & (at < compared.rows)
    at = np.clip(at, 0, compared.rows - 1)
    corrects = [(cells[at] == stored[rows]) for cells, stored in zip(compared.cells, compared.stored, strict=True)]
    share = ((corrects[0] | corrects[1]) & within).sum(axis=0) / np.maximum(within.sum(axis=0), 1)
    share[within.sum(axis=0) * 2 < len(rows)] = 0
    if not len(share) or share.max() <= 0:
        return []
    best: list[int] = shifts[share >= _NEARLY * share.max()][:_MOST_TRIED].tolist()
    return best


def _corrected(compared: _Compared, shift: int) -> int:
    """Return how many rows do not match now, and match when the column is moved."""
    here, _ = _overlap(compared.rows, shift)
    now = compared.matches(0)[here]
    return int((compared.matches(shift) & ~now & compared.compared(0)[here]).sum())


def _surprise(compared: _Compared, shift: int) -> float:
    """Return -log10 of the chance that the shift corrects so many mismatches.

    A stretch of consecutive rows with the same mismatch counts once: if all teams of one manager are given to another,
    that is one change. When equal cells stand in long blocks, a shift makes a stretch of mismatches at each border
    between blocks, and the stretch is as long as the shift. If nearly all stretches are like that, the shift is sure.
    """
    here, _ = _overlap(compared.rows, shift)
    rows = np.flatnonzero((compared.compared(0) & (compared.others | compared.matches(0)))[here])
    wrong = ~compared.matches(0)[here][rows]
    corrects = compared.matches(shift)[rows]
    pairs = compared.cells[0][here][rows].astype(np.int64) * (2**31) + compared.stored[0][here][rows]
    pairs[~wrong] = -1
    begins = np.flatnonzero(np.diff(pairs, prepend=-2))
    ends = np.append(begins[1:], len(pairs))
    taken = wrong[begins]
    if not taken.any():
        return 0.0
    corrected = np.add.reduceat(corrects, begins)[taken] * 2 > (ends - begins)[taken]
    lengths = (rows[ends - 1] - rows[begins] + 1)[taken]
    borders = corrected & (lengths <= abs(shift)) & (lengths >= _LEAST_BORDER * abs(shift))
    if int(borders.sum()) >= max(_FEWEST_BORDERS, _MOST_BORDERS * len(lengths)):
        return SURE + math.log10(2 * FARTHEST)
    if int(corrected.sum()) < _FEWEST_MATCHES:
        return 0.0
    return _unlikely(int(corrected.sum()), len(corrected), compared.by_chance)


def _unlikely(found: int, of: int, chance: float) -> float:
    """Return -log10 of an upper bound (Chernoff's) for the chance of at least ``found`` hits in ``of`` tries.

    ``chance``: that of a hit in one try.
    """
    share = found / of
    if share <= chance:
        return 0.0
    divergence = share * math.log(share / chance)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - chance))
    return of * divergence / math.log(10)


def _said(slips: Sequence[_Slip]) -> str:
    """Return the message about columns that are all shifted by the same number of rows."""
    first = slips[0]
    changing = f"{first.changing:,} of {first.compared:,} {first.column.things} change"
    corrected = f"makes {first.corrected:,} of them match"
    others = "".join(
        f", and {slip.corrected:,} of the {slip.changing:,} {slip.column.things} that change" for slip in slips[1:]
    )
    columns = alignment.listed(_columns(slips))
    return f"{changing}; moving {columns} {alignment.way(first.shift)} {corrected}{others} what is stored."


def _evidence(slip: _Slip) -> dict[str, Any]:
    return {"by": "stored", "compared": slip.compared, "changing": slip.changing, "mended": slip.corrected}
