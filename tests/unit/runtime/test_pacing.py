"""The size of chunks and the speed of rows."""

from hypothesis import given
from hypothesis import strategies as st

from collect.runtime.pacing import CHUNK_SECONDS, Pace, Queue
from collect.runtime.task import ChunkRows

ROWS = ChunkRows(first=2_000, fewest=2_000, most=10_000)


def test_a_chunk_that_was_too_slow_is_followed_by_a_smaller_one() -> None:
    pace = Pace(ROWS)
    pace.spent(rows=ROWS.first, seconds=CHUNK_SECONDS / 10)
    pace.spent(rows=2 * ROWS.first, seconds=4 * CHUNK_SECONDS)
    assert pace.size.rows == ROWS.first


def test_a_chunk_that_was_fast_is_followed_by_a_bigger_one() -> None:
    pace = Pace(ROWS)
    pace.spent(rows=ROWS.first, seconds=CHUNK_SECONDS / 10)
    assert pace.size.rows == 2 * ROWS.first


def test_the_last_short_chunk_of_a_part_says_nothing_about_the_size() -> None:
    pace = Pace(ROWS)
    pace.spent(rows=3, seconds=0.001)
    assert pace.size.rows == ROWS.first


@given(st.lists(st.tuples(st.integers(1, ROWS.most), st.floats(0.0001, 60)), max_size=30))
def test_the_size_stays_within_its_bounds(chunks: list[tuple[int, float]]) -> None:
    pace = Pace(ROWS)
    for rows, seconds in chunks:
        pace.spent(rows=rows, seconds=seconds)
        assert pace.owed(rows=rows, seconds=seconds) == 0.0
        assert ROWS.fewest <= pace.size.rows <= ROWS.most


@given(st.floats(0.5, 1_000_000), st.integers(1, 10_000), st.floats(0, 10))
def test_rows_and_rest_together_keep_the_limit(limit: float, rows: int, seconds: float) -> None:
    pace = Pace(ROWS)
    pace.limit(limit)
    rest = pace.owed(rows=rows, seconds=seconds)
    assert rows / max(rest + seconds, 1e-12) <= limit * 1.0001
    assert pace.size.rows >= 1


def test_lifting_the_limit_restores_the_size() -> None:
    pace = Pace(ROWS)
    pace.limit(100)
    assert pace.size.rows == 25
    pace.limit(None)
    assert pace.size.rows == ROWS.first
    assert pace.owed(rows=1, seconds=0.0) == 0.0


def test_another_job_ends_a_slice_sooner_than_parts_of_the_same_job() -> None:
    nobody = Queue(another_job=False, own_parts=False)
    own = Queue(another_job=False, own_parts=True)
    plans = Queue(another_job=False, own_parts=True, plans=True)
    another = Queue(another_job=True, own_parts=True)
    assert another.slice_seconds < plans.slice_seconds < own.slice_seconds < nobody.slice_seconds
