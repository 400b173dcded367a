"""Lists of teams whose processes die, hang and leave make what their file says. Named as in the table of faults."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collect.jobs.states import State
from collect.testing.system import eventually
from faults.conftest import LEASE_SECONDS, opened
from faults.exporter import slots_of
from faults.registrar import ROWS, SLOT, Registrar
from faults.test_exports import frozen, thaw
from integration.storage.failpoints import COMMITTED, NOT_COMMITTED, failing
from support.servers import Servers
from support.system_under_test import REST_SECONDS

MIDDLE = 2_150
"""A row in a later part."""
SLOWLY = 800.0
MODES = ("create", "upsert")
SEEDS = range(6)


@pytest.fixture(scope="module")
def standing(
    servers: Servers, mongodb_url: str, redis_url: str, management_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registrar]:
    """A registrar for the module's tests."""
    folder = tmp_path_factory.mktemp("registrar")
    with opened(
        servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url, folder=folder,
        kind=Registrar,
    ) as plant:  # fmt: skip
        assert isinstance(plant, Registrar)
        yield plant


@pytest.fixture
def plant(standing: Registrar, tmp_path: Path) -> Iterator[Registrar]:
    """The module's registrar, without workers, and with the teams that stand. It is sound when the test ends."""
    with standing.lent(tmp_path) as plant:
        yield plant


@pytest.mark.parametrize("mode", MODES)
def test_an_undisturbed_one_makes_what_its_file_says_and_is_taken_back_whole(plant: Registrar, mode: str) -> None:
    before = plant.fingerprint()
    plant.registry()
    job = plant.teams(mode=mode)
    plant.as_the_file_says(job, mode=mode)
    assert len(plant.parts(job)) > 2
    assert plant.fingerprint() != before
    plant.client.jobs.undo(job, reason="not wanted")
    plant.until_state(job, State.UNDONE)
    assert plant.fingerprint() == before
    assert plant.client.jobs.get(job).conflicts == 0


@pytest.mark.parametrize("mode", MODES)
def test_f1_a_slot_killed_in_the_middle_of_a_chunk_leaves_no_half_team(plant: Registrar, mode: str) -> None:
    killed = plant.marks / "killed"
    worker = plant.registry(COLLECT_FAULT_POINTS=f"in_transaction:kill:row={MIDDLE}:once={killed}")
    plant.as_the_file_says(plant.teams(mode=mode), mode=mode)
    assert killed.exists()
    assert worker.process.poll() is None


def test_f2_a_parent_killed_while_its_slot_lives_takes_the_slot_with_it(plant: Registrar) -> None:
    held = plant.marks / "held"
    worker = plant.registry(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={MIDDLE}:once={held}")
    job = plant.teams()
    eventually(held.exists, seconds=REST_SECONDS, what="a slot hangs in a transaction")
    children = worker.children()
    worker.kill()
    eventually(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), seconds=10, what="the slots are gone"
    )
    plant.registry()
    plant.as_the_file_says(job)


def test_f4_a_worker_killed_after_the_commit_and_before_the_ack_doubles_nothing(plant: Registrar) -> None:
    held = plant.marks / "held"
    worker = plant.registry(slots=1, COLLECT_FAULT_POINTS=f"after_commit:stop:row={MIDDLE}:once={held}")
    job = plant.teams()
    eventually(held.exists, seconds=REST_SECONDS, what="the chunk is committed")
    chunks = plant.chunks(job)
    worker.kill()
    assert plant.chunks(job) == chunks
    plant.registry()
    plant.as_the_file_says(job)


def test_f7_sigterm_in_the_middle_of_a_slice_gives_the_parts_back_at_once(plant: Registrar) -> None:
    worker = plant.registry()
    job = plant.teams(mode="upsert", rows_per_second=SLOWLY)
    plant.until_chunks(job)
    assert worker.stop(seconds=10) == 0
    assert plant.leased(job) == []
    assert plant.state(job) == State.RUNNING
    assert all(part["losses"] == 0 for part in plant.parts(job))
    assert plant.whole_teams(job) > 0
    plant.hurry(job)
    plant.registry()
    plant.as_the_file_says(job, mode="upsert")


@pytest.mark.parametrize("mode", MODES)
def test_f10_what_a_worker_would_write_that_slept_past_its_lease_is_refused(plant: Registrar, mode: str) -> None:
    held = plant.marks / "held"
    sleeper = plant.registry(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={MIDDLE}:once={held}")
    job = plant.teams(mode=mode)
    eventually(held.exists, seconds=REST_SECONDS, what="a chunk is written and not committed")
    family = frozen(sleeper)
    other = plant.registry()
    plant.until_state(job, State.SUCCEEDED, seconds=REST_SECONDS + LEASE_SECONDS)
    after = plant.fingerprint()
    other.kill()
    thaw(family)
    plant.until_state(plant.nothing(), State.SUCCEEDED)  # its only slot has let go of what it held, or is another
    assert plant.fingerprint() == after
    plant.as_the_file_says(job, mode=mode)


@pytest.mark.parametrize(
    ("times", "how"), [next(iter(COMMITTED.values())), next(iter(NOT_COMMITTED.values()))], ids=["applied", "not"]
)
@pytest.mark.parametrize("mode", MODES)
def test_f26_a_commit_whose_outcome_is_unknown_is_one_chunk(
    plant: Registrar, mode: str, times: int, how: dict[str, Any]
) -> None:
    planning, chunk, last = (plant.marks / name for name in ("planning", "chunk", "last"))
    plant.registry(
        COLLECT_FAULT_POINTS=f"in_plan:hold:once={planning},in_transaction:hold:row={MIDDLE}:once={chunk},"
        f"in_finish:hold:once={last}"
    )
    job = plant.teams(mode=mode)
    for point in (planning, chunk, last):
        eventually(point.exists, seconds=REST_SECONDS, what=f"it is at {point.name}")
        seen = plant.chunks(job), plant.state(job)
        with failing(plant.db, "commitTransaction", app_name=SLOT, times=times, **how):
            point.write_text("go on")
            eventually(
                lambda seen=seen: (plant.chunks(job), plant.state(job)) != seen,  # type: ignore[misc]
                seconds=REST_SECONDS,
                what="it has gone on",
            )
    plant.as_the_file_says(job, mode=mode)
    assert plant.db.audit.count_documents({"job_id": job, "verb": "finish"}) == 1


def test_f32_terminate_twice_is_one_termination_and_leaves_all_as_it_was(plant: Registrar) -> None:
    before = plant.fingerprint()
    plant.registry()
    job = plant.teams(mode="upsert", rows_per_second=SLOWLY)
    plant.until_chunks(job, more_than=2)
    first = plant.client.jobs.terminate(job, reason="the wrong managers")
    again = plant.client.jobs.terminate(job, reason="the wrong managers")
    assert (first.state, again.state) == (State.TERMINATING, State.TERMINATING)
    plant.until_state(job, State.TERMINATED)
    plant.client.jobs.terminate(job, reason="the wrong managers")
    assert plant.db.audit.count_documents({"job_id": job, "verb": "terminate"}) == 1
    assert plant.fingerprint() == before


@pytest.mark.parametrize("mode", MODES)
def test_f32_terminate_while_the_job_finishes_is_in_effect(plant: Registrar, mode: str) -> None:
    before = plant.fingerprint()
    held = plant.marks / "held"
    plant.registry(COLLECT_FAULT_POINTS=f"in_finish:hold:once={held}")
    job = plant.teams(mode=mode)
    eventually(held.exists, seconds=REST_SECONDS, what="the job is finishing")
    assert plant.client.jobs.terminate(job, reason="at the last moment").state == State.TERMINATING
    held.write_text("go on")
    plant.until_state(job, State.TERMINATED)
    assert plant.fingerprint() == before


@pytest.mark.parametrize("seed", SEEDS)
def test_terminated_at_any_moment_whoever_dies_meanwhile_nothing_is_left_of_it(plant: Registrar, seed: int) -> None:
    rng = random.Random(seed)
    before = plant.fingerprint()
    undone = plant.marks / "undone"
    worker = plant.registry(COLLECT_FAULT_POINTS=f"in_undo:kill:once={undone}" if seed % 2 else "")
    job = plant.teams(mode=rng.choice(MODES), rows_per_second=SLOWLY)
    plant.until_chunks(job, more_than=rng.randrange(10))
    if rng.random() < 0.5:
        os.kill(rng.choice(slots_of(worker)), signal.SIGKILL)
    at = plant.client.jobs.terminate(job, reason="the wrong managers")
    assert at.state == State.TERMINATING
    plant.until_state(job, State.TERMINATED)
    assert plant.fingerprint() == before
    assert plant.client.jobs.get(job).conflicts == 0
    assert undone.exists() == bool(seed % 2)


@pytest.mark.parametrize("mode", MODES)
def test_stop_keeps_whole_teams_and_undo_takes_all_of_them_back(plant: Registrar, mode: str) -> None:
    before = plant.fingerprint()
    plant.registry()
    job = plant.teams(mode=mode, rows_per_second=SLOWLY)
    plant.until_chunks(job, more_than=3)
    assert plant.client.jobs.stop(job, reason="the wrong managers").state == State.STOPPED
    progress = plant.client.jobs.get(job).progress
    there = plant.whole_teams(job)
    assert 0 < there <= progress.succeeded < ROWS
    plant.sound()
    plant.client.jobs.undo(job, reason="none of it")
    plant.until_state(job, State.UNDONE)
    assert plant.fingerprint() == before
