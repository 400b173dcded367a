"""Leases that are renewed late or not at all, chunks that take too long, clocks that are wrong, and days that pass."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collect.jobs.states import State
from collect.testing.system import eventually
from faults.conftest import LEASE_SECONDS
from integration.storage.failpoints import failing
from support.system_under_test import REST_SECONDS, Plant

ROWS = 20_000
SLOWLY = 500
LONG = 2.5 * LEASE_SECONDS
WRONG_CLOCK = Path(__file__).parent / "wrongclock"


def reaped(plant: Plant) -> int:
    """How often a lease has run out, as the monitor tells."""
    return plant.monitor_service.log.read_text().count('"part_reaped"')


@pytest.mark.parametrize("where", ["in_plan", "in_finish"])
def test_a_lease_is_renewed_while_planning_or_finishing_takes_longer_than_it(shared: Plant, where: str) -> None:
    before = reaped(shared)
    shared.worker(COLLECT_FAULT_POINTS=f"{where}:linger:seconds={LONG}:once={shared.marks / 'lingers'}")
    job = shared.upload(shared.file(rows=ROWS))
    shared.succeeded(job, rows=ROWS)
    assert (shared.marks / "lingers").exists()
    assert reaped(shared) == before


def test_a_lease_is_renewed_while_a_slow_job_rests_between_two_rows(shared: Plant) -> None:
    before = reaped(shared)
    shared.worker(slots=1)
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=1 / LONG)
    shared.until_written(job)
    began = shared.db.ledger.count_documents({"job_id": job})
    eventually(
        lambda: shared.db.ledger.count_documents({"job_id": job}) >= began + 3,
        seconds=REST_SECONDS,
        what="three rows are there",
    )
    assert reaped(shared) == before
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.succeeded(job, rows=ROWS)


def test_a_lease_is_renewed_while_a_chunk_is_long_in_the_making(shared: Plant) -> None:
    before = reaped(shared)
    shared.worker(COLLECT_FAULT_POINTS=f"in_chunks:sleep:seconds={LONG}:once={shared.marks / 'slow-store'}")
    job = shared.upload(shared.file(rows=ROWS))
    shared.succeeded(job, rows=ROWS)
    assert (shared.marks / "slow-store").exists()
    assert reaped(shared) == before


def test_a_chunk_that_takes_longer_than_its_lease_is_fenced_and_done_elsewhere(shared: Plant) -> None:
    before = reaped(shared)
    shared.worker(
        COLLECT_FAULT_POINTS=f"in_transaction:sleep:seconds={LONG}:row={ROWS // 2}:once={shared.marks / 'slow'}"
    )
    job = shared.upload(shared.file(rows=ROWS))
    shared.succeeded(job, rows=ROWS)
    assert reaped(shared) > before


def test_f11_a_renewal_that_comes_after_the_lease_costs_the_part_and_doubles_nothing(shared: Plant) -> None:
    before = reaped(shared)
    shared.worker(COLLECT_FAULT_POINTS=f"in_plan:linger:seconds={LONG}:once={shared.marks / 'lingers'}")
    late = {"blockConnection": True, "blockTimeMS": round(2 * LEASE_SECONDS * 1000)}
    with failing(shared.db, "update", app_name="upload-worker", times=2, **late):
        job = shared.upload(shared.file(rows=ROWS))
        eventually(lambda: reaped(shared) > before, seconds=REST_SECONDS, what="the lease has run out")
    shared.succeeded(job, rows=ROWS)


@pytest.mark.parametrize("minutes", [10, -10])
def test_f29_a_worker_whose_clock_is_ten_minutes_off_works_like_any_other(shared: Plant, minutes: int) -> None:
    before = reaped(shared)
    worker = shared.worker(
        PYTHONPATH=os.pathsep.join([str(WRONG_CLOCK), os.environ.get("PYTHONPATH", "")]),
        WRONG_CLOCK_SECONDS=str(minutes * 60),
        COLLECT_FAULT_POINTS=f"in_plan:linger:seconds={LONG}:once={shared.marks / 'lingers'}",
    )
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    shared.until_written(job)
    paused = shared.client.jobs.pause(job, reason="look at the clock")
    assert paused.last_action is not None
    eventually(lambda: _slots_free_seconds(shared, job) is not None, seconds=REST_SECONDS, what="its slots are free")
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.client.jobs.resume(job, reason="it goes on")
    shared.succeeded(job, rows=ROWS)
    assert reaped(shared) == before
    said = datetime.fromisoformat(worker.log.read_text().split('"at": "')[1].split('"')[0])
    assert abs(said - datetime.now(UTC)) > timedelta(minutes=5), "the worker's clock was right"
    assert abs(_slots_free_seconds(shared, job) or 0) < 120


def test_f33_a_pause_of_three_days_is_gone_on_with_where_it_was(shared: Plant) -> None:
    shared.worker()
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    shared.until_written(job)
    shared.client.jobs.pause(job, reason="over the weekend")
    days_pass(shared, timedelta(days=3))
    assert shared.client.jobs.get(job).state == State.PAUSED
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.client.jobs.resume(job, reason="it is Monday")
    shared.succeeded(job, rows=ROWS)


def test_f33_a_pause_until_monday_ends_on_monday(shared: Plant) -> None:
    shared.worker()
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    shared.until_written(job)
    shared.client.jobs.pause(job, reason="over the weekend", until=datetime.now(UTC) + timedelta(days=3))
    shared.client.jobs.patch(job, max_rows_per_second=None)
    days_pass(shared, timedelta(days=2))
    assert shared.state(job) == State.PAUSED
    days_pass(shared, timedelta(days=1))
    shared.succeeded(job, rows=ROWS)
    assert shared.db.audit.count_documents({"job_id": job, "verb": "resume", "actor.id": "system"}) == 1


def days_pass(plant: Plant, time: timedelta) -> None:
    """Everything that the database holds is that much older."""
    for name in ("jobs", "parts", "ledger", "audit", "outbox", "files", "rejects"):
        for document in plant.db[name].find():
            plant.db[name].replace_one({"_id": document["_id"]}, _mapped(document, lambda at: at - time))


def _mapped(value: Any, change: Callable[[datetime], datetime]) -> Any:
    if isinstance(value, datetime):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    return [_mapped(inner, change) for inner in value] if isinstance(value, list) else value


def _slots_free_seconds(plant: Plant, job: str) -> float | None:
    """From the last action's effect to its slots being free."""
    document = plant.db.jobs.find_one({"_id": job})
    audited = None if document is None else document["last_action"]
    if audited is None or audited["slots_free_at"] is None or audited["effective_at"] is None:
        return None
    seconds: float = (audited["slots_free_at"] - audited["effective_at"]).total_seconds()
    return seconds
