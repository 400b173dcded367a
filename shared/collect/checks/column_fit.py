"""Where the cells of a column are at home: under their own column, or under another one. Each facet looks one way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from collect.checks import profiles
from collect.checks.profiles import Family, Range, Reading, Vocabulary
from collect.jobs.template import Column, ColumnType

FEWEST_STORED = 10
"""Values of a column below which what is stored says nothing of it."""
FEWEST_CELLS = 5
FEWEST_WRONG = 3
_FEWEST_FOR_SPREADS = 30
_SOME = 300
_FEWEST_KEYS = 20
_TWICE = 0.5
_CERTAIN = 6.0
_SPREAD = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class FileColumn:
    """A column of the file: what ``column_map`` calls it, where it goes, and sampled cells in the order of the rows.

    ``is_key``: it is the key alone, so that no two rows may have the same.
    """

    header: str
    column: Column
    texts: Sequence[str]
    is_key: bool = False

    @property
    def name(self) -> str:
        return self.column.name

    @cached_property
    def some(self) -> Sequence[str]:
        """Some hundreds of the cells that are not empty, from all over them."""
        filled = [text for text in self.texts if text]
        return filled[:: max(1, len(filled) // _SOME)][:_SOME]

    @cached_property
    def distinct(self) -> float:
        """The share of distinct texts among the cells that are not empty."""
        filled = [text for text in self.texts if text]
        return len(set(filled)) / len(filled) if filled else 1.0


@dataclass(frozen=True, kw_only=True)
class Facet:
    """How far cells fit their own column and another's, both from 0 to 1, and how surprising that would be by chance.

    ``surprise`` is -log10 of the chance. The kinds: ``accepted`` by the template; ``distinct`` as keys are (the cells
    of the key, and beside them those of the other column, which would come there); and ``known`` values, ``form`` and
    ``beginning`` (how they are written), ``range`` and ``spread`` (where numbers are, and how many where), all beside
    what is stored.
    """

    kind: str
    own: float
    other: float
    surprise: float

    @property
    def is_shown(self) -> bool:
        """Whether the cells are at home under the other column and not under their own."""
        match self.kind:
            case "accepted" | "distinct":
                return self.surprise > 0
            case "spread":
                return self.other >= 0.6 and self.own <= 0.3
        return self.other >= 0.5 and self.own <= self.other - 0.4 and self.surprise > 0

    @property
    def speaks_against(self) -> bool:
        """Whether the cells are at home where they are, and less so under the other column."""
        if self.kind == "accepted":
            return self.other < 0.8
        if self.kind == "distinct":
            return self.other < self.own
        return self.kind != "spread" and self.own >= 0.6 and self.own >= self.other + 0.3


class Stored:
    """What is stored in a column."""

    def __init__(self, column: Column, values: Sequence[Any]) -> None:
        self.column = column
        self.values = profiles.comparable(column, values)
        self._written = values

    def __bool__(self) -> bool:
        return len(self.values) >= FEWEST_STORED

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(Counter(self.values))

    @cached_property
    def forms(self) -> Vocabulary:
        return Vocabulary(Counter(profiles.form(profiles.written(value)) for value in self._written))

    @cached_property
    def beginnings(self) -> Vocabulary:
        return Vocabulary(Counter(value[: profiles.PHONE_BEGINNING] for value in self.values))

    @property
    def distinct(self) -> float:
        """The share of distinct values."""
        return len(self.vocabulary.counts) / len(self.values) if self.values else 1.0

    @cached_property
    def range(self) -> Range:
        return Range.of(self.values)


class Facets:
    """Looks at the columns of a file beside what the dataset's columns hold. Remembers what it has read."""

    def __init__(self, columns: Sequence[FileColumn], stored: Mapping[str, Sequence[Any]]) -> None:
        self._stored = {each.name: Stored(each.column, stored.get(each.name, ())) for each in columns}
        self._readings: dict[tuple[str, str], Reading] = {}
        self._takes = {each.name: _takes(each.column) for each in columns}

    def stored(self, column: Column) -> Stored:
        return self._stored[column.name]

    def reading(self, cells: FileColumn, column: Column) -> Reading:
        """The cells read as those of ``column``: of another one some only, since there are many others."""
        takes = self._takes[column.name]
        found = self._readings.get((cells.name, takes))
        if found is None:
            texts = cells.texts if column.name == cells.name else cells.some
            found = self._readings[cells.name, takes] = profiles.read(column, texts)
        return found

    def of(self, cells: FileColumn, other: FileColumn) -> list[Facet]:
        """All facets of one direction: the cells of one column, held against their own and the other one's column."""
        own, there = self.reading(cells, cells.column), self.reading(cells, other.column)
        facets = [_accepted(own, there)]
        if cells.is_key and own.filled >= _FEWEST_KEYS:
            facets.append(_distinct(cells, other))
        mine, others = self.stored(cells.column), self.stored(other.column)
        if mine and others and own.filled >= FEWEST_CELLS:
            facets += list(self._by_stored(cells, own, there, mine, others))
        return facets

    def is_odd(self, cells: FileColumn) -> bool:
        """Whether the cells may be in the wrong column; without one to compare them with."""
        own, mine = self.reading(cells, cells.column), self.stored(cells.column)
        if own.accepted < 0.95 or (cells.is_key and cells.distinct <= _TWICE):
            return True
        if not mine or own.filled < FEWEST_CELLS:
            return False
        if profiles.family(cells.column) is Family.TEXT:
            known = mine.vocabulary.known(set(own.values)) < 0.6
            return known or mine.forms.known({profiles.form(text) for text in cells.some}) < 0.6
        bounds = profiles.edges(mine.values, mine.values)
        spread = profiles.overlap(profiles.binned(own.values, bounds), _binned(mine.values, bounds))
        return mine.range.share(own.values) < 0.6 or spread < 0.5

    def _by_stored(
        self, cells: FileColumn, own: Reading, there: Reading, mine: Stored, others: Stored
    ) -> Iterator[Facet]:
        here, elsewhere = profiles.family(mine.column), profiles.family(others.column)
        if here is not elsewhere:
            if Family.TEXT in (here, elsewhere):
                yield _forms(cells.some, mine, others)
        elif here is Family.TEXT:
            yield _symbols("known", own.values, there.values, mine.vocabulary, others.vocabulary)
            if mine.column.type is not ColumnType.PHONE or others.column.type is not ColumnType.PHONE:
                yield _forms(cells.some, mine, others)
            else:
                cut = [[text[: profiles.PHONE_BEGINNING] for text in each.values] for each in (own, there)]
                yield _symbols("beginning", cut[0], cut[1], mine.beginnings, others.beginnings)
        else:
            yield from _numbers(own, there, mine, others)


def _accepted(own: Reading, there: Reading) -> Facet:
    wrong = own.filled - own.valid
    certain = wrong >= FEWEST_WRONG and own.accepted <= 0.5 and there.accepted >= 0.9
    surprise = _CERTAIN if certain else 0.0
    return Facet(kind="accepted", own=own.accepted, other=there.accepted, surprise=surprise)


def _takes(column: Column) -> str:
    """The same for columns that take the same cells."""
    return column.model_copy(update={"name": "", "required": False}).model_dump_json()


def _distinct(key: FileColumn, other: FileColumn) -> Facet:
    certain = key.distinct <= _TWICE and other.distinct == 1 and "" not in other.texts
    return Facet(kind="distinct", own=key.distinct, other=other.distinct, surprise=_CERTAIN if certain else 0.0)


def _forms(texts: Sequence[str], mine: Stored, others: Stored) -> Facet:
    forms = [profiles.form(text) for text in texts]
    return _symbols("form", forms, forms, mine.forms, others.forms)


def _symbols(
    kind: str, own: Sequence[Hashable], there: Sequence[Hashable], mine: Vocabulary, others: Vocabulary
) -> Facet:
    surprise = profiles.surprise(set(there), mine, others)
    return Facet(kind=kind, own=_share(kind, own, mine), other=_share(kind, there, others), surprise=surprise)


def _share(kind: str, found: Sequence[Hashable], there: Vocabulary) -> float:
    """Values count once, however often they are found; a form counts by its cells."""
    if kind == "known":
        return there.known(set(found))
    return sum(symbol in there.counts for symbol in found) / len(found) if found else 0.0


def _numbers(own: Reading, there: Reading, mine: Stored, others: Stored) -> Iterator[Facet]:
    bounds = profiles.edges(mine.values, others.values)
    here, elsewhere = _binned(mine.values, bounds), _binned(others.values, bounds)
    found = profiles.binned(there.values, bounds)
    yield Facet(
        kind="range",
        own=mine.range.share(own.values),
        other=others.range.share(there.values),
        surprise=profiles.surprise(set(found), here, elsewhere),
    )
    if min(len(found), len(mine.values), len(others.values)) >= _FEWEST_FOR_SPREADS:
        yield Facet(
            kind="spread",
            own=profiles.overlap(profiles.binned(own.values, bounds), here),
            other=profiles.overlap(found, elsewhere),
            surprise=_SPREAD,
        )


def _binned(values: Sequence[float], bounds: Any) -> Vocabulary:
    return Vocabulary(Counter(profiles.binned(values, bounds)))
