"""Cores that are shared alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.stations import Clock, Station


def ends(station: Station, works: list[tuple[float, float]]) -> list[float]:
    """When works of so many seconds, begun at their times, are done."""
    clock, done = Clock([station]), [0.0] * len(works)

    def begin(n: int) -> None:
        station.begin(clock.now, seconds=works[n][1], then=lambda: done.__setitem__(n, clock.now))

    for n, (at, _) in enumerate(works):
        clock.after(at, lambda n=n: begin(n))  # type: ignore[misc]
    clock.run(until=lambda: all(done), seconds=1e9)
    return done


def test_one_work_takes_its_time_however_many_cores_there_are() -> None:
    assert ends(Station(cores=8), [(1.0, 2.0)]) == [3.0]


def test_two_on_one_core_take_twice_as_long() -> None:
    assert ends(Station(cores=1), [(0.0, 1.0), (0.0, 1.0)]) == [2.0, 2.0]


def test_one_that_comes_later_slows_the_other_down_from_then_on() -> None:
    assert ends(Station(cores=1), [(0.0, 2.0), (1.0, 0.5)]) == pytest.approx([2.5, 2.0])


def test_contention_slows_all_of_them() -> None:
    assert ends(Station(cores=2, contention=0.5), [(0.0, 1.0), (0.0, 1.0)]) == pytest.approx([1.5, 1.5])


@given(
    st.floats(0.5, 4),
    st.lists(st.tuples(st.floats(0, 10), st.floats(0.01, 5)), min_size=1, max_size=12),
)
def test_cores_do_all_the_work_and_no_more_than_they_can(cores: float, works: list[tuple[float, float]]) -> None:
    station = Station(cores=cores)
    done = ends(station, works)
    asked = sum(seconds for _, seconds in works)
    fewest = max(asked / cores, max(seconds for _, seconds in works))
    assert max(done) - min(at for at, _ in works) >= fewest - 1e-6
    assert all(end - at >= seconds - 1e-6 for end, (at, seconds) in zip(done, works, strict=True))
    if cores >= len(works):
        assert station.busy_seconds == pytest.approx(asked)
