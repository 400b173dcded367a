"""How many keys lie in a range of time, judged from a few places in it: known where it was looked, drawn between.

Times are whole milliseconds. Each place is read in both directions as far as a fixed number of keys; what lies between
two places is taken to be as dense as its two ends. Where the ends disagree most it is looked again, in the middle, so
that sparse years cost little and a burst is found at its edges. What is shorter than a gap and lies in its midst is not
seen at all: this is an estimate.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

STRETCHES = 96
"""Into so many stretches the range is cut at first."""
KEYS = 500
"""So many keys are read from each cut on, and back from it."""
REFINEMENTS = 48
WINDOWS = 256
WINDOW_WALKS = 2
"""So many windows of what was only drawn are counted at last, each as wide as two walks were if it was drawn well."""
MOST_TIMES = 50
"""One window speaks for as many others; so it says at most that there are so many times as many as was thought."""
MOST_TIED = 250_000
"""So many keys of one and the same time are counted; a bulk import may have given a million responses one time."""
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, kw_only=True)
class Reached:
    """Where a walk over keys has ended. ``tied``: the key after it has the same time."""

    at: int
    tied: bool


class Keys(Protocol):
    """Keys in order of time. Ranges include their start and exclude their end."""

    def ahead(self, start: int, end: int, keys: int) -> Reached | None:
        """Where key number ``keys`` from the start lies; nothing, when there are fewer."""

    def behind(self, start: int, end: int, keys: int) -> Reached | None:
        """Where key number ``keys`` back from the end lies; nothing, when there are fewer."""

    def count(self, start: int, end: int, most: int) -> int:
        """How many there are, counted up to ``most``."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A range with the number of keys in it, counted or judged."""

    start: int
    end: int
    rows: float


@dataclass(frozen=True, kw_only=True)
class _Gap:
    """A range that has been seen from its two ends alone."""

    start: int
    end: int
    densities: tuple[float, ...]

    @property
    def rows(self) -> float:
        return (self.end - self.start) * sum(self.densities) / max(1, len(self.densities))

    @property
    def doubt(self) -> float:
        """By how many keys its ends disagree about it; nothing is known of one that cannot be cut."""
        if self.end - self.start < 2:
            return 0.0
        if len(self.densities) < 2:
            return max(self.rows, 1.0)
        return (self.end - self.start) * (max(self.densities) - min(self.densities))


def stretches(
    keys: Keys,
    start: int,
    end: int,
    *,
    number: int = STRETCHES,
    walk: int = KEYS,
    refinements: int = REFINEMENTS,
) -> list[Stretch]:
    """The range in stretches, in order. Reads some hundred times ``walk`` keys at most, however many there are."""
    survey = _Survey(keys=keys, walk=walk)
    for cut in pairwise(_cuts(start, end, number)):
        survey.look(*cut)
    for _ in range(refinements):
        gap = survey.doubted()
        if gap is None:
            break
        middle = (gap.start + gap.end) // 2
        survey.look(gap.start, middle)
        survey.look(middle, gap.end)
    return survey.stretches(survey.correction())


def total(found: Iterable[Stretch]) -> int:
    """Their keys together."""
    return round(sum(stretch.rows for stretch in found))


def places(found: Sequence[Stretch], number: int) -> list[int]:
    """So many times with about as many keys between each two of them, the first in the middle of its share."""
    return [int(one.start + share * (one.end - one.start)) for one, share in _spread(found, number)]


def _spread(found: Sequence[Stretch], number: int) -> Iterator[tuple[Stretch, float]]:
    """Places with about as many keys between each two: in which stretch, and how much of the way along it."""
    each = sum(stretch.rows for stretch in found) / number
    before, following = 0.0, each / 2
    for stretch in found:
        while each and following < before + stretch.rows:
            yield stretch, (following - before) / stretch.rows
            following += each
        before += stretch.rows


def _cuts(start: int, end: int, number: int) -> list[int]:
    """Evenly spaced, but for a wobble: with exact days between them, each would look at the same hour."""
    inner = (start + (end - start) * (n + (n * GOLDEN % 1 - 0.5) / 2) / number for n in range(1, number))
    return sorted({start, *(int(cut) for cut in inner), end})


@dataclass(kw_only=True)
class _Survey:
    """What has been seen so far."""

    keys: Keys
    walk: int
    known: list[Stretch] = field(default_factory=list)
    gaps: list[tuple[float, int, _Gap]] = field(default_factory=list)

    def look(self, start: int, end: int) -> None:
        """Read the range from its two ends: what was read is known, what lies between is a gap."""
        if start >= end:
            return
        ahead = self.keys.ahead(start, end, self.walk)
        behind = self.keys.behind(start, end, self.walk) if ahead else None
        if ahead is None or behind is None or behind.at <= ahead.at:
            self._know(start, end, counted=True)
            return
        head, tail = ahead.at + 1, behind.at
        self._know(start, head, counted=ahead.tied)
        self._know(tail, end, counted=behind.tied)
        if head < tail:
            first = self._density(start, ahead.at if ahead.tied else head, counted=ahead.tied)
            last = self._density(tail + 1 if behind.tied else tail, end, counted=behind.tied)
            gap = _Gap(start=head, end=tail, densities=(*first, *last))
            heapq.heappush(self.gaps, (-gap.doubt, gap.start, gap))

    def doubted(self) -> _Gap | None:
        """The gap about which its ends disagree most, taken out."""
        return heapq.heappop(self.gaps)[2] if self.gaps and self.gaps[0][0] else None

    def correction(self) -> float:
        """How many times as many there are in the gaps as was thought, from windows spread over them accordingly.

        A walk over keys begins at any time and ends at a busy one; a window of time is not drawn to either.
        """
        gaps = sorted((gap for _, _, gap in self.gaps), key=lambda gap: gap.start)
        drawn = [Stretch(start=gap.start, end=gap.end, rows=gap.rows) for gap in gaps]
        found = [self._window(*chosen) for chosen in _spread(drawn, WINDOWS)]
        return sum(found) / len(found) if found else 1.0

    def _window(self, gap: Stretch, share: float) -> float:
        """How many times as many as was thought there are in a window, that much of the way along the gap."""
        length = gap.end - gap.start
        wide = max(1, min(length, round(length * WINDOW_WALKS * self.walk / gap.rows)))
        start, thought = gap.start + int(share * (length - wide)), gap.rows * wide / length
        return self.keys.count(start, start + wide, int(MOST_TIMES * thought) + 1) / thought

    def stretches(self, correction: float) -> list[Stretch]:
        drawn = (Stretch(start=gap.start, end=gap.end, rows=gap.rows * correction) for _, _, gap in self.gaps)
        return sorted((*self.known, *drawn), key=lambda stretch: stretch.start)

    def _know(self, start: int, end: int, *, counted: bool) -> None:
        rows = self.keys.count(start, end, MOST_TIED) if counted else self.walk
        self.known.append(Stretch(start=start, end=end, rows=rows))

    def _density(self, start: int, end: int, *, counted: bool) -> tuple[float, ...]:
        """Keys a millisecond, without those of one time on which a walk has ended: they say nothing of what follows."""
        if start >= end:
            return ()
        return ((self.keys.count(start, end, self.walk) if counted else self.walk) / (end - start),)
