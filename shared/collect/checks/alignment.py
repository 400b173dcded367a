"""The check for shifted columns within a file, without stored values.

Two columns can be related: the cell of the one nearly always tells the cell of the other, as a district does for the
beginning of a phone number. If the relation holds only when one of them is moved by some rows, that column is shifted.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

NAME = "name"
_NONE: frozenset[str] = frozenset()
FARTHEST = 60
"""Largest shift that is searched for, in rows. Smaller than that of :mod:`collect.checks.shifted`, since comparing
columns with each other takes longer and proves less than comparing them with stored values."""
_MOST_ROWS = 2_000
_FEWEST_ROWS = 30
_MOST_GROUPS = 64
_FEWEST_GROUPS = 3
_ROWS_A_GROUP = 8
_EXCEPTIONS = 0.02
_FEWEST_STRAYS = 8
_FEWEST_STRETCHES = 4
_EACH_STRETCH = 0.7
_GAIN = 0.3
_MANY = 3
_FEWEST_BLANKS = 3
_MOST_BLANK = 1_000
_DESCENTS = 0.05
_MOST_OFTEN = 20
_PREFIXES = range(10, 2, -1)
_DIGITS = re.compile(r"[0-9]+")


Groups = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class ShiftColumn:
    """A column of a file in which each row has a name.

    ``texts``: its cells as they are read. ``values``: the values of each cell as they would be stored (phones in E.164,
    each member of a list); empty for a cell that is empty or cannot be read. ``stored``: name → the stored values;
    names without stored values may be left out. ``things``: the noun for its values in a message.
    """

    name: str
    texts: Sequence[str]
    values: Sequence[frozenset[str]]
    stored: Mapping[str, frozenset[str]]
    things: str = "values"

    def compared(self, names: Sequence[str]) -> int:
        """Return how many rows have both a cell and stored values."""
        return sum(1 for name, text in zip(names, self.texts, strict=True) if text and self.stored.get(name))

    def agrees(self, names: Sequence[str]) -> bool:
        """Return whether, in most of the rows with a cell and stored values, the two have a value in common."""
        alike = sum(
            bool(values & self.stored.get(name, _NONE)) for name, values in zip(names, self.values, strict=True)
        )
        return alike > self.compared(names) / 2


@dataclass(frozen=True, kw_only=True)
class Slipped:
    """Columns that are shifted by the same number of rows. Moving them by ``shift`` corrects it (down, if > 0)."""

    columns: tuple[str, ...]
    shift: int
    message: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Together:
    """Two columns that are related when ``one`` is moved by ``shift`` rows.

    They go together in ``rows`` of ``of`` rows after the move, and in ``now`` rows as the file is.
    """

    one: str
    other: str
    shift: int
    rows: int
    now: int
    of: int


def slipped(
    names: Sequence[str], columns: Sequence[ShiftColumn], *, in_place: frozenset[str] = frozenset()
) -> list[Slipped]:
    """Return the shifted columns, by the file alone. ``in_place``: columns that are known not to be shifted.

    Two columns are related but shifted when they go together in nearly every row after a move, and in far fewer rows as
    they are. Examples: phones of the same district; a manager who is one of the members. A third column or the names
    decide which of the two is shifted; if they cannot, the blank cells at a column's beginning or end decide. Blank
    cells alone are enough too, if there are at least three, all other cells of the column are filled, and nothing else
    in those rows is special.
    """
    blanks = {column.name: blank for column in columns if (blank := _blanks(names, columns, column))}
    relations = list(_relations(names, columns, blanks, in_place)) if len(names) >= _FEWEST_ROWS else []
    moves = _moves(relations, blanks)
    found = []
    for shift in dict.fromkeys(moves.values()):
        together = tuple(name for name, move in moves.items() if move == shift)
        found.append(_told(together, shift, relations, blanks))
    return found


def way(shift: int) -> str:
    """Return a shift in words, such as ``up by 10 rows``."""
    return f"{'down' if shift > 0 else 'up'} by {abs(shift):,} row{'' if abs(shift) == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Return the names of columns as a list in a message, each in backticks."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


# --- which columns go together ---------------------------------------------------------------------------------------


def _relations(
    names: Sequence[str], columns: Sequence[ShiftColumn], blanks: Mapping[str, int], in_place: frozenset[str]
) -> Iterator[_Together]:
    rows = min(len(names), _MOST_ROWS)
    known = in_place | {NAME}
    yield from (_Together(one=name, other=NAME, shift=0, rows=rows, now=rows, of=rows) for name in sorted(in_place))
    yield from _same_values(columns)
    grouped = {column.name: groups for column in columns if (groups := _groups(column, rows)) is not None}
    stems = _coded([_DIGITS.sub("#", name) for name in names[:rows]])
    if stems is not None:
        grouped[NAME] = stems
    for one, other in combinations(sorted(grouped, key=lambda name: name == NAME), 2):
        if known.issuperset((one, other)):
            continue
        likely = frozenset((blanks.get(one, 0), -blanks.get(other, 0))) - {0}
        found = _grouped(one, other, grouped[one], grouped[other], likely=likely)
        if found is not None:
            yield found


def _same_values(columns: Sequence[ShiftColumn]) -> Iterator[_Together]:
    """Yield the pairs of columns that have the same values, always at the same distance in rows."""
    for one, other in combinations(columns, 2):
        places: defaultdict[str, list[int]] = defaultdict(list)
        for row, values in enumerate(other.values):
            for value in values:
                places[value].append(row)
        votes: Counter[int] = Counter()
        filled = 0
        for row, values in enumerate(one.values):
            filled += bool(values)
            near = {there - row for value in values if len(at := places.get(value, ())) <= _MOST_OFTEN for there in at}
            votes.update(shift for shift in near if abs(shift) <= FARTHEST)
        if not votes:
            continue
        shift, rows = max(votes.items(), key=lambda vote: (vote[1], -abs(vote[0])))
        if rows >= max(_FEWEST_STRAYS, 0.3 * filled) and (shift == 0 or votes[0] <= 0.3 * rows):
            yield _Together(one=one.name, other=other.name, shift=shift, rows=rows, now=votes[0], of=len(one.values))


def _groups(column: ShiftColumn, rows: int) -> Groups | None:
    """Return the group of each cell as a number, or ``None`` if no grouping is useful.

    Cells with equal values are one group. If that makes too many groups, cells with the same beginning are, and the
    longest beginning that gives a useful number of groups is taken.
    """
    values = [min(each, default="") for each in column.values[:rows]]
    for length in (None, *_PREFIXES):
        coded = _coded([value[:length] for value in values])
        if coded is not None:
            return coded
    return None


def _coded(texts: Sequence[str]) -> Groups | None:
    """Return the group of each text as a number from 0, and -1 for an empty one.

    ``None`` if there are too few or too many groups to be useful.
    """
    counts = Counter(text for text in texts if text)
    large = sum(count >= 3 for count in counts.values())
    most = min(_MOST_GROUPS, counts.total() // _ROWS_A_GROUP)
    if large < _FEWEST_GROUPS or len(counts) > most:
        return None
    codes = {text: code for code, text in enumerate(counts)}
    return np.array([codes.get(text, -1) for text in texts], np.int32)


def _grouped(one: str, other: str, first: Groups, second: Groups, *, likely: frozenset[int]) -> _Together | None:
    """Return how two columns are related: the group of one predicts the other's at a single distance in rows.

    Both directions are tried. A file of equally long blocks has several such distances: then the one that is among
    ``likely`` is taken, if exactly one is. ``None`` if there is no such relation.
    """
    farthest = min(FARTHEST, len(first) // 3)
    best: _Together | None = None
    counted = {shift: _strays(first, second, shift) for shift in range(-farthest, farthest + 1)}
    for axis in (0, 1):
        strays = {shift: (counts[axis], rows) for shift, (*counts, rows) in counted.items()}
        usual = float(np.median([wrong for wrong, _ in strays.values()]))
        able = [shift for shift in strays if _fits(strays, shift, len(first), usual)]
        able = [0] if 0 in able else able if len(able) == 1 else [shift for shift in able if shift in likely]
        if len(able) != 1:
            continue
        (shift,) = able
        if shift and not _is_better(strays, shift, _stretches(first, second, shift, axis)):
            continue
        (few, rows), (now, rows_now) = strays[shift], strays[0]
        found = _Together(one=one, other=other, shift=shift, rows=rows - few, now=rows_now - now, of=len(first))
        if best is None or found.rows > best.rows:
            best = found
    return best


def _fits(strays: Mapping[int, tuple[int, int]], shift: int, rows_of_file: int, usual: float) -> bool:
    """Return whether nearly all rows go together at this distance, and clearly fewer at most other distances.

    One row more or one row less must be worse, too. ``strays``: distance → rows that do not fit, and all rows.
    """
    few, rows = strays[shift]
    beside = [strays[each][0] for each in (shift - 1, shift + 1) if each in strays]
    return (
        rows >= rows_of_file / 2
        and few <= _EXCEPTIONS * rows
        and usual >= 4 * few + _FEWEST_STRAYS
        and min(beside) > few
    )


def _is_better(strays: Mapping[int, tuple[int, int]], shift: int, stretches: int) -> bool:
    """Return whether the shift is clearly better than one row more or less, and than the file as it is."""
    few, rows = strays[shift]
    now, rows_now = strays[0]
    beside = [strays[each][0] - few for each in (shift - 1, shift + 1) if each in strays]
    return (
        stretches >= _FEWEST_STRETCHES
        and min(beside) >= max(_FEWEST_STRETCHES - 1, _EACH_STRETCH * stretches)
        and now >= 4 * few + _FEWEST_STRAYS
        and (rows - few) - (rows_now - now) >= max(_FEWEST_STRAYS / 2, _GAIN * now)
    )


def _table(first: Groups, second: Groups, shift: int) -> Any:
    rows = len(first)
    one, other = first[max(-shift, 0) : rows - max(shift, 0)], second[max(shift, 0) : rows + min(shift, 0)]
    both = (one >= 0) & (other >= 0)
    size = int(other.max(initial=0)) + 1
    height = int(first.max(initial=0)) + 1
    codes = one[both].astype(np.int64) * size + other[both]
    return np.bincount(codes, minlength=height * size).reshape(height, size)


def _strays(first: Groups, second: Groups, shift: int) -> tuple[int, int, int]:
    """Return the rows that do not fit when the second column predicts the first, and the other way round; and all rows.

    A group predicts the group that it is most often found with. Only rows with both cells count.
    """
    table = _table(first, second, shift)
    rows = int(table.sum())
    return rows - int(table.max(axis=0).sum()), rows - int(table.max(axis=1).sum()), rows


def _stretches(first: Groups, second: Groups, shift: int, axis: int) -> int:
    """Return how many stretches of consecutive rows do not fit as the file is.

    A row fits if its two groups are a pair that is usual at ``shift``.
    """
    table = _table(first, second, shift)
    usual = table.argmax(axis=axis)
    both = (first >= 0) & (second >= 0)
    told, found = (second, first) if axis == 0 else (first, second)
    wrong = both & (usual[np.clip(told, 0, len(usual) - 1)] != found)
    return int(np.count_nonzero(wrong[1:] & ~wrong[:-1])) + bool(wrong[0])


# --- blank cells -----------------------------------------------------------------------------------------------------


def _blanks(names: Sequence[str], columns: Sequence[ShiftColumn], column: ShiftColumn) -> int:
    """Return the shift that would move a column's blank cells from its beginning or end to the other end; 0 if none.

    It is 0 when other cells of the column are blank too, or when the column is sorted. It is also 0 when the rows with
    the blank cells differ from the next rows in anything else: they may be, say, teams without a manager that stand
    together.
    """
    filled = [row for row, text in enumerate(column.texts) if text]
    if not filled or len(filled) != filled[-1] - filled[0] + 1:
        return 0
    leading, trailing = filled[0], len(names) - 1 - filled[-1]
    blank = max(leading, trailing)
    if min(leading, trailing) or not blank or blank > _MOST_BLANK or len(filled) < max(20, 3 * blank):
        return 0
    rows = slice(0, leading) if leading else slice(len(names) - trailing, None)
    border = leading if leading else len(names) - trailing
    others = [other for other in columns if other is not column]
    if any(not text for other in others if any(other.texts) for text in other.texts[rows]):
        return 0
    if _sorted([column.texts[row] for row in filled]):
        return 0
    beside = [[_DIGITS.sub("", name) for name in names], *(other.texts for other in others)]
    constant = [texts for texts in beside if len(set(texts[rows])) == 1 and blank > 1]
    if any(texts[border - 1] != texts[border] for texts in constant):
        return 0
    return -leading if leading else trailing


def _sorted(texts: Sequence[str]) -> bool:
    """Return whether the cells are sorted, up or down, with few exceptions."""
    descents = sum(one > other for one, other in pairwise(texts))
    ascents = sum(one < other for one, other in pairwise(texts))
    return min(descents, ascents) <= _DESCENTS * len(texts)


# --- which columns are shifted ---------------------------------------------------------------------------------------


def _moves(relations: Sequence[_Together], blanks: Mapping[str, int]) -> dict[str, int]:
    """Return column → by how many rows to move it, for the columns for which that is clear."""
    moves: dict[str, int] = {}
    for component in _components(relations):
        settled = _settled(component, blanks)
        moves.update({name: shift for name, shift in settled.items() if shift and name != NAME})
    related = {name for each in relations for name in (each.one, each.other)}
    for name, shift in blanks.items():
        if name not in related and abs(shift) >= _FEWEST_BLANKS:
            moves[name] = shift
    return moves


def _components(relations: Sequence[_Together]) -> list[dict[str, int]]:
    """Return the groups of related columns, as column → its distance in rows from the group's first column.

    A group whose relations contradict one another is left out.
    """
    beside: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for each in relations:
        beside[each.one].append((each.other, -each.shift))
        beside[each.other].append((each.one, each.shift))
    found: list[dict[str, int]] = []
    left = set(beside)
    while left:
        start = min(left)
        place, waiting, agree = {start: 0}, [start], True
        while waiting:
            name = waiting.pop()
            for other, distance in beside[name]:
                if other not in place:
                    place[other] = place[name] + distance
                    waiting.append(other)
                agree = agree and place[other] == place[name] + distance
        left -= place.keys()
        if agree:
            found.append(place)
    return found


def _settled(places: dict[str, int], blanks: Mapping[str, int]) -> dict[str, int]:
    """Return the moves for a group of related columns; empty if it is not clear which of them are shifted.

    If the names are in the group, they are in place and the others move. Else, if one column differs from at least
    three that agree, that one moves. Else the blank cells of the columns decide.
    """
    if NAME in places:
        return {name: place - places[NAME] for name, place in places.items()}
    ((most, count), *others) = Counter(places.values()).most_common()
    if count >= _MANY and sum(number for _, number in others) == 1:
        return {name: place - most for name, place in places.items()}
    for unmoved in set(places.values()):
        moves = {name: place - unmoved for name, place in places.items()}
        moved = {name: move for name, move in moves.items() if move}
        if moved and all(blanks.get(name) == move for name, move in moved.items()):
            return moves
    return {}


def _told(columns: tuple[str, ...], shift: int, relations: Sequence[_Together], blanks: Mapping[str, int]) -> Slipped:
    moved = f"moving {listed(columns)} {way(shift)}"
    evidence: dict[str, Any] = {}
    for each in relations:
        pair = {each.one, each.other}
        if each.shift and not pair.isdisjoint(columns):
            (mine, beside) = (each.one, each.other) if each.one in columns else (each.other, each.one)
            evidence[mine] = {
                "by": "file", "beside": beside, "rows": each.of, "go_together": each.now,
                "would_go_together": each.rows,
            }  # fmt: skip
    if not evidence:
        (column, *_) = columns
        where = "first" if blanks[column] < 0 else "last"
        message = (
            f"The {where} {abs(shift):,} cells under {listed(columns)} are empty and all others are filled; {moved} "
            "puts the empty ones at the other end."
        )
        return Slipped(
            columns=columns, shift=shift, message=message, evidence={column: {"by": "blanks", "empty": abs(shift)}}
        )
    mine, seen = next(iter(evidence.items()))
    beside = "the names" if seen["beside"] == NAME else f"`{seen['beside']}`"
    message = (
        f"`{mine}` goes with {beside} in {seen['go_together']:,} of {seen['rows']:,} rows; {moved} makes it "
        f"{seen['would_go_together']:,}."
    )
    return Slipped(columns=columns, shift=shift, message=message, evidence=evidence)
