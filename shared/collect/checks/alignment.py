"""Columns of a file that go with one another at a distance of some rows, as they do when one of them has slipped."""

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
"""Rows: what goes together is searched less far than what is stored, since it takes longer and says less."""
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
    """A column of a file of named rows.

    ``texts``: its cells as they are read. ``values``: what each of them says, as it would be stored (phones in E.164,
    each of a list); nothing for an empty cell and one that cannot be read. ``stored``: what is there for a name;
    names without anything may be left out. ``things``: what its values are called in a sentence.
    """

    name: str
    texts: Sequence[str]
    values: Sequence[frozenset[str]]
    stored: Mapping[str, frozenset[str]]
    things: str = "values"

    def compared(self, names: Sequence[str]) -> int:
        """How many rows have a cell and something stored to compare it with."""
        return sum(1 for name, text in zip(names, self.texts, strict=True) if text and self.stored.get(name))

    def agrees(self, names: Sequence[str]) -> bool:
        """Whether most of these rows share something with what is stored for them."""
        alike = sum(
            bool(values & self.stored.get(name, _NONE)) for name, values in zip(names, self.values, strict=True)
        )
        return alike > self.compared(names) / 2


@dataclass(frozen=True, kw_only=True)
class Slipped:
    """Columns that have slipped by the same number of rows; ``shift`` moves them back (down, if > 0)."""

    columns: tuple[str, ...]
    shift: int
    message: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Together:
    """Two columns go together when ``one`` is moved by ``shift`` rows: then in ``rows`` of ``of``, now in ``now``."""

    one: str
    other: str
    shift: int
    rows: int
    now: int
    of: int


def slipped(
    names: Sequence[str], columns: Sequence[ShiftColumn], *, in_place: frozenset[str] = frozenset()
) -> list[Slipped]:
    """What the file alone says. ``in_place``: columns of which it is known that they have not slipped.

    Columns that go together in nearly every row when one of them is moved, and in far fewer as they are: a phone and
    its members' phones of one district, a manager among the members. Which of the two has slipped is settled by a third
    column or the names; else by blank cells at its beginning or end. Blank cells alone say it too, if there are at
    least three, all other cells of the column are filled, and nothing else in those rows is special.
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
    """``up by 10 rows``."""
    return f"{'down' if shift > 0 else 'up'} by {abs(shift):,} row{'' if abs(shift) == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Columns as they are said."""
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
    """Values of one column that are among another one's, always at the same distance."""
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
    """The cells as numbers of groups, as fine as can be: whole values, else how they begin."""
    values = [min(each, default="") for each in column.values[:rows]]
    for length in (None, *_PREFIXES):
        coded = _coded([value[:length] for value in values])
        if coded is not None:
            return coded
    return None


def _coded(texts: Sequence[str]) -> Groups | None:
    """Groups as numbers from 0, -1 for an empty text; ``None`` where they are too few or too many to say anything."""
    counts = Counter(text for text in texts if text)
    large = sum(count >= 3 for count in counts.values())
    most = min(_MOST_GROUPS, counts.total() // _ROWS_A_GROUP)
    if large < _FEWEST_GROUPS or len(counts) > most:
        return None
    codes = {text: code for code, text in enumerate(counts)}
    return np.array([codes.get(text, -1) for text in texts], np.int32)


def _grouped(one: str, other: str, first: Groups, second: Groups, *, likely: frozenset[int]) -> _Together | None:
    """Whether the one's group tells the other's, or the other way round, at one distance and at no other.

    In a file of equally long blocks there are several such distances: then one of ``likely`` is taken, if only one is.
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
    """Whether nearly all rows go together at this distance, and fewer at one row more or less, and at most others."""
    few, rows = strays[shift]
    beside = [strays[each][0] for each in (shift - 1, shift + 1) if each in strays]
    return (
        rows >= rows_of_file / 2
        and few <= _EXCEPTIONS * rows
        and usual >= 4 * few + _FEWEST_STRAYS
        and min(beside) > few
    )


def _is_better(strays: Mapping[int, tuple[int, int]], shift: int, stretches: int) -> bool:
    """Whether one row more or less is clearly worse, and many more rows go together than as they are."""
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
    """Rows that are not of the commonest pair of the second's and of the first's group, and rows that have both."""
    table = _table(first, second, shift)
    rows = int(table.sum())
    return rows - int(table.max(axis=0).sum()), rows - int(table.max(axis=1).sum()), rows


def _stretches(first: Groups, second: Groups, shift: int, axis: int) -> int:
    """In how many stretches of rows the two do not go together as they are, by what goes together at ``shift``."""
    table = _table(first, second, shift)
    usual = table.argmax(axis=axis)
    both = (first >= 0) & (second >= 0)
    told, found = (second, first) if axis == 0 else (first, second)
    wrong = both & (usual[np.clip(told, 0, len(usual) - 1)] != found)
    return int(np.count_nonzero(wrong[1:] & ~wrong[:-1])) + bool(wrong[0])


# --- blank cells -----------------------------------------------------------------------------------------------------


def _blanks(names: Sequence[str], columns: Sequence[ShiftColumn], column: ShiftColumn) -> int:
    """By how many rows blank cells at the beginning or end say that a column has slipped; 0 if they do not.

    Nothing follows when other cells of it are blank as well, when it is sorted, or when those rows differ from the next
    in anything else, as teams without a manager do that stand together.
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
    """Whether the cells are in order, up or down, but for a few."""
    descents = sum(one > other for one, other in pairwise(texts))
    ascents = sum(one < other for one, other in pairwise(texts))
    return min(descents, ascents) <= _DESCENTS * len(texts)


# --- who has moved ---------------------------------------------------------------------------------------------------


def _moves(relations: Sequence[_Together], blanks: Mapping[str, int]) -> dict[str, int]:
    """By how many rows each column has to be moved, as far as that is clear."""
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
    """Columns that hang together, each with its place beside the others; those that contradict one another are left."""
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
    """The moves of columns that hang together: beside the names, else of one beside many, else by blank cells."""
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
