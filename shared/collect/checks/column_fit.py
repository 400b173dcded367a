"""Measures of how well a column's cells fit their own column and another one. Each measure is called a facet."""

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
"""Fewest stored values that a column needs to be compared with them."""
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
    """A column of the file, with sampled cells.

    ``header``: its name in ``column_map``. ``column``: the column of the template that it is mapped to. ``texts``: the
    sampled cells, in the order of the rows. ``is_key``: this column alone is the key, so no two rows may have the same
    cell.
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
        """At most 300 of the cells that are not empty, spread evenly over all of them."""
        filled = [text for text in self.texts if text]
        return filled[:: max(1, len(filled) // _SOME)][:_SOME]

    @cached_property
    def distinct(self) -> float:
        """The share of distinct texts among the cells that are not empty."""
        filled = [text for text in self.texts if text]
        return len(set(filled)) / len(filled) if filled else 1.0


@dataclass(frozen=True, kw_only=True)
class Facet:
    """One measure of how well a column's cells fit their own column and another one.

    ``own``, ``other``: the fit to each, from 0 to 1. ``surprise``: -log10 of the chance that cells in the right column
    look so. Values of ``kind``:

    - ``accepted``: the share of cells that the template of the column takes.
    - ``distinct``: the share of distinct cells in the key column, and in the column that would take its place.
    - ``known``: the share of values that are stored in the column.
    - ``form``, ``beginning``: the share of cells that are written, or begin, as the stored values do.
    - ``range``: the share of numbers in the usual range of the stored ones.
    - ``spread``: how much the distribution of the numbers has in common with that of the stored ones.
    """

    kind: str
    own: float
    other: float
    surprise: float

    @property
    def is_shown(self) -> bool:
        """Whether the cells fit the other column and not their own."""
        match self.kind:
            case "accepted" | "distinct":
                return self.surprise > 0
            case "spread":
                return self.other >= 0.6 and self.own <= 0.3
        return self.other >= 0.5 and self.own <= self.other - 0.4 and self.surprise > 0

    @property
    def speaks_against(self) -> bool:
        """Whether the cells fit their own column better than the other one, so that the two are not exchanged."""
        if self.kind == "accepted":
            return self.other < 0.8
        if self.kind == "distinct":
            return self.other < self.own
        return self.kind != "spread" and self.own >= 0.6 and self.own >= self.other + 0.3


class Stored:
    """The stored values of a column. It is true when there are enough of them to compare with."""

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
    """Compares the columns of a file with the stored values of the dataset. Keeps the cells that it has read."""

    def __init__(self, columns: Sequence[FileColumn], stored: Mapping[str, Sequence[Any]]) -> None:
        self._stored = {each.name: Stored(each.column, stored.get(each.name, ())) for each in columns}
        self._readings: dict[tuple[str, str], Reading] = {}
        self._takes = {each.name: _takes(each.column) for each in columns}

    def stored(self, column: Column) -> Stored:
        return self._stored[column.name]

    def reading(self, cells: FileColumn, column: Column) -> Reading:
        """Return the cells read as those of ``column``.

        All cells are read for their own column. For any other column a sample is read, since there are many others.
        """
        takes = self._takes[column.name]
        found = self._readings.get((cells.name, takes))
        if found is None:
            texts = cells.texts if column.name == cells.name else cells.some
            found = self._readings[cells.name, takes] = profiles.read(column, texts)
        return found

    def of(self, cells: FileColumn, other: FileColumn) -> list[Facet]:
        """Return all facets of one direction: how the cells fit their own column, and how they fit ``other``."""
        own, there = self.reading(cells, cells.column), self.reading(cells, other.column)
        facets = [_accepted(own, there)]
        if cells.is_key and own.filled >= _FEWEST_KEYS:
            facets.append(_distinct(cells, other))
        mine, others = self.stored(cells.column), self.stored(other.column)
        if mine and others and own.filled >= FEWEST_CELLS:
            facets += list(self._by_stored(cells, own, there, mine, others))
        return facets

    def is_odd(self, cells: FileColumn) -> bool:
        """Return whether the cells may be in the wrong column. No other column is looked at."""
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
    """Return the column's rules as text. Two columns that take the same cells have the same text."""
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
    """Return the share of ``found`` that ``there`` has. A value counts once; a form counts once for each cell."""
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
