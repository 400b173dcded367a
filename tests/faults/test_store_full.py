"""F35: no room left, in the file store and under MongoDB. What fails says so, and goes on when there is room again."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pymongo.errors import PyMongoError

from collect.jobs.states import State
from collect.testing.system import eventually
from faults.conftest import opened
from faults.mongod import Mongod, fill, small_disk
from support.servers import Servers
from support.system_under_test import REST_SECONDS, Plant

ROWS = 40_000
DISK_MEGABYTES = 48
MONGODB_MEGABYTES = 512
KILOBYTE, MEGABYTE = 1024, 1024 * 1024


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """A small disk for the files."""
    with small_disk(tmp_path / "files", megabytes=DISK_MEGABYTES) as disk:
        yield disk


@pytest.fixture
def on_a_small_disk(
    servers: Servers, mongodb_url: str, redis_url: str, management_url: str, tmp_path: Path, store: Path
) -> Iterator[Plant]:
    """A plant that keeps its files there."""
    with opened(
        servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url, folder=tmp_path / "plant",
        STORAGE_URL=f"file://{store}",
    ) as plant:  # fmt: skip
        yield plant


def test_f35_a_full_file_store_refuses_what_does_not_fit_and_fails_a_plan_that_needs_room(
    on_a_small_disk: Plant, store: Path
) -> None:
    plant = on_a_small_disk
    path = plant.file(rows=ROWS)
    ballast = fill(store, leave=MEGABYTE)
    answer = requests.post(
        f"{plant.url}/v1/files?name=big.csv", data=path.read_bytes(), timeout=60,
        headers={"Authorization": f"Bearer {plant.token}"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (503, "store_full")
    assert plant.db.files.count_documents({}) == 0
    assert [found.name for found in store.rglob("*") if found.is_file()] == [ballast.name]
    ballast.unlink()
    _a_plan_that_needs_room(plant, store)


def _a_plan_that_needs_room(plant: Plant, store: Path) -> None:
    """A gzip is written anew, so that its parts can be entered."""
    held = plant.folder / "held"
    plant.worker(COLLECT_FAULT_POINTS=f"in_plan:hold:once={held}")
    packed = plant.folder / "packed.csv.gz"
    packed.write_bytes(gzip.compress(plant.file(rows=ROWS).read_bytes()))
    job = plant.upload(packed)
    eventually(held.exists, seconds=REST_SECONDS, what="it is being planned")
    ballast = fill(store, leave=64 * KILOBYTE)
    held.write_text("go on")
    plant.until_state(job, State.FAILED)
    reason = plant.client.jobs.get(job).reason
    assert reason is not None
    assert (reason.code, reason.hint) == ("store_full", "Make room, then resume.")
    assert all(part["losses"] == 0 for part in plant.parts(job))
    ballast.unlink()
    plant.client.jobs.resume(job, reason="there is room")
    plant.succeeded(job, rows=ROWS)


def test_f35_a_database_without_room_ends_and_the_job_goes_on_when_there_is_some(
    servers: Servers, redis_url: str, management_url: str, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "mongodb", megabytes=MONGODB_MEGABYTES) as disk:
        mongod = Mongod(disk)
        mongod.child.start()
        try:
            with opened(
                servers, mongodb_url=mongod.url, redis_url=redis_url, management_url=management_url,
                folder=tmp_path / "plant",
            ) as plant:  # fmt: skip
                _fills_up(plant, mongod, disk)
        finally:
            mongod.child.kill()


def _fills_up(plant: Plant, mongod: Mongod, disk: Path) -> None:
    worker = plant.worker()
    job = plant.upload(plant.file(rows=ROWS), rows_per_second=500)
    plant.until_written(job)
    ballast = fill(disk)
    eventually(lambda: _has_ended(mongod), seconds=REST_SECONDS, what="the server has found no room")
    os.unlink(ballast)
    mongod.child.start()
    plant.client.jobs.patch(job, max_rows_per_second=None)
    plant.succeeded(job, rows=ROWS)
    assert worker.process.poll() is None


def _has_ended(mongod: Mongod) -> bool:
    """It ends when it cannot write, which a checkpoint makes it do."""
    try:
        mongod.command("fsync")
    except PyMongoError:
        return not mongod.child.is_running()
    return False
