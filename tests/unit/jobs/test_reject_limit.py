"""How many rejects a job may have, and how much of a chunk keeps to that."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.errors import FieldError
from collect.jobs.model import MaxRejected
from collect.jobs.outcomes import Reject
from collect.protocol.reject_limit import rows_kept

MOST_ROWS = 60


def rejects(rows: list[int]) -> tuple[Reject, ...]:
    error = FieldError("n", "not_an_integer", "It is no whole number.")
    return tuple(Reject(row=row, line="", errors=(error,)) for row in rows)


@pytest.mark.parametrize(
    ("limit", "total", "allowed"),
    [
        (MaxRejected(rows=0), 1000, 0),
        (MaxRejected(rows=10), 5, 10),
        (MaxRejected(percent=0.07), 10_000, 7),
        (MaxRejected(percent=10.0), 25, 2),
        (MaxRejected(percent=0.0), 25, 0),
        (MaxRejected(percent=100.0), 25, 25),
        (MaxRejected(), 25, 25),
    ],
)
def test_a_share_of_the_rows_is_rounded_down(limit: MaxRejected, total: int, allowed: int) -> None:
    assert limit.limit(total) == allowed


@given(percent=st.floats(0, 100), total=st.integers(0, 10**9))
def test_a_share_is_exact_whatever_floats_make_of_it(percent: float, total: int) -> None:
    allowed = MaxRejected(percent=percent).limit(total)
    assert allowed <= Decimal(repr(percent)) * total / 100 < allowed + 1


def committed(bad: list[bool], *, limit: int, at_work: int, chunk_rows: int) -> tuple[int, int]:
    """How many rows one part has committed when it is done or over the limit, and how many were rejected."""
    done = rejected = 0
    most = chunk_rows
    while done < len(bad) and rejected <= limit:
        numbers = range(done + 1, done + 1 + min(most, len(bad) - done))
        wrong = [number for number in numbers if bad[number - 1]]
        kept = rows_kept(
            numbers, rejects(wrong), rows=len(numbers), rejected=len(wrong), left=limit - rejected, at_work=at_work
        )
        assert 1 <= kept <= len(numbers)
        if wrong and kept < len(numbers):
            most = kept
            continue
        done, rejected, most = done + len(numbers), rejected + len(wrong), chunk_rows
    return done, rejected


@given(
    bad=st.lists(st.booleans(), max_size=MOST_ROWS),
    limit=st.integers(0, 12),
    at_work=st.integers(1, 4),
    chunk_rows=st.integers(1, MOST_ROWS),
)
def test_a_part_ends_with_the_first_reject_above_the_limit_whatever_its_chunks_are(
    bad: list[bool], limit: int, at_work: int, chunk_rows: int
) -> None:
    done, rejected = committed(bad, limit=limit, at_work=at_work, chunk_rows=chunk_rows)
    places = [place for place, is_bad in enumerate(bad, start=1) if is_bad]
    if len(places) <= limit:
        assert (done, rejected) == (len(bad), len(places))
    else:
        assert (done, rejected) == (places[limit], limit + 1)


@given(
    left=st.integers(0, 500),
    at_work=st.integers(1, 8),
    chunks=st.lists(st.lists(st.booleans(), min_size=1, max_size=80), min_size=1, max_size=8),
)
def test_chunks_that_are_committed_side_by_side_pass_the_limit_by_at_most_one_reject_each(
    left: int, at_work: int, chunks: list[list[bool]]
) -> None:
    chunks = chunks[:at_work]
    total = 0
    for bad in chunks:
        numbers = range(1, 1 + len(bad))
        wrong = [number for number in numbers if bad[number - 1]]
        kept = rows_kept(
            numbers, rejects(wrong), rows=len(bad), rejected=len(wrong), left=left, at_work=at_work
        ) if wrong else len(bad)  # fmt: skip
        total += sum(bad[:kept])
    assert total <= left + at_work


def test_rows_that_others_have_displaced_make_the_chunk_smaller_too() -> None:
    assert rows_kept(range(1, 9), rejects([100, 101, 102]), rows=8, rejected=3, left=1, at_work=1) == 4
    assert rows_kept(range(1, 2), rejects([100, 101, 102]), rows=1, rejected=3, left=1, at_work=1) == 1
