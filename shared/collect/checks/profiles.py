"""Profiles of a column's values, and how well other values fit them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from collect.csv import cells
from collect.csv.unseen import shows_nothing
from collect.jobs.template import NUMERIC, TEMPORAL, Column, ColumnType

BINS = 20
PHONE_BEGINNING = 6
_MOST_WORDS = 4
_OUTLIERS = 0.005
_MARGIN = 0.02
_RUNS = re.compile(r"[0-9]+|[^\W\d_]+|\s+|.", re.DOTALL)


class Family(Enum):
    """A family of types. Only values of the same family can be compared with one another."""

    TEXT = auto()
    NUMBER = auto()
    MOMENT = auto()


def family(column: Column) -> Family:
    """Return the family of a column's values."""
    if column.type in NUMERIC:
        return Family.NUMBER
    return Family.MOMENT if column.type in TEMPORAL else Family.TEXT


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Cells that were read as those of a column.

    ``filled``: how many are not empty. ``valid``: how many of these the column takes. ``values``: the valid ones:
    numbers and moments (in milliseconds) as floats, all others as text.
    """

    filled: int
    valid: int
    values: Sequence[Any]

    @property
    def accepted(self) -> float:
        """The share of the filled cells that the column takes."""
        return self.valid / self.filled if self.filled else 1.0


def read(column: Column, texts: Sequence[str]) -> Reading:
    """Read ``texts`` as cells of ``column``, by its type, pattern, range and values."""
    filled = [text for text in texts if text not in column.null_values and not shows_nothing(text)]
    if not filled:
        return Reading(filled=0, valid=0, values=())
    checked = cells.check(column, pa.array(filled, pa.string()), required=False)
    wrong = {index for index, _ in checked.errors}
    kept = [index for index in range(len(filled)) if index not in wrong] if wrong else None
    values = checked.values if kept is None else checked.values.take(pa.array(kept, pa.int64()))
    if family(column) is Family.MOMENT:
        values = values.cast(pa.int64())
    found = values.to_pylist()
    if column.type is ColumnType.BOOLEAN:
        found = [str(value).lower() for value in found]
    elif family(column) is not Family.TEXT:
        found = [float(value) for value in found]
    return Reading(filled=len(filled), valid=len(found), values=found)


def comparable(column: Column, stored: Iterable[Any]) -> list[Any]:
    """Return stored values in the form in which :func:`read` returns the values of a file.

    Values of another type are left out: they were stored when the dataset had an older template.
    """
    match family(column):
        case Family.NUMBER:
            return [float(value) for value in stored if isinstance(value, int | float) and not isinstance(value, bool)]
        case Family.MOMENT:
            return [_milliseconds(value) for value in stored if isinstance(value, datetime)]
        case Family.TEXT:
            if column.type is ColumnType.BOOLEAN:
                return [str(value).lower() for value in stored if isinstance(value, bool)]
            return [value for value in stored if isinstance(value, str)]


def written(value: Any) -> str:
    """Return a stored value as the text that a file would have."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        text = value.strftime("%Y-%m-%dT%H:%M:%SZ")
        return text.removesuffix("T00:00:00Z")
    return str(value)


@lru_cache(maxsize=100_000)
def form(text: str) -> str:
    """Return how a text is written: ``Aa Aa`` for ``Bodh Gaya``, ``R9{8}`` for ``R00000017``.

    A word becomes ``a``, ``Aa`` or ``AA``. Digits become their number. In a text with digits, up to three letters
    together stay as they are, since they belong to a code.
    """
    runs = _RUNS.findall(text[:200])
    has_digits = any(run.isdecimal() for run in runs)
    told = [_form_of_run(run, has_digits=has_digits) for run in runs]
    return "".join(told[: 2 * _MOST_WORDS])


def _form_of_run(run: str, *, has_digits: bool) -> str:
    if run.isdecimal():
        return f"9{{{len(run)}}}"
    if not run.isalpha():
        return " " if run.isspace() else run
    if has_digits and len(run) <= 3:
        return run
    if len(run) > 1 and run.isupper():
        return "AA"
    return "Aa" if run[0].isupper() else "a"


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of a column (values, forms or bins), and how often each was seen."""

    counts: Counter[Hashable]

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def unseen(self) -> float:
        """The chance that the next symbol is a new one: the share of symbols that were seen once (Good and Turing)."""
        once = sum(count == 1 for count in self.counts.values())
        return (once + 1) / (self.total + 2)

    def known(self, symbols: Collection[Hashable]) -> float:
        """Return the share of the distinct ``symbols`` that this vocabulary has."""
        return sum(symbol in self.counts for symbol in symbols) / len(symbols) if symbols else 0.0


def surprise(found: Collection[Hashable], own: Vocabulary, other: Vocabulary) -> float:
    """Return how surprising it is to find the symbols ``found`` in the column of ``own``, as -log10 of a chance.

    Each distinct symbol is one draw. It is a surprise when only ``other`` has it. The chance of that is the product of
    two: the chance that a symbol is new to ``own`` (see :attr:`Vocabulary.unseen`), and the chance that ``other`` has
    it (the share of symbols that both columns have). The result is Chernoff's bound, so the true chance is smaller.
    """
    strange = sum(symbol in other.counts and symbol not in own.counts for symbol in found)
    draws = strange + sum(symbol in own.counts for symbol in found)
    if not strange:
        return 0.0
    common = len(own.counts.keys() & other.counts.keys())
    shared = min(0.5, (common + 0.5) / (len(own.counts) + 1))
    chance = own.unseen * shared
    share = strange / draws
    if share <= chance:
        return 0.0
    divergence = share * math.log(share / chance)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - chance))
    return draws * divergence / math.log(10)


@dataclass(frozen=True)
class Range:
    """The usual range of numbers: without the outermost 0.5 % at each end, plus a small margin."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Range:
        low, high = np.quantile(np.asarray(values), (_OUTLIERS, 1 - _OUTLIERS))
        room = _MARGIN * (high - low)
        return cls(float(low - room), float(high + room))

    def share(self, values: Sequence[float]) -> float:
        """Return the share of ``values`` within the range."""
        found = np.asarray(values)
        return float(np.mean((found >= self.low) & (found <= self.high))) if len(found) else 0.0


def edges(one: Sequence[float], other: Sequence[float]) -> np.ndarray[Any, Any]:
    """Return bounds of bins for the values of two columns: the quantiles of both, so no bin has most of the values."""
    steps = np.linspace(0, 1, BINS + 1)
    return np.unique(np.concatenate([np.quantile(np.asarray(one), steps), np.quantile(np.asarray(other), steps)]))


def binned(values: Sequence[float], bounds: np.ndarray[Any, Any]) -> list[int]:
    """Return the bin of each value. There is one more bin below the lowest bound, and one above the highest."""
    found: list[int] = np.searchsorted(bounds, np.asarray(values, dtype=float), side="left").tolist()
    return found


def overlap(one: Iterable[Hashable], other: Vocabulary) -> float:
    """Return how much two distributions have in common: 1 if they are equal, 0 if they have no symbol in common."""
    counts = Counter(one)
    total, there = counts.total(), other.total
    if not total or not there:
        return 0.0
    return sum(min(count / total, other.counts[symbol] / there) for symbol, count in counts.items())


def _milliseconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
