"""`collect-admin selftest` on a running system, and on one in which something is wrong."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from collect.admin.connection import Admin
from collect.admin.selftest import FEWEST_ROWS, ORG, SelfTest, StepFailed
from collect.client import CollectClient, Job
from collect.demo import baseline
from collect.storage import api_keys, datasets, organisations
from collect.storage.database import transact
from collect.testing.system import free_port
from e2e.shell import Result, Town

ROWS = 2_000


@pytest.fixture(autouse=True)
def nothing_is_left(town: Town) -> Iterator[None]:
    """However a run ends: no row, no dataset, no key that opens anything."""
    yield
    assert town.db.rows.count_documents({"_id": {"$regex": f"^{ORG}[|]"}}) == 0
    assert town.db.api_keys.count_documents({"org_id": ORG, "revoked_at": None}) == 0
    assert datasets.names(town.db, org_id=ORG) == []
    assert town.db.locks.count_documents({"_id": {"$regex": f"^{ORG}:"}}) == 0


def selftest(town: Town, *arguments: object, url: str | None = None, **environment: str) -> Result:
    return town.admin("selftest", "--rows", ROWS, *arguments, COLLECT_URL=url or town.system.url, **environment)


def states(town: Town) -> list[str]:
    """Of the self-tests' jobs, oldest first."""
    return [job["state"] for job in town.db.jobs.find({"org_id": ORG}).sort("_id", 1)]


def test_it_tells_each_step_with_its_time_and_what_stays(town: Town) -> None:
    passed = selftest(town)
    assert passed.code == 0, passed.err
    *steps, kept, last = passed.out.splitlines()
    assert all(step.startswith("ok ") and " s  " in step for step in steps)
    for word in ("warns", "started", "terminated", "restarted", "undone", "invariants", "cleaned up"):
        assert [step for step in steps if word in step], word
    assert (kept.startswith("The history of jobs"), last) == (True, "Passed.")
    assert states(town)[-2:] == ["terminated", "undone"]


def test_as_json_it_is_a_list_of_steps_and_nothing_else(town: Town) -> None:
    passed = selftest(town, "--json")
    assert passed.code == 0, passed.err
    assert {step["passed"] for step in passed.json} == {True}
    assert all(step["seconds"] >= 0 and step["step"] for step in passed.json)


def test_two_people_may_run_it_at_the_same_time(town: Town) -> None:
    with ThreadPoolExecutor() as pool:
        for passed in pool.map(lambda _: selftest(town), range(2)):
            assert passed.code == 0, passed.out + passed.err


def test_few_rows_are_caught_half_way_too(town: Town) -> None:
    passed = selftest(town, "--rows", FEWEST_ROWS)
    assert passed.code == 0, passed.out + passed.err


def test_what_a_run_that_broke_off_has_left_is_taken_back_by_the_next(town: Town) -> None:
    name = "selftest-broken"
    made = api_keys.create(town.db, org_id=ORG, name=name, role="operator")
    organisations.ensure(town.db, org_id=ORG, name=ORG)
    transact(town.db, lambda tx: datasets.put(tx, org_id=ORG, name=name, template=baseline.template()))
    with CollectClient(url=town.system.url, api_key=made.secret) as client:
        job = fill(client, name, town)
        client.jobs.wait(job, "succeeded", timeout_seconds=60)
    assert selftest(town).code == 0
    assert datasets.row_count(town.db, org_id=ORG, name=name) == 20, "while its key is valid it is somebody's"
    api_keys.revoke(town.db, org_id=ORG, key_id=made.key.id)
    after = selftest(town)
    assert (after.code, f"cleaned up {name}" in after.out) == (0, True), after.out + after.err


def test_an_invariant_that_does_not_hold_fails_it_and_is_told(town: Town) -> None:
    assert selftest(town).code == 0
    job = town.db.jobs.find_one({"org_id": ORG, "state": "undone"})
    assert job is not None
    town.db.jobs.update_one({"_id": job["_id"]}, {"$set": {"parts_left": 7}})
    try:
        failed = selftest(town)
    finally:
        town.db.jobs.update_one({"_id": job["_id"]}, {"$set": {"parts_left": job["parts_left"]}})
    assert failed.code == 1
    assert "'invariants hold' failed" in failed.err
    assert "parts_left_differ" in failed.err


class Tampered(SelfTest):
    """A run that knows the system from inside."""

    town: Town


R = TypeVar("R", bound=Tampered)


@contextmanager
def in_this_process(town: Town, kind: type[R]) -> Iterator[R]:
    """A run of a self-test in which something happens that shall fail it; cleaned up afterwards."""
    name = f"selftest-{kind.__name__.lower()}"
    made = api_keys.create(town.db, org_id=ORG, name=name, role="operator")
    with pytest.MonkeyPatch.context() as patch, CollectClient(url=town.system.url, api_key=made.secret) as client:
        for variable, value in town.stores.items():
            patch.setenv(variable, value)
        admin = Admin()
        run = kind(client=client, admin=admin, name=name, rows=ROWS, seconds=60)
        run.town = town
        try:
            yield run
        finally:
            run.clean_up()
            admin.db.close()
            api_keys.revoke(town.db, org_id=ORG, key_id=made.key.id)


class Held(Tampered):
    """In the dataset another job is started just before the run's own is."""

    holder = "nobody"

    def _start(self, params: dict[str, Any]) -> Job:
        self.holder = fill(self._client, params["dataset"], self.town, max_rows_per_second=1)
        self._client.jobs.wait(self.holder, "running", timeout_seconds=60)
        return super()._start(params)


def test_a_dataset_that_is_held_fails_it_and_says_by_which_job(town: Town) -> None:
    with in_this_process(town, Held) as run:
        with pytest.raises(StepFailed, match="'started in spite of the warning, rows are written' failed") as failed:
            run.play()
        assert f"Job {run.holder}" in str(failed.value)
        assert "running" in str(failed.value)


class LeftOver(Tampered):
    """One row comes back from the termination."""

    def _terminate(self, job: Job) -> None:
        self.town.db.rows.insert_one(self.row)
        super()._terminate(job)

    @property
    def row(self) -> dict[str, str]:
        return {"_id": f"{ORG}|{self._name}|stray", "org_id": ORG, "dataset": self._name}


def test_a_row_that_is_left_fails_it_and_its_dataset_is_named_as_left_behind(town: Town) -> None:
    with in_this_process(town, LeftOver) as run:
        with pytest.raises(StepFailed, match=r"no row is left' failed\. 1 row is left") as failed:
            run.play()
        assert "terminated, waiting_for no job" in str(failed.value)
        (left,) = run.clean_up()
        assert left.startswith("Dataset selftest-leftover could not be removed; a later run removes it.")
        town.db.rows.delete_one({"_id": run.row["_id"]})


class NotCorrected(Tampered):
    """The restart reads the columns as they stand in the file."""

    def _preview(self, params: dict[str, Any]) -> dict[str, Any]:
        super()._preview(params)
        return {}


def test_rows_that_are_not_what_the_right_file_says_fail_it(town: Town) -> None:
    with (
        in_this_process(town, NotCorrected) as run,
        pytest.raises(StepFailed, match="R00000001 differs from the file"),
    ):
        run.play()


def fill(client: CollectClient, dataset: str, town: Town, *, max_rows_per_second: float | None = None) -> str:
    """Start an upload of 20 rows; the job's id."""
    path = town.csv(town.system.folder / f"{dataset}.csv", rows=20, first=1)
    params = {"file_id": client.files.upload(path).id, "dataset": dataset}
    return client.jobs.create("upload", params, reason="Test", max_rows_per_second=max_rows_per_second).id


def test_a_gateway_that_is_not_named_is_asked_for(town: Town) -> None:
    refused = town.admin("selftest", COLLECT_URL="")
    assert refused.code == 2
    assert "COLLECT_URL" in refused.err


def test_where_nobody_answers_it_fails_in_time_and_names_the_address(town: Town) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    failed = selftest(town, "--seconds", 3, url=url)
    assert failed.code == 1
    assert "'gateway answers, dataset created' failed" in failed.err
    assert url in failed.err


@pytest.fixture
def something_else() -> Iterator[str]:
    """The address of a server that is no gateway."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield f"http://127.0.0.1:{port}"
        process.kill()


def test_where_something_else_answers_it_fails(town: Town, something_else: str) -> None:
    failed = selftest(town, "--seconds", 5, url=something_else)
    assert failed.code == 1
    assert "'gateway answers, dataset created' failed" in failed.err


def test_what_is_no_address_is_refused(town: Town) -> None:
    failed = selftest(town, url="gateway:8080")
    assert failed.code == 1
    assert "no address of a gateway" in failed.err


def test_a_gateway_of_another_database_is_recognised(town: Town) -> None:
    other = f"{town.stores['MONGODB_DATABASE']}_b"
    try:
        failed = selftest(town, MONGODB_DATABASE=other)
    finally:
        town.db.client.drop_database(other)
    assert failed.code == 1
    assert "does not know a new key" in failed.err


def test_without_a_worker_it_fails_in_time_and_says_how_the_job_is(town: Town) -> None:
    town.worker.kill()
    failed = selftest(town, "--seconds", 5, "--json")
    assert failed.code == 1
    assert "'started in spite of the warning, rows are written' failed" in failed.err
    assert "queued, waiting_for no job. Queued: waiting for a slot." in failed.err
    last, cleaned = failed.json[-2:]
    assert (last["passed"], cleaned["passed"]) == (False, True)
    assert "queued" in last["message"]
