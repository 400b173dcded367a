"""Processes that die before their commit, again and again, and while they leave. Named as in the table of faults."""

import functools
import itertools
import random
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from collect.client.api import CollectClient
from collect.client.errors import ApiError
from collect.jobs.states import State
from collect.protocol.reaper import MAX_LOSSES
from collect.testing.system import eventually, free_port
from support.system_under_test import REST_SECONDS, Plant

ROWS = 40_000
MIDDLE = ROWS // 2
SLOWLY = 500
VERY_SLOWLY = 50
"""So slow that the job outlasts the deploys however long they take."""
DEPLOYS = 30


def test_f3_a_worker_killed_before_the_commit_leaves_nothing_of_the_chunk(shared: Plant) -> None:
    held = shared.marks / "held"
    worker = shared.worker(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={MIDDLE}:once={held}")
    job = shared.upload(shared.file(rows=ROWS))
    eventually(held.exists, seconds=REST_SECONDS, what="the chunk is written and not committed")
    ledger = shared.db.ledger.count_documents({"job_id": job})
    worker.kill()
    assert shared.db.ledger.count_documents({"job_id": job}) == ledger
    shared.worker()
    shared.succeeded(job, rows=ROWS)


def test_f6_a_row_that_kills_its_process_each_time_is_poison_for_its_job_alone(shared: Plant) -> None:
    worker = shared.worker(COLLECT_FAULT_POINTS=f"in_transaction:kill:row={MIDDLE}")
    bad = shared.upload(shared.file(rows=ROWS))
    good = shared.upload(shared.file(rows=MIDDLE // 2), dataset=shared.dataset("another"))
    shared.until_state(good, State.SUCCEEDED)
    shared.until_state(bad, State.FAILED)
    reason = shared.client.jobs.get(bad).reason
    assert reason is not None
    assert reason.code == "poison"
    assert f"lost {MAX_LOSSES} times" in reason.message
    assert "SIGKILL" in reason.message
    where = re.fullmatch(r"part \d+, from row ([\d,]+)", reason.where or "")
    assert where is not None, reason.where
    assert int(where[1].replace(",", "")) <= MIDDLE
    assert worker.process.poll() is None
    after = shared.upload(shared.file(rows=MIDDLE // 2), dataset="another", mode="upsert")
    shared.until_state(after, State.SUCCEEDED)
    worker.kill()
    shared.worker()
    shared.client.jobs.resume(bad, reason="the row is corrected")
    shared.until_state(bad, State.SUCCEEDED)
    assert shared.written(bad) == ROWS


def test_f8_a_worker_killed_while_it_leaves_loses_no_more_than_its_chunk(shared: Plant) -> None:
    held = shared.marks / "held"
    worker = shared.worker(COLLECT_FAULT_POINTS=f"in_transaction:hold:row={MIDDLE}:once={held}")
    job = shared.upload(shared.file(rows=ROWS))
    eventually(held.exists, seconds=REST_SECONDS, what="a chunk is under way")
    worker.send(signal.SIGTERM)
    eventually(lambda: "worker_draining" in worker.log.read_text(), seconds=REST_SECONDS, what="the worker is leaving")
    worker.kill()
    shared.worker()
    shared.succeeded(job, rows=ROWS)


@pytest.mark.timeout(600)
def test_f9_thirty_deploys_within_one_job_lose_nothing_and_count_as_no_losses(shared: Plant) -> None:
    worker = shared.worker(slots=1)
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=VERY_SLOWLY)
    shared.until_written(job)
    for _ in range(DEPLOYS):
        ledger = shared.db.ledger.count_documents({"job_id": job})
        following = shared.worker(slots=1)
        worker.send(signal.SIGTERM)
        eventually(
            lambda before=ledger: shared.db.ledger.count_documents({"job_id": job}) > before,  # type: ignore[misc]
            seconds=REST_SECONDS,
            what="the job goes on",
        )
        assert worker.stop(seconds=REST_SECONDS) == 0
        assert all(part["losses"] == 0 for part in shared.parts(job))
        worker = following
    assert shared.state(job) == State.RUNNING, "the deploys were to happen within the job"
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.succeeded(job, rows=ROWS)


def test_f32_terminate_twice_is_one_termination(shared: Plant) -> None:
    shared.worker()
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    shared.until_written(job)
    first = shared.client.jobs.terminate(job, reason="wrong file")
    again = shared.client.jobs.terminate(job, reason="wrong file")
    assert (first.state, again.state) == (State.TERMINATING, State.TERMINATING)
    shared.until_state(job, State.TERMINATED)
    audited = shared.db.audit.count_documents({"job_id": job})
    assert shared.db.audit.count_documents({"job_id": job, "verb": "terminate"}) == 1
    shared.client.jobs.terminate(job, reason="wrong file")
    assert shared.db.audit.count_documents({"job_id": job}) == audited
    assert shared.snapshot() == []


@pytest.mark.parametrize("verb", ["terminate", "stop", "pause"])
def test_f32_f33_a_verb_while_the_job_finishes_is_in_effect(shared: Plant, verb: str) -> None:
    held = shared.marks / "held"
    shared.worker(COLLECT_FAULT_POINTS=f"in_finish:hold:once={held}")
    job = shared.upload(shared.file(rows=MIDDLE))
    eventually(held.exists, seconds=REST_SECONDS, what="the job is finishing")
    getattr(shared.client.jobs, verb)(job, reason="at the last moment")
    held.write_text("go on")
    if verb == "terminate":
        shared.until_state(job, State.TERMINATED)
        assert shared.snapshot() == []
    elif verb == "stop":
        assert shared.state(job) == State.STOPPED
        assert shared.written(job) == MIDDLE
    else:
        assert shared.state(job) == State.PAUSED
        shared.client.jobs.resume(job, reason="on")
        shared.succeeded(job, rows=MIDDLE)


@pytest.mark.parametrize("where", ["in_plan", "in_transaction"])
def test_f33_a_pause_in_planning_and_in_the_last_chunk_is_undone_by_resuming_at_once(shared: Plant, where: str) -> None:
    held = shared.marks / "held"
    row = "" if where == "in_plan" else f":row={MIDDLE}"
    shared.worker(COLLECT_FAULT_POINTS=f"{where}:hold{row}:once={held}")
    job = shared.upload(shared.file(rows=MIDDLE))
    eventually(held.exists, seconds=REST_SECONDS, what="it is there")
    assert shared.client.jobs.pause(job, reason="a moment").state == State.PAUSED
    entries = shared.db.ledger.count_documents({"job_id": job})
    held.write_text("go on")
    eventually(lambda: _slots_are_free(shared, job), seconds=REST_SECONDS, what="its slot is free")
    assert shared.db.ledger.count_documents({"job_id": job}) == entries
    assert shared.client.jobs.resume(job, reason="on").state == State.QUEUED
    shared.succeeded(job, rows=MIDDLE)


def test_f33_pause_and_resume_in_one_breath_leave_one_owner(shared: Plant) -> None:
    shared.worker()
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    shared.until_written(job)
    for _ in range(10):
        shared.client.jobs.pause(job, reason="stop")
        shared.client.jobs.resume(job, reason="and go")
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.succeeded(job, rows=ROWS)


def test_f31_verbs_through_several_gateways_at_once_are_one_story(shared: Plant) -> None:
    ports = [free_port() for _ in range(2)]
    for port in ports:
        shared.gateway(workers=2, port=port)
    shared.worker()
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    shared.until_written(job)
    rng = random.Random(1)
    asked = [(rng.choice([shared.port, *ports]), rng.choice(["pause", "resume"])) for _ in range(60)]
    with ThreadPoolExecutor(12) as threads:
        taken = [verb for verb in threads.map(functools.partial(_ask, shared, job), asked) if verb]
    audited = [entry["verb"] for entry in shared.db.audit.find({"job_id": job}).sort("seq", 1)]
    verbs = [verb for verb in audited if verb in ("pause", "resume")]
    assert all(first != second for first, second in itertools.pairwise(verbs)), "nothing happened twice in a row"
    assert 0 < len(verbs) <= len(taken)
    if shared.state(job) == State.PAUSED:
        shared.client.jobs.resume(job, reason="the end of it")
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.succeeded(job, rows=ROWS)


def _ask(plant: Plant, job: str, asked: tuple[int, str]) -> str | None:
    """The verb, if it was taken."""
    port, verb = asked
    client = CollectClient(url=f"http://127.0.0.1:{port}", api_key=plant.token)
    try:
        getattr(client.jobs, verb)(job, reason="all at once")
    except ApiError as refused:
        if refused.status != 409:
            raise
        return None
    return verb


def _slots_are_free(plant: Plant, job: str) -> bool:
    action = plant.client.jobs.get(job).last_action
    return action is not None and action.slots_free_at is not None
