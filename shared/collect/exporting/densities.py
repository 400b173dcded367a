"""The estimate of how many keys are in a range of time, from samples at a few times.

Times are whole milliseconds. At each sampled time a fixed number of keys is read in both directions. The gap between
two samples is taken to be as dense as its two ends. The gap whose ends differ most is sampled again in its middle, so
sparse years cost little, and a burst is found by its edges. A burst within a gap, away from its ends, is not seen.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

STRETCHES = 96
"""Stretches into which the range is cut at first."""
KEYS = 500
"""Keys that are read from each cut forward, and from each cut back."""
REFINEMENTS = 48
WINDOWS = 256
WINDOW_WALKS = 2
"""Windows within the gaps (:data:`WINDOWS`) are counted at the end, to correct the estimate. Each is as wide as this
many walks over keys would be if the estimate were right."""
MOST_TIMES = 50
"""Largest correction that a window may give: its count divided by its estimate. A window stands for a large part of the
range, so one burst must not count too much."""
MOST_TIED = 250_000
"""Most keys of a single time that are counted. After a bulk import a million responses may have the same time."""
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, kw_only=True)
class Reached:
    """The time at which a walk over keys has ended. ``tied``: the next key has the same time."""

    at: int
    tied: bool


class Keys(Protocol):
    """Keys in order of time. Ranges include their start and exclude their end."""

    def ahead(self, start: int, end: int, keys: int) -> Reached | None:
        """Return where key number ``keys`` from the start is; ``None`` if there are fewer."""

    def behind(self, start: int, end: int, keys: int) -> Reached | None:
        """Return where key number ``keys`` back from the end is; ``None`` if there are fewer."""

    def count(self, start: int, end: int, most: int) -> int:
        """Return how many keys there are. The count stops at ``most``."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A range with the number of keys in it, counted or estimated."""

    start: int
    end: int
    rows: float


@dataclass(frozen=True, kw_only=True)
class _Gap:
    """A range between two samples. Its keys are not read; ``densities``: keys a millisecond at its ends."""

    start: int
    end: int
    densities: tuple[float, ...]

    @property
    def rows(self) -> float:
        return (self.end - self.start) * sum(self.densities) / max(1, len(self.densities))

    @property
    def doubt(self) -> float:
        """By how many keys the estimates from its two ends differ; 0 if it is too short to be cut."""
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
    """Return the range in stretches, in order. It reads at most some hundred times ``walk`` keys, in any range."""
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
    """Return the number of keys in all stretches."""
    return round(sum(stretch.rows for stretch in found))


def places(found: Sequence[Stretch], number: int) -> list[int]:
    """Return ``number`` times with about equally many keys between them. The first is in the middle of its share."""
    return [int(one.start + share * (one.end - one.start)) for one, share in _spread(found, number)]


def _spread(found: Sequence[Stretch], number: int) -> Iterator[tuple[Stretch, float]]:
    """Yield ``number`` places with about equally many keys between them: the stretch, and how far along it, 0 to 1."""
    each = sum(stretch.rows for stretch in found) / number
    before, following = 0.0, each / 2
    for stretch in found:
        while each and following < before + stretch.rows:
            yield stretch, (following - before) / stretch.rows
            following += each
        before += stretch.rows


def _cuts(start: int, end: int, number: int) -> list[int]:
    """Return the times of the cuts: evenly spaced, with a small irregular offset.

    Without the offset, cuts that are whole days apart would all be at the same hour of the day.
    """
    inner = (start + (end - start) * (n + (n * GOLDEN % 1 - 0.5) / 2) / number for n in range(1, number))
    return sorted({start, *(int(cut) for cut in inner), end})


@dataclass(kw_only=True)
class _Survey:
    """The stretches that were read so far, and the gaps between them, as a heap with the largest doubt first."""

    keys: Keys
    walk: int
    known: list[Stretch] = field(default_factory=list)
    gaps: list[tuple[float, int, _Gap]] = field(default_factory=list)

    def look(self, start: int, end: int) -> None:
        """Read the range from its two ends. The parts that were read become known; the rest is a gap."""
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
        """Remove and return the gap with the largest doubt; ``None`` if no gap is in doubt."""
        return heapq.heappop(self.gaps)[2] if self.gaps and self.gaps[0][0] else None

    def correction(self) -> float:
        """Return the factor from the estimated to the true number of keys in the gaps, from windows that are counted.

        It is needed since a walk over keys is biased: it ends at a key, so more often at a busy time. A window of time
        has no such bias. The windows are spread over the gaps by the estimated number of keys.
        """
        gaps = sorted((gap for _, _, gap in self.gaps), key=lambda gap: gap.start)
        drawn = [Stretch(start=gap.start, end=gap.end, rows=gap.rows) for gap in gaps]
        found = [self._window(*chosen) for chosen in _spread(drawn, WINDOWS)]
        return sum(found) / len(found) if found else 1.0

    def _window(self, gap: Stretch, share: float) -> float:
        """Return the counted keys of one window divided by the estimate. ``share``: its place along the gap, 0 to 1."""
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
        """Return the keys a millisecond of a range; empty if the range is.

        The caller leaves out a time with several keys at which a walk has ended: it tells nothing about the gap.
        """
        if start >= end:
            return ()
        return ((self.keys.count(start, end, self.walk) if counted else self.walk) / (end - start),)
