"""Corrections whose processes die, hang and leave mean what they say. Named as in the table of faults."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collect.client.errors import ApiError
from collect.jobs.states import State
from collect.testing.system import eventually
from faults.conftest import LEASE_SECONDS, opened
from faults.corrector import GATEWAY, REJECTED, Corrector, TeamsCorrector
from faults.exporter import slots_of
from faults.test_exports import frozen, thaw
from integration.storage.failpoints import COMMITTED, NOT_COMMITTED, failing
from support.servers import Servers
from support.system_under_test import REST_SECONDS

IN_THE_FIRST = 500
IN_THE_SECOND = 2_500
"""Rows of the correction, by their place in it: two thousand are one chunk."""
SLOWLY = 400.0
SEEDS = range(5)
OUTCOMES = [next(iter(COMMITTED.values())), next(iter(NOT_COMMITTED.values()))]


both_kinds = pytest.mark.parametrize("standing", [Corrector, TeamsCorrector], indirect=True, ids=["upload", "teams"])


@pytest.fixture(scope="module")
def standing(
    request: pytest.FixtureRequest,
    servers: Servers,
    mongodb_url: str,
    redis_url: str,
    management_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Corrector]:
    """A corrector for the module's tests: of an upload, unless they ask for another."""
    with opened(
        servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url,
        folder=tmp_path_factory.mktemp("corrector"), kind=getattr(request, "param", Corrector),
    ) as plant:  # fmt: skip
        assert isinstance(plant, Corrector)
        yield plant


@pytest.fixture
def plant(standing: Corrector, tmp_path: Path) -> Iterator[Corrector]:
    """The module's corrector, without workers, and with the job whose rows are to be corrected."""
    with standing.lent(tmp_path) as plant:
        yield plant


@both_kinds
def test_an_undisturbed_correction_ends_as_the_right_file_and_is_undone_with_the_rest(
    plant: Corrector,
) -> None:
    plant.corrector()
    job = plant.correct()
    assert (job.state, job.progress.done) == (State.QUEUED, job.progress.total)
    plant.is_corrected()
    plant.client.jobs.undo(plant.job, reason="not wanted")
    plant.until_state(plant.job, State.UNDONE)
    assert plant.snapshot() == []
    assert plant.client.jobs.get(plant.job).conflicts == 0


@both_kinds
def test_f1_a_slot_killed_in_the_middle_of_a_chunk_corrects_nothing_twice(plant: Corrector) -> None:
    killed = plant.marks / "killed"
    worker = plant.corrector(COLLECT_FAULT_POINTS=f"in_transaction:kill:row={IN_THE_SECOND}:once={killed}")
    plant.correct()
    plant.is_corrected()
    assert killed.exists()
    assert worker.process.poll() is None


def test_f2_a_parent_killed_while_its_slot_lives_takes_the_slot_with_it(plant: Corrector) -> None:
    held = plant.marks / "held"
    worker = plant.corrector(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={IN_THE_SECOND}:once={held}")
    plant.correct()
    eventually(held.exists, seconds=REST_SECONDS, what="a slot hangs in a transaction")
    children = worker.children()
    worker.kill()
    eventually(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), seconds=10, what="the slots are gone"
    )
    plant.corrector()
    plant.is_corrected()


def test_f4_a_worker_killed_after_the_commit_and_before_the_ack_doubles_nothing(plant: Corrector) -> None:
    held = plant.marks / "held"
    worker = plant.corrector(slots=1, COLLECT_FAULT_POINTS=f"after_commit:stop:row={IN_THE_FIRST}:once={held}")
    plant.correct()
    eventually(held.exists, seconds=REST_SECONDS, what="the chunk is committed")
    chunks, corrected = plant.chunks(), plant.corrected()
    worker.kill()
    assert (plant.chunks(), plant.corrected()) == (chunks, corrected)
    assert 0 < corrected < REJECTED
    plant.corrector()
    plant.is_corrected()


def test_f7_sigterm_in_the_middle_of_a_slice_gives_the_correction_back_at_once(plant: Corrector) -> None:
    worker = plant.corrector()
    plant.correct(rows_per_second=SLOWLY)
    plant.until_corrected()
    assert worker.stop(seconds=10) == 0
    assert plant.leased(plant.job) == []
    assert plant.state(plant.job) == State.RUNNING
    assert all(part["losses"] == 0 for part in plant.parts(plant.job))
    plant.hurry()
    plant.corrector()
    plant.is_corrected()


def test_f10_what_a_worker_would_write_that_slept_past_its_lease_is_refused(plant: Corrector) -> None:
    held = plant.marks / "held"
    sleeper = plant.corrector(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={IN_THE_SECOND}:once={held}")
    plant.correct()
    eventually(held.exists, seconds=REST_SECONDS, what="a chunk is written and not committed")
    family = frozen(sleeper)
    other = plant.corrector()
    plant.until_state(plant.job, State.SUCCEEDED, seconds=REST_SECONDS + LEASE_SECONDS)
    after = plant.written_rows()
    other.kill()
    thaw(family)
    another = plant.upload(plant.file(rows=10, seed=3), dataset=plant.dataset("another"))
    plant.until_state(another, State.SUCCEEDED)  # its only slot has let go of what it held, or is another
    assert plant.written_rows() == after
    plant.is_corrected()


@both_kinds
@pytest.mark.parametrize(("times", "how"), OUTCOMES, ids=["applied", "not"])
def test_f26_a_correction_whose_outcome_is_unknown_is_one_correction(
    plant: Corrector, times: int, how: dict[str, Any]
) -> None:
    with failing(plant.db, "commitTransaction", app_name=GATEWAY, times=times, **how):
        assert plant.correct().state == State.QUEUED
    chunk, last = plant.marks / "chunk", plant.marks / "last"
    plant.corrector(
        COLLECT_FAULT_POINTS=f"in_transaction:hold:row={IN_THE_SECOND}:once={chunk},in_finish:hold:once={last}"
    )
    for point in (chunk, last):
        eventually(point.exists, seconds=REST_SECONDS, what=f"it is at {point.name}")
        seen = plant.chunks(), plant.state(plant.job)
        with failing(plant.db, "commitTransaction", app_name=f"{plant.job_kind}-worker-slot", times=times, **how):
            point.write_text("go on")
            eventually(
                lambda seen=seen: (plant.chunks(), plant.state(plant.job)) != seen,  # type: ignore[misc]
                seconds=REST_SECONDS,
                what="it has gone on",
            )
    plant.is_corrected()
    assert plant.db.audit.count_documents({"job_id": plant.job, "verb": "correct"}) == 1
    assert plant.db.audit.count_documents({"job_id": plant.job, "verb": "finish"}) == 2


@both_kinds
def test_f32_terminate_twice_takes_the_job_back_with_its_corrections_once(plant: Corrector) -> None:
    plant.corrector()
    plant.correct(rows_per_second=SLOWLY)
    plant.until_corrected()
    for _ in range(2):
        assert plant.client.jobs.terminate(plant.job, reason="wrong").state == State.TERMINATING
    plant.until_state(plant.job, State.TERMINATED)
    plant.client.jobs.terminate(plant.job, reason="wrong")
    assert plant.db.audit.count_documents({"job_id": plant.job, "verb": "terminate"}) == 1
    assert plant.snapshot() == []


@both_kinds
@pytest.mark.parametrize("verb", ["terminate", "stop", "pause"])
def test_f32_a_verb_while_the_corrected_job_finishes_is_in_effect(plant: Corrector, verb: str) -> None:
    held = plant.marks / "held"
    plant.corrector(COLLECT_FAULT_POINTS=f"in_finish:hold:once={held}")
    plant.correct()
    eventually(held.exists, seconds=REST_SECONDS, what="the job is finishing")
    getattr(plant.client.jobs, verb)(plant.job, reason="at the last moment")
    held.write_text("go on")
    if verb == "terminate":
        plant.until_state(plant.job, State.TERMINATED)
        assert plant.snapshot() == []
        return
    assert plant.state(plant.job) == {"stop": State.STOPPED, "pause": State.PAUSED}[verb]
    plant.adds_up()
    if verb == "pause":
        plant.client.jobs.resume(plant.job, reason="on")
        plant.is_corrected()


def test_a_job_that_is_being_undone_takes_no_corrections_and_is_undone(plant: Corrector) -> None:
    held = plant.marks / "held"
    plant.corrector(COLLECT_FAULT_POINTS=f"in_undo:hold:once={held}")
    plant.client.jobs.undo(plant.job, reason="not wanted")
    eventually(held.exists, seconds=REST_SECONDS, what="it is taking back")
    with pytest.raises(ApiError) as refused:
        plant.correct()
    assert (refused.value.status, refused.value.code) == (409, "verb_not_allowed")
    held.write_text("go on")
    plant.until_state(plant.job, State.UNDONE)
    assert plant.snapshot() == []
    assert plant.db.parts.count_documents({"job_id": plant.job, "correction": {"$ne": None}}) == 0


def test_stop_keeps_the_rows_that_have_been_corrected(plant: Corrector) -> None:
    plant.corrector()
    plant.correct(rows_per_second=SLOWLY)
    plant.until_corrected(rows=2)
    assert plant.client.jobs.stop(plant.job, reason="enough").state == State.STOPPED
    assert 0 < plant.corrected() < REJECTED
    plant.adds_up()
    text = plant.marks / "unprocessed.csv"
    plant.client.jobs.save_unprocessed(plant.job, text)
    assert len(text.read_text().splitlines()) == 1, "each row has been read: only the header is left"
    plant.client.jobs.undo(plant.job, reason="none of it")
    plant.until_state(plant.job, State.UNDONE)
    assert plant.snapshot() == []


@pytest.mark.parametrize("seed", SEEDS)
def test_paused_resumed_and_killed_at_any_moment_it_ends_as_the_right_file(plant: Corrector, seed: int) -> None:
    rng = random.Random(seed)
    worker = plant.corrector()
    plant.correct(rows_per_second=SLOWLY)
    for _ in range(3):
        plant.until_corrected(rows=plant.corrected() + rng.randrange(1, 200))
        if rng.random() < 0.5:
            os.kill(rng.choice(slots_of(worker)), signal.SIGKILL)
        if plant.state(plant.job) not in (State.QUEUED, State.RUNNING):
            break
        plant.client.jobs.pause(plant.job, reason="a moment")
        plant.adds_up()
        plant.client.jobs.resume(plant.job, reason="on")
    plant.hurry()
    plant.is_corrected()
