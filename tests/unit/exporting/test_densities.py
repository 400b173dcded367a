"""The estimate's error, on data that is as skewed as data is; and that it never reads the whole of it."""

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.exporting import densities
from collect.exporting.densities import Reached, places, stretches, total

HOUR = 3_600_000
DAY = 24 * HOUR
DAYS = 7 * 365
END = DAYS * DAY
ROWS = 300_000
WALK = 75
"""To these rows as the real one is to two million."""


class Listed:
    """Keys that are all in memory; counts how many were read."""

    def __init__(self, times: Sequence[int]) -> None:
        self.times = sorted(times)
        self.read = 0

    def ahead(self, start: int, end: int, keys: int) -> Reached | None:
        first, last = self._within(start, end, keys)
        if last - first < keys:
            return None
        at = self.times[first + keys - 1]
        return Reached(at=at, tied=first + keys < last and self.times[first + keys] == at)

    def behind(self, start: int, end: int, keys: int) -> Reached | None:
        first, last = self._within(start, end, keys)
        if last - first < keys:
            return None
        at = self.times[last - keys]
        return Reached(at=at, tied=last - keys > first and self.times[last - keys - 1] == at)

    def count(self, start: int, end: int, most: int) -> int:
        first, last = self._within(start, end, most)
        return min(most, last - first)

    def _within(self, start: int, end: int, most: int) -> tuple[int, int]:
        first, last = bisect_left(self.times, start), bisect_left(self.times, end)
        self.read += min(most, last - first)
        return first, last


Draw = Callable[[random.Random], int]


def even(rng: random.Random) -> int:
    return rng.randrange(END)


def growing(rng: random.Random) -> int:
    return int(END * rng.random() ** 0.3)


def by_day(rng: random.Random) -> int:
    return int(rng.random() ** 0.5 * DAYS) * DAY + int(rng.betavariate(4, 4) * DAY)


def office_hours(rng: random.Random) -> int:
    return (rng.randrange(DAYS // 7) * 7 + rng.choice((0, 1, 2, 3, 4, 4, 4))) * DAY + rng.randrange(8 * HOUR, 18 * HOUR)


def an_hour_a_day(rng: random.Random) -> int:
    return rng.randrange(DAYS) * DAY + rng.randrange(HOUR)


def in_the_daytime(rng: random.Random) -> int:
    return rng.randrange(DAYS) * DAY + 2 * HOUR + rng.randrange(12 * HOUR)


def the_last_year(rng: random.Random) -> int:
    return rng.randrange(END - 365 * DAY, END) if rng.random() < 0.97 else rng.randrange(END)


def the_late_months(rng: random.Random) -> int:
    """Nine tenths before the last five months of 29."""
    return int(END * (rng.random() * 0.83 if rng.random() < 0.9 else 0.83 + rng.random() * 0.17))


def campaigns(rng: random.Random) -> int:
    """Twenty weeks in seven years have nine tenths of all."""
    if rng.random() < 0.1:
        return rng.randrange(END)
    return min(END - 1, max(0, int((rng.randrange(20) + 0.37) * END / 20 + rng.gauss(0, 3) * DAY)))


def one_week(rng: random.Random) -> int:
    return int(END * 0.613) + rng.randrange(7 * DAY) if rng.random() < 0.8 else rng.randrange(END)


@pytest.mark.parametrize(
    ("draw", "error"),
    [
        (even, 0.02), (growing, 0.02), (the_late_months, 0.02), (the_last_year, 0.02), (one_week, 0.05),
        (by_day, 0.05), (an_hour_a_day, 0.10), (in_the_daytime, 0.10), (office_hours, 0.20), (campaigns, 0.25),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_the_estimate_is_about_right(draw: Draw, error: float) -> None:
    rng = random.Random(2017)
    keys = Listed([draw(rng) for _ in range(ROWS)])
    for start in (0, END // 20, END // 7):
        expected = keys.count(start, END, ROWS)
        keys.read = 0
        assert total(stretches(keys, start, END, walk=WALK)) == pytest.approx(expected, rel=error)
        assert keys.read < expected * 0.6


@pytest.mark.parametrize("rows", [100_000, 1_000_000])
def test_what_is_read_does_not_grow_with_what_there_is(rows: int) -> None:
    rng = random.Random(7)
    keys = Listed([even(rng) for _ in range(rows)])
    stretches(keys, 0, END, walk=20)
    assert keys.read < 20_000


@given(st.lists(st.integers(0, 10_000), max_size=300), st.integers(0, 5_000), st.integers(1, 6_000))
def test_what_can_be_read_in_whole_is_counted_exactly(times: list[int], start: int, length: int) -> None:
    keys = Listed(times)
    assert total(stretches(keys, start, start + length)) == sum(start <= at < start + length for at in times)


@given(st.lists(st.integers(0, 300), max_size=400))
def test_stretches_cover_the_range_once_and_in_order(times: list[int]) -> None:
    found = stretches(Listed(times), 0, 301, number=5, walk=7, refinements=9)
    assert (found[0].start, found[-1].end) == (0, 301)
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(stretch.rows >= 0 for stretch in found)


def test_many_of_one_time_do_not_stand_for_what_is_around_them() -> None:
    keys = Listed([*range(0, 1_000_000, 100), *[500_000] * 5_000])
    assert total(stretches(keys, 500_000, 1_000_000, number=4, walk=50)) == pytest.approx(10_000, rel=0.05)
    assert total(stretches(Listed([5] * 1_000), 5, 6, walk=50)) == 1_000


def test_places_lie_where_the_keys_are() -> None:
    rng = random.Random(3)
    keys = Listed([the_last_year(rng) for _ in range(50_000)])
    chosen = places(stretches(keys, 0, END, walk=WALK), 32)
    assert len(chosen) == 32
    assert chosen == sorted(chosen)
    shares = [keys.count(0, at, 50_000) / 50_000 for at in chosen]
    assert shares == pytest.approx([(n + 0.5) / 32 for n in range(32)], abs=0.03)
    assert places(stretches(Listed([]), 0, END), 32) == []


def test_what_is_really_read_is_a_part_of_what_needs_an_estimate() -> None:
    walks = 2 * (densities.STRETCHES + 2 * densities.REFINEMENTS)
    assert densities.KEYS * (walks + densities.WINDOW_WALKS * densities.WINDOWS) < 500_000
