"""How far a job is, and the sentence that says so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.jobs.model import Actor, Counts, Job, MaxRejected, Part, PartStatus, Phase, Reason, Rest
from collect.jobs.progress import progress, summed
from collect.jobs.states import State
from collect.jobs.status_text import status_sentence

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def job(state: State = State.RUNNING, **fields: Any) -> Job:
    fields = {"total_rows": 1000, "started_at": NOW - timedelta(seconds=10), **fields}
    return Job(
        id="j", org_id="labs", kind="upload", params={}, state=state, created_at=NOW,
        created_by=Actor(id="k", name="K"), **fields,
    )  # fmt: skip


def part(n: int = 1, phase: Phase = Phase.RUN, **counts: int) -> Part:
    return Part(
        id=f"j:{n}", job_id="j", org_id="labs", kind="upload", n=n, phase=phase, status=PartStatus.IDLE,
        counts=Counts(**counts),
    )  # fmt: skip


def sentence(of: Job, *parts: Part, **options: Any) -> str:
    return status_sentence(of, progress(of, summed(parts), NOW), **options)


def test_progress_is_summed_from_the_parts() -> None:
    found = progress(job(), summed([part(succeeded=150, rejected=10), part(2, succeeded=50)]), NOW)
    assert (found.done, found.succeeded, found.rejected, found.total) == (210, 200, 10, 1000)
    assert found.percent == 21.0
    assert found.rows_per_second == 21.0
    assert found.seconds_left == pytest.approx(790 / 21, abs=0.1)


def test_a_row_that_is_displaced_changes_its_outcome_and_not_the_progress() -> None:
    before = [part(succeeded=10)]
    after = [part(succeeded=10), part(2, succeeded=-1, rejected=1)]
    assert summed(before).done == summed(after).done


def test_the_total_is_unknown_while_planning() -> None:
    found = progress(job(total_rows=None), summed([part(0, Phase.PLAN)]), NOW)
    assert (found.total, found.percent, found.seconds_left) == (None, 0.0, None)


@given(
    total=st.integers(0, 50), succeeded=st.integers(0, 60), rejected=st.integers(0, 60), left_out=st.integers(-60, 60)
)
def test_nothing_is_more_than_whole_however_much_comes_or_goes_meanwhile(
    total: int, succeeded: int, rejected: int, left_out: int
) -> None:
    found = progress(job(total_rows=total), Counts(succeeded=succeeded, rejected=rejected, left_out=left_out), NOW)
    assert found.total is not None
    assert found.total >= found.done
    assert 0.0 <= found.percent <= 100.0
    assert found.seconds_left is None or found.seconds_left >= 0.0


def test_an_empty_file_is_complete() -> None:
    assert progress(job(State.SUCCEEDED, total_rows=0), summed([]), NOW).percent == 100.0


@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_only_a_running_job_has_a_rate_and_a_time_left(state: State) -> None:
    found = progress(job(state), summed([part(succeeded=100)]), NOW)
    assert found.rows_per_second == 0.0
    assert found.seconds_left is None


def test_a_live_rate_is_taken_before_the_average() -> None:
    assert progress(job(), summed([part(succeeded=500)]), NOW, rows_per_second=100.0).seconds_left == 5.0


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_sentence_for_people(state: State) -> None:
    said = sentence(job(state), part(succeeded=5, rejected=1, undone=2))
    assert said[0].isupper()
    assert said.endswith(".")
    assert "_" not in said


def test_sentences_say_what_one_wants_to_know() -> None:
    assert sentence(job(total_rows=None)) == "Running: finding its parts."
    planning = sentence(job(total_rows=None), part(succeeded=1200, rejected=3))
    assert planning == "Running: 1,200 rows written, 3 rejected so far; still finding its parts."
    assert "1,200 of 5,000 rows written, 3 rejected" in sentence(job(total_rows=5000), part(succeeded=1200, rejected=3))
    assert "about" in sentence(job(), part(succeeded=100))
    corrected = sentence(job(corrections=1), part(succeeded=990, rejected=10))
    assert corrected == (
        "Running: 990 of 1,000 rows written, 10 rejected; rejected rows that were corrected are being written."
    )
    paused = job(State.PAUSED, reason=Reason(code="time_limit", message="It has run for as long as it may."))
    assert sentence(paused).endswith("It has run for as long as it may.")
    assert sentence(job(State.QUEUED), waiting_for="other") == (
        "Queued: waiting for job other, which holds the dataset."
    )
    of_teams = sentence(job(State.QUEUED, lock="labs:teams"), waiting_for="other")
    assert of_teams == "Queued: waiting for job other, which holds the teams."
    later = job(State.QUEUED, started_at=None, start_at=NOW + timedelta(hours=1, seconds=5))
    assert sentence(later) == "Queued: starts at 2026-01-01 13:00:05 UTC."
    assert sentence(job(State.SUCCEEDED, total_rows=1), part(succeeded=1)) == "Succeeded: 1 of 1 row written."
    assert sentence(job(State.UNDONE), part(undone=1)) == "Undone: everything it wrote was taken back (1 document)."
    assert "left alone" in sentence(job(State.UNDONE, conflicts=3), part(undone=7))
    assert sentence(job(State.TERMINATED)) == "Terminated: nothing had been written."


def test_a_limit_of_rejects_is_a_number_or_a_share() -> None:
    assert MaxRejected(rows=0).limit(1000) == 0
    assert MaxRejected(percent=20).limit(1000) == 200
    assert MaxRejected().limit(1000) == 1000


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_of_a_job_that_rests_it_is_said_until_when_and_why(state: State) -> None:
    rest = Rest(until=NOW + timedelta(seconds=90), rows_per_second=50.0)
    said = sentence(job(state, max_rows_per_second=50.0, rest=rest), part(succeeded=100))
    assert said.endswith(
        "It rests until 12:01:30 UTC, as its limit of 50 rows a second wants; others use its slots meanwhile."
    )
    assert "rests" not in sentence(job(state, max_rows_per_second=None, rest=rest), part(succeeded=100))


def test_of_a_pause_it_is_said_until_when() -> None:
    assert sentence(job(State.PAUSED, until=NOW + timedelta(minutes=90)), part(succeeded=5)) == (
        "Paused: 5 of 1,000 rows written; nothing is written until it resumes by itself at 2026-01-01 13:30:00 UTC."
    )
    assert sentence(job(State.PAUSED), part(succeeded=5)) == (
        "Paused: 5 of 1,000 rows written; nothing is written until it is resumed."
    )
