"""MongoDB steps down, goes away, answers wrongly, and comes back as it was earlier. Named as in the table of faults."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from collect.jobs.states import RESTING, State
from collect.testing.system import eventually
from faults.mongod import Mongod, running
from integration.storage.failpoints import OUTCOMES, failing
from support.system_under_test import REST_SECONDS, Plant

ROWS = 20_000
MANY = 40_000
SLOWLY = 500
GONE_SECONDS = 30.0
ANSWER_SECONDS = 45.0
SLOT, GATEWAY = "upload-worker-slot", "gateway"


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    with running(tmp_path_factory.mktemp("mongod")) as made:
        yield made


@pytest.fixture(scope="module")
def mongodb_url(mongod: Mongod) -> str:
    """The plant of this module stands on the module's own server."""
    return mongod.url


def test_f25_the_server_steps_down_in_the_middle_of_a_chunk(shared: Plant, mongod: Mongod) -> None:
    held = shared.marks / "held"
    worker = shared.worker(COLLECT_FAULT_POINTS=f"in_transaction:hold:row={ROWS // 2}:once={held}")
    job = shared.upload(shared.file(rows=ROWS))
    eventually(held.exists, seconds=REST_SECONDS, what="a chunk is under way")
    mongod.step_down()
    held.write_text("go on")
    shared.succeeded(job, rows=ROWS)
    assert worker.process.poll() is None
    assert all(part["losses"] == 0 for part in shared.parts(job))


def test_f25_the_server_steps_down_in_the_middle_of_a_commit(shared: Plant, mongod: Mongod) -> None:
    shared.worker()
    job = shared.upload(shared.file(rows=MANY), rows_per_second=SLOWLY)
    shared.until_written(job)
    block = {"failCommands": ["commitTransaction"], "appName": SLOT, "blockConnection": True, "blockTimeMS": 1_000}
    before = mongod.command("configureFailPoint", "failCommand", mode="alwaysOn", data=block)["count"]
    mongod.command("waitForFailPoint", "failCommand", timesEntered=before + 1, maxTimeMS=60_000)
    mongod.step_down()
    mongod.command("configureFailPoint", "failCommand", mode="off")
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.succeeded(job, rows=MANY)


@pytest.mark.parametrize(("times", "how"), list(OUTCOMES.values()), ids=list(OUTCOMES))
def test_f26_every_step_of_a_job_with_an_unknown_outcome_happens_once(
    shared: Plant, times: int, how: dict[str, Any]
) -> None:
    planning, chunk, last = (shared.marks / name for name in ("planning", "chunk", "last"))
    shared.worker(
        COLLECT_FAULT_POINTS=f"in_plan:hold:once={planning},in_transaction:hold:row={ROWS // 2}:once={chunk},"
        f"in_finish:hold:once={last}"
    )
    with failing(shared.db, "commitTransaction", app_name=GATEWAY, times=times, **how):
        job = shared.upload(shared.file(rows=ROWS))
    eventually(planning.exists, seconds=REST_SECONDS, what="it is being planned")
    with failing(shared.db, "commitTransaction", app_name=SLOT, times=times, **how):
        planning.write_text("go on")
        eventually(chunk.exists, seconds=REST_SECONDS, what="a chunk is under way")
    with failing(shared.db, "commitTransaction", app_name=GATEWAY, times=times, **how):
        assert shared.client.jobs.pause(job, reason="wait").state == State.PAUSED
    entries = shared.db.ledger.count_documents({"job_id": job})
    with failing(shared.db, "commitTransaction", app_name=GATEWAY, times=times, **how):
        assert shared.client.jobs.resume(job, reason="go on").state == State.QUEUED
    with failing(shared.db, "commitTransaction", app_name=SLOT, times=times, **how):
        chunk.write_text("go on")
        eventually(
            lambda: shared.db.ledger.count_documents({"job_id": job}) > entries,
            seconds=REST_SECONDS,
            what="a chunk is committed",
        )
    eventually(last.exists, seconds=REST_SECONDS, what="it is finishing")
    with failing(shared.db, "commitTransaction", app_name=SLOT, times=times, **how):
        last.write_text("go on")
        shared.until_state(job, State.SUCCEEDED)
    verbs = [entry["verb"] for entry in shared.db.audit.find({"job_id": job}).sort("seq", 1)]
    assert verbs.count("create") == verbs.count("pause") == verbs.count("resume") == verbs.count("finish") == 1
    shared.succeeded(job, rows=ROWS)


@pytest.mark.parametrize(
    ("times", "how"),
    [
        (1, {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}),
        (1, {"writeConcernError": {"code": 91, "errmsg": "the server is shutting down"}}),
        (2, {"closeConnection": True}),
    ],
    ids=["applied", "applied, and it shuts down", "not applied"],
)
def test_f26_a_claim_whose_answer_is_lost_costs_no_lease_and_no_loss(
    shared: Plant, times: int, how: dict[str, Any]
) -> None:
    shared.monitor_service.stop()  # so that only the claimant itself can bring the part on
    worker = shared.worker(slots=1)
    with failing(shared.db, "findAndModify", app_name=SLOT, times=times, **how):
        job = shared.upload(shared.file(rows=ROWS))
        shared.until_state(job, State.SUCCEEDED)
    shared.monitor_service = shared.monitor()
    assert "slot_died" not in worker.log.read_text()
    shared.succeeded(job, rows=ROWS)


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_f27_the_database_is_gone_for_half_a_minute(shared: Plant, mongod: Mongod, how: str) -> None:
    worker = shared.worker()
    job = shared.upload(shared.file(rows=MANY), rows_per_second=SLOWLY)
    shared.until_written(job)
    gone_at = time.monotonic()
    mongod.freeze() if how == "frozen" else mongod.child.kill()
    while time.monotonic() - gone_at < GONE_SECONDS:
        asked_at = time.monotonic()
        answer = requests.get(f"{shared.url}/v1/jobs/{job}", headers=_key(shared), timeout=ANSWER_SECONDS)
        assert time.monotonic() - asked_at < ANSWER_SECONDS
        _unavailable(answer)
        _unavailable(_pause(shared, job))
    mongod.thaw() if how == "frozen" else mongod.child.start()
    eventually(lambda: _pause(shared, job).status_code == 202, seconds=REST_SECONDS, what="the gateway is there again")
    assert shared.state(job) == State.PAUSED
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.client.jobs.resume(job, reason="it is back")
    shared.succeeded(job, rows=MANY)
    assert worker.process.poll() is None
    assert shared.gateway_service.process.poll() is None
    assert shared.monitor_service.process.poll() is None


def test_a_database_restored_to_an_older_point_makes_newer_messages_void(shared: Plant, mongod: Mongod) -> None:
    shared.worker()
    job = shared.upload(shared.file(rows=MANY), rows_per_second=SLOWLY)
    shared.until_written(job)
    saved = mongod.save()
    now = shared.written(job)
    shared.until_written(job, rows=now + 1)
    unknown = shared.upload(shared.file(rows=ROWS), dataset=shared.dataset("another"))
    mongod.restore(saved)
    eventually(lambda: _answers(shared), seconds=REST_SECONDS, what="the gateway has found the database")
    assert shared.db.jobs.find_one({"_id": unknown}) is None
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.succeeded(job, rows=MANY)
    again = shared.upload(shared.file(rows=ROWS), dataset=shared.dataset("another"))
    shared.until_state(again, *RESTING)
    assert shared.state(again) == State.SUCCEEDED


def _key(plant: Plant) -> dict[str, str]:
    return {"Authorization": f"Bearer {plant.token}"}


def _pause(plant: Plant, job: str) -> requests.Response:
    return requests.post(
        f"{plant.url}/v1/jobs/{job}/pause", json={"reason": "the database"}, headers=_key(plant), timeout=ANSWER_SECONDS
    )


def _answers(plant: Plant) -> bool:
    return requests.get(f"{plant.url}/v1/jobs", headers=_key(plant), timeout=ANSWER_SECONDS).status_code == 200


def _unavailable(answer: requests.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"]
    assert answer.json()["code"] == "unavailable"
