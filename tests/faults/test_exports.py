"""Exports whose processes die, hang and leave give what an undisturbed one gives. Named as in the table of faults."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collect.admin.check import check
from collect.jobs.states import State
from collect.storage import results, retention
from collect.testing.system import Service, eventually
from faults.conftest import LEASE_SECONDS, opened
from faults.exporter import SLOT, SLOWLY, VERY_SLOWLY, Exporter, slots_of
from integration.storage.failpoints import COMMITTED, NOT_COMMITTED, failing
from stack.children import Child
from support.servers import Servers
from support.system_under_test import REST_SECONDS

MIDDLE = 35_000
"""A row in the second chunk of the second part."""
STORMS = {"csv": 1, "csv.gz": 2, "jsonl": 3, "parquet": 4}
WITH_BROKER = ("csv.gz", "parquet")
"""To restart the broker takes longer than all else."""


@pytest.fixture(scope="module")
def standing(
    servers: Servers, mongodb_url: str, redis_url: str, management_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exporter]:
    """An exporter for the module's tests."""
    folder = tmp_path_factory.mktemp("exporter")
    with opened(
        servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url, folder=folder,
        kind=Exporter,
    ) as plant:  # fmt: skip
        assert isinstance(plant, Exporter)
        yield plant


@pytest.fixture
def plant(standing: Exporter, tmp_path: Path) -> Iterator[Exporter]:
    """The module's exporter, without workers and without jobs. It is sound when the test ends."""
    with standing.lent(tmp_path) as plant:
        yield plant


class Disturbed:
    """One export, two workers, and what happens to them. Workers are replaced when they have died."""

    def __init__(self, plant: Exporter, rng: random.Random, broker: Child | None, job_id: str) -> None:
        self._plant = plant
        self._rng = rng
        self._broker = broker
        self._job_id = job_id
        self._workers: list[Service] = [plant.exporter(wait=False) for _ in range(2)]

    def everything(self) -> None:
        """Each kind of thing once, in any order. Between two of them the job has got on."""
        acts: list[Callable[[], None]] = [
            self.pause_and_resume, self.kill_a_slot, self.kill_a_worker, self.freeze_a_worker, self.kill_a_slot,
        ]  # fmt: skip
        if self._broker is not None:
            acts.append(self.restart_the_broker)
        self._rng.shuffle(acts)
        for act in acts:
            self._plant.until_chunks(self._job_id, more_than=self._plant.chunks(self._job_id))
            act()

    def pause_and_resume(self) -> None:
        if self._plant.state(self._job_id) in (State.QUEUED, State.RUNNING):
            self._plant.client.jobs.pause(self._job_id, reason="wait")
            self._plant.client.jobs.resume(self._job_id, reason="go on")

    def kill_a_slot(self) -> None:
        slots = [pid for worker in self._workers for pid in slots_of(worker)]
        os.kill(self._rng.choice(slots), signal.SIGKILL)

    def kill_a_worker(self) -> None:
        n = self._rng.randrange(2)
        self._workers[n].kill()
        self._workers[n] = self._plant.exporter(wait=False)

    def freeze_a_worker(self) -> None:
        """For longer than its lease; the other one goes on."""
        worker = self._rng.choice(self._workers)
        family = frozen(worker)
        held = {
            (part["n"], part["epoch"])
            for part in self._plant.leased(self._job_id)
            if f"-{worker.pid}/" in part["owner"]
        }
        eventually(
            lambda: not held & {(part["n"], part["epoch"]) for part in self._plant.leased(self._job_id)},
            seconds=REST_SECONDS,
            what="what the frozen one held has been taken from it",
        )
        thaw(family)

    def restart_the_broker(self) -> None:
        assert self._broker is not None
        self._broker.stop()
        self._broker.start()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("format_", list(STORMS))
def test_whatever_happens_to_its_processes_the_result_is_that_of_an_undisturbed_one(
    plant: Exporter, own_broker: Child, format_: str
) -> None:
    plant.quiet(format_)
    job = plant.export(format=format_, rows_per_second=SLOWLY)
    broker = own_broker if format_ in WITH_BROKER else None
    Disturbed(plant, random.Random(STORMS[format_]), broker, job).everything()
    plant.hurry(job)
    plant.equals_the_quiet_one(job, format_)


def test_f1_a_slot_killed_in_the_middle_of_a_chunk_leaves_an_object_that_is_part_of_nothing(plant: Exporter) -> None:
    killed = plant.marks / "killed"
    worker = plant.exporter(COLLECT_FAULT_POINTS=f"in_transaction:kill:row={MIDDLE}:once={killed}")
    job = plant.export()
    plant.equals_the_quiet_one(job)
    assert killed.exists()
    assert worker.process.poll() is None
    assert orphans(plant, job), "the object had been written, and the chunk was not committed"


def test_f2_a_parent_killed_while_its_slot_lives_takes_the_slot_with_it(plant: Exporter) -> None:
    held = plant.marks / "held"
    worker = plant.exporter(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={MIDDLE}:once={held}")
    job = plant.export()
    eventually(held.exists, seconds=REST_SECONDS, what="a slot hangs in a transaction")
    children = worker.children()
    worker.kill()
    eventually(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), seconds=10, what="the slots are gone"
    )
    plant.exporter()
    plant.equals_the_quiet_one(job)


def test_f4_a_worker_killed_after_the_commit_and_before_the_ack_doubles_nothing(plant: Exporter) -> None:
    held = plant.marks / "held"
    worker = plant.exporter(slots=1, COLLECT_FAULT_POINTS=f"after_commit:stop:row={MIDDLE}:once={held}")
    job = plant.export()
    eventually(held.exists, seconds=REST_SECONDS, what="the chunk is committed")
    chunks = plant.chunks(job)
    worker.kill()
    assert plant.chunks(job) == chunks
    plant.exporter()
    plant.equals_the_quiet_one(job)


def test_f7_sigterm_in_the_middle_of_a_slice_gives_the_parts_back_at_once(plant: Exporter) -> None:
    worker = plant.exporter()
    job = plant.export(rows_per_second=VERY_SLOWLY)
    plant.until_chunks(job)
    assert worker.stop(seconds=10) == 0
    assert plant.leased(job) == []
    assert plant.state(job) == State.RUNNING
    assert all(part["losses"] == 0 for part in plant.parts(job))
    plant.hurry(job)
    plant.exporter()
    plant.equals_the_quiet_one(job)


def test_f10_what_a_worker_writes_that_slept_past_its_lease_is_part_of_nothing(plant: Exporter) -> None:
    held = plant.marks / "held"
    sleeper = plant.exporter(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={MIDDLE}:once={held}")
    job = plant.export()
    eventually(held.exists, seconds=REST_SECONDS, what="a chunk is written and not committed")
    family = frozen(sleeper)
    (part,) = plant.leased(job)
    plant.exporter()
    plant.until_state(job, State.SUCCEEDED, seconds=REST_SECONDS + LEASE_SECONDS)
    thaw(family)
    after = plant.export(filters=[{"field": "age", "op": "eq", "value": 17}])  # the sleeper is at work again, or gone
    plant.until_state(after, State.SUCCEEDED)
    zombies = {name for name in orphans(plant, job) if f"/part-{part['n']}-{part['epoch']}-" in name}
    assert zombies, "the sleeper's object is there"
    plant.equals_the_quiet_one(job)
    result = plant.db.jobs.find_one({"_id": job}, {"result": 1})
    assert result is not None
    assert not zombies & {found["name"] for found in result["result"]["objects"]}
    assert not zombies & plant.committed(job)
    now = datetime.now(UTC)
    assert zombies <= set(retention.orphans(plant.db, plant.blobs, at=now, before=now)), "the monitor finds it in time"
    assert not plant.committed(job) & set(retention.orphans(plant.db, plant.blobs, at=now, before=now))


def test_a_small_export_does_not_wait_for_a_part_of_a_huge_one(plant: Exporter) -> None:
    plant.exporter(slots=1)
    huge = plant.export(rows_per_second=VERY_SLOWLY)
    plant.until_chunks(huge)
    small = plant.export(to_date="2017-08-01T00:02:00Z")
    plant.until_state(small, State.SUCCEEDED)
    assert plant.chunks(small) > 0
    assert [part["n"] for part in plant.parts(huge) if part["n"] and part["status"] == "done"] == []
    plant.hurry(huge)
    plant.equals_the_quiet_one(huge)


@pytest.mark.parametrize(
    ("times", "how"), [next(iter(COMMITTED.values())), next(iter(NOT_COMMITTED.values()))], ids=["applied", "not"]
)
def test_f26_a_commit_whose_outcome_is_unknown_is_one_chunk(plant: Exporter, times: int, how: dict[str, Any]) -> None:
    planning, chunk, last = (plant.marks / name for name in ("planning", "chunk", "last"))
    plant.exporter(
        COLLECT_FAULT_POINTS=f"in_plan:hold:once={planning},in_transaction:hold:row={MIDDLE}:once={chunk},"
        f"in_finish:hold:once={last}"
    )
    job = plant.export()
    for point in (planning, chunk, last):
        eventually(point.exists, seconds=REST_SECONDS, what=f"it is at {point.name}")
        seen = plant.db.ledger.count_documents({"job_id": job}), plant.state(job)
        with failing(plant.db, "commitTransaction", app_name=SLOT, times=times, **how):
            point.write_text("go on")
            eventually(
                lambda seen=seen: _now(plant, job) != seen,  # type: ignore[misc]
                seconds=REST_SECONDS,
                what="it has gone on",
            )
    plant.equals_the_quiet_one(job)
    assert plant.db.audit.count_documents({"job_id": job, "verb": "finish"}) == 1


def _now(plant: Exporter, job: str) -> tuple[int, State]:
    return plant.db.ledger.count_documents({"job_id": job}), plant.state(job)


def frozen(worker: Service) -> list[int]:
    """Stop the worker and its slots; their pids."""
    family = [worker.pid, *worker.children()]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    return family


def thaw(family: list[int]) -> None:
    for pid in family:
        os.kill(pid, signal.SIGCONT)


def orphans(plant: Exporter, job: str) -> set[str]:
    """Objects of parts that no committed chunk names."""
    return {name for name in plant.stored(job) - plant.committed(job) if "/part-" in name}


@pytest.mark.parametrize(
    ("seconds", "killed"), [(0.6, False), (2.0, True)], ids=["its slot lets go", "its slot is killed"]
)
def test_an_export_is_terminated_only_when_what_was_being_written_is_gone(
    plant: Exporter, seconds: float, killed: bool
) -> None:
    worker = plant.exporter()
    slots = slots_of(worker)
    job = plant.export()
    with slow_objects(plant, seconds=seconds):
        plant.until_chunks(job)
        assert plant.client.jobs.terminate(job, reason="the wrong form").state == State.TERMINATING
        plant.until_state(job, State.TERMINATED)
        assert plant.stored(job) == set()
        assert (slots_of(worker) != slots) == killed
    other = plant.export(to_date="2017-08-01T00:02:00Z")
    plant.until_state(other, State.SUCCEEDED)
    assert plant.stored(job) == set(), "nothing has come since"


def test_an_export_whose_worker_died_is_terminated_when_its_lease_is_over(plant: Exporter) -> None:
    worker = plant.exporter(slots=1)
    job = plant.export(rows_per_second=VERY_SLOWLY)
    plant.until_chunks(job)
    worker.kill()
    plant.client.jobs.terminate(job, reason="the wrong form")
    plant.exporter()
    plant.until_state(job, State.TERMINATED, seconds=10 * LEASE_SECONDS)
    assert plant.stored(job) == set()


def test_what_a_worker_writes_that_slept_while_its_export_was_taken_back_it_removes_itself(plant: Exporter) -> None:
    held = plant.marks / "held"
    sleeper = plant.exporter(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={MIDDLE}:once={held}")
    job = plant.export()
    eventually(held.exists, seconds=REST_SECONDS, what="a chunk is written and not committed")
    family = frozen(sleeper)
    plant.exporter()
    plant.client.jobs.terminate(job, reason="the wrong form")
    plant.until_state(job, State.TERMINATED, seconds=REST_SECONDS + LEASE_SECONDS)
    assert plant.stored(job) == set()
    (part,) = [part for part in plant.parts(job) if part["n"] and part.get("writers")]
    name = f"{results.prefix_of(job)}part-{part['n']}-{part['epoch']}-99"
    plant.blobs.write(name, [b"as if it had woken up in the middle of writing"])
    assert [finding.subject for finding in check(plant.db, blobs=plant.blobs)] == [name]
    plant.blobs.delete(name)
    thaw(family)
    after = plant.export(to_date="2017-08-01T00:02:00Z")
    plant.until_state(after, State.SUCCEEDED)
    eventually(lambda: plant.stored(job) == set(), seconds=REST_SECONDS, what="nothing of it is left")


@contextmanager
def slow_objects(plant: Exporter, *, seconds: float) -> Iterator[None]:
    """Meanwhile a slot's object takes so long to appear in the store."""
    data = {
        "failCommands": ["insert"], "appName": SLOT, "namespace": f"{plant.db.db.name}.blobs.files",
        "blockConnection": True, "blockTimeMS": round(seconds * 1000),
    }  # fmt: skip
    admin = plant.db.client.admin
    admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
    try:
        yield
    finally:
        admin.command({"configureFailPoint": "failCommand", "mode": "off"})
