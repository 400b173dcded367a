"""The arithmetic of bench/capacity, beside sums that are written out here."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity import arithmetic
from capacity.arithmetic import Load, longest_wait, needs, parts_out, rate
from capacity.tables import TABLES, number

ROOT = Path(__file__).resolve().parents[3]
loads = st.builds(
    Load,
    name=st.just("load"),
    uploads=st.integers(0, 1_000),
    upload_rows=st.integers(1, 1_000_000),
    exports=st.integers(0, 1_000),
    export_rows=st.integers(1, 1_000_000),
    hours=st.floats(1, 24),
    peak=st.floats(1, 10),
)


def test_a_day_of_uploads_costs_its_rows_and_its_jobs() -> None:
    day = needs(Load(name="day", uploads=200, upload_rows=100_000, hours=8))
    assert day["rows/s at the peak"] == pytest.approx(20e6 * 3 / 28_800)
    assert day["primary, core-hours a day"] == pytest.approx((20e6 * 11.8e-6 + 200 * 32.5e-3) / 3_600)
    assert day["slots, core-hours a day"] == pytest.approx((20e6 * 5.5e-6 + 200 * 24e-3) / 3_600)
    assert day["database, GB a day, if every row is new"] == pytest.approx(20e6 * 199 / 1e9)


def test_slots_are_busy_for_no_more_than_their_share_at_the_peak() -> None:
    ten = needs(Load(name="exports", exports=10_000, export_rows=2_000_000))
    by_hand = 20e9 * 3 / 86_400 * (13.5e-6 + 0.5 / 300_000) / 0.7
    assert ten["slots"] == 16
    assert 15 < by_hand < 16


@given(loads, st.integers(1, 1_000))
def test_amounts_grow_with_the_number_of_jobs(load: Load, factor: int) -> None:
    once, often = needs(load), needs(load.times(factor))
    assert often.pop("slots") >= once.pop("slots") >= arithmetic.LEAST_SLOTS
    assert often == pytest.approx({name: amount * factor for name, amount in once.items()})


@given(st.integers(1, 64), st.integers(1, 64))
def test_slots_never_upload_faster_than_the_slots_or_the_primary_can(slots: int, cores: int) -> None:
    assert rate(slots, cores=cores) <= min(slots * arithmetic.slot_rows("UPLOAD"), cores / 11.8e-6)


def test_a_small_job_waits_for_a_round_of_the_parts_before_it() -> None:
    out = parts_out(16, slots=2)
    assert out == 32
    turn = 1 + 10_000 * 9.5e-6 / 2
    expected = 30 / 2 * turn + turn + 0.1
    assert longest_wait(out, slots=2, kind="UPLOAD", chunk_rows=10_000) == pytest.approx(expected)


def test_a_file_takes_its_rows_and_a_change_for_each_part_its_plan_and_its_end() -> None:
    four_parts, rows = 6 * 0.1, 100_000
    assert arithmetic.upload_seconds(rows) == pytest.approx(rows * (9.5e-6 + 0.1 * 154 / 2**26) + four_parts)


@given(st.integers(1, 50), st.integers(1, 50))
def test_more_slots_or_fewer_parts_never_lengthen_the_wait(jobs: int, slots: int) -> None:
    def wait(out: int, slots: int) -> float:
        return longest_wait(out, slots=slots, kind="EXPORT", chunk_rows=25_000)

    out = parts_out(jobs, slots=slots)
    assert out >= max(jobs, slots)
    assert wait(out, slots + 1) <= wait(out, slots) <= wait(out + 1, slots)
    assert wait(parts_out(jobs, slots=slots, spare=0), slots) <= wait(out, slots)


@pytest.mark.parametrize(
    ("amount", "text"), [(1_359_322, "1,360,000"), (999_950, "1,000,000"), (1_505, "1,500"), (58.14, "58.1"), (0, "0")]
)
def test_a_number_has_three_digits(amount: float, text: str) -> None:
    assert number(amount) == text


def run(*names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "capacity", *names]
    return subprocess.run(command, cwd=ROOT / "bench", capture_output=True, text=True, check=False)


def test_the_command_prints_the_tables_that_are_named() -> None:
    printed = run("waits", "a million rows")
    assert printed.stdout == f"waits\n\n{TABLES['waits']()}\n\na million rows\n\n{TABLES['a million rows']()}\n\n"


def test_the_command_lists_the_tables_when_there_is_none_of_a_name() -> None:
    failed = run("weights")
    assert failed.returncode == 1
    assert "no such table: weights; the tables are a million rows, limits" in failed.stderr
