"""Exports that people stop, pause, take back, and that find no room; and responses that change under them."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from collect.client.errors import ApiError
from collect.jobs.states import State
from collect.storage import results
from collect.testing.system import eventually
from faults.conftest import opened
from faults.exporter import ROWS, VERY_SLOWLY, Exporter, most_megabytes, slots_of, table
from faults.mongod import fill, small_disk
from support.servers import Servers
from support.system_under_test import REST_SECONDS

MEGABYTE = 1024 * 1024
DISK_MEGABYTES = 64
MOST_MEGABYTES = 300
"""Of a slot, whatever it does."""
GONE_SECONDS = 1.0
NOBODY = [{"field": "name", "op": "eq", "value": "nobody"}]


@pytest.fixture(scope="module")
def standing(
    servers: Servers, mongodb_url: str, redis_url: str, management_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exporter]:
    """An exporter for the module's tests, whose files stand on a small disk."""
    with (
        small_disk(tmp_path_factory.mktemp("disk"), megabytes=DISK_MEGABYTES) as disk,
        opened(
            servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url,
            folder=tmp_path_factory.mktemp("exporter"), kind=Exporter, STORAGE_URL=f"file://{disk}",
            COLLECT_RETENTION_TICK_SECONDS="1",
        ) as plant,
    ):  # fmt: skip
        assert isinstance(plant, Exporter)
        plant.disk = disk
        yield plant


@pytest.fixture
def plant(standing: Exporter, tmp_path: Path) -> Iterator[Exporter]:
    """The module's exporter, without workers, jobs and objects. It is sound when the test ends."""
    with standing.lent(tmp_path) as plant:
        yield plant


def test_stop_keeps_what_is_there_and_says_that_it_is_not_all(plant: Exporter) -> None:
    plant.exporter()
    job = plant.export(rows_per_second=VERY_SLOWLY)
    plant.until_chunks(job, more_than=1)
    assert plant.client.jobs.stop(job, reason="enough").state == State.STOPPED
    there = plant.client.jobs.get(job).progress.succeeded
    assert 0 < there < ROWS
    manifest = plant.client.jobs.manifest(job)
    assert (manifest.complete, manifest.rows) == (False, there)
    quiet, found = plant.quiet(), plant.result(job)
    header = quiet[: quiet.index(b"\n") + 1]
    assert found.startswith(header)
    assert len(list(csv.reader(io.StringIO(found.decode(), newline="")))) == there + 1
    parts = [plant.part(job, part.n) for part in manifest.parts]
    assert header + b"".join(parts) == found
    assert all(part in quiet for part in parts), "of each part as much as stands one behind the other"
    assert plant.result(job) == found, "it is made once"


def test_pause_frees_slot_and_cursor_and_resume_goes_on_at_the_key(plant: Exporter) -> None:
    plant.exporter()
    job = plant.export(rows_per_second=VERY_SLOWLY)
    plant.until_chunks(job)
    plant.client.jobs.pause(job, reason="wait")
    chunks, committed = plant.chunks(job), plant.committed(job)
    eventually(lambda: not plant.queries(), seconds=GONE_SECONDS, what="the server does nothing for it any more")
    eventually(lambda: _slots_are_free(plant, job), seconds=REST_SECONDS, what="its slots are free")
    assert plant.leased(job) == []
    other = plant.export(filters=NOBODY)
    plant.until_state(other, State.SUCCEEDED)
    assert (plant.chunks(job), plant.queries()) == (chunks, [])
    plant.client.jobs.patch(job, max_rows_per_second=None)
    plant.client.jobs.resume(job, reason="go on")
    plant.equals_the_quiet_one(job)
    assert committed < plant.committed(job), "what was there is still part of it"


def test_stop_ends_the_query_that_is_running_however_long_it_would_take(plant: Exporter) -> None:
    plant.exporter()
    job = plant.export(filters=NOBODY, rows_per_second=VERY_SLOWLY)
    plant.until_chunks(job)
    with _held_up(plant):
        eventually(lambda: _at_work(plant), seconds=30, what="the server looks for what is not there")
        assert plant.client.jobs.stop(job, reason="it finds nothing").state == State.STOPPED
        eventually(lambda: not plant.queries(), seconds=GONE_SECONDS, what="the query is gone from the server")
    other = plant.export(to_date="2017-08-01T00:02:00Z")
    plant.until_state(other, State.SUCCEEDED)
    assert plant.queries() == []


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_terminate_and_undo_remove_every_object(plant: Exporter, format_: str) -> None:
    plant.exporter()
    half = plant.export(format=format_, rows_per_second=VERY_SLOWLY)
    plant.until_chunks(half, more_than=1)
    assert plant.stored(half)
    plant.client.jobs.terminate(half, reason="the wrong form")
    whole = plant.export(format=format_)
    plant.until_state(whole, State.SUCCEEDED)
    assert plant.stored(whole)
    plant.client.jobs.undo(whole, reason="not wanted")
    for job, state in ((half, State.TERMINATED), (whole, State.UNDONE)):
        plant.until_state(job, state)
        assert not plant.stored(job), "nothing is left when it says so"
        with pytest.raises(ApiError) as refused:
            plant.client.jobs.manifest(job)
        assert refused.value.status == 409
    assert list(plant.blobs.stored(results.PREFIX)) == []


def test_f35_a_full_store_fails_the_job_with_the_reason_and_room_lets_it_go_on(plant: Exporter) -> None:
    plant.exporter()
    job = plant.export(rows_per_second=VERY_SLOWLY)
    plant.until_chunks(job)
    assert plant.disk is not None
    ballast = fill(plant.disk, leave=64 * 1024)
    plant.hurry(job)
    plant.until_state(job, State.FAILED)
    reason = plant.client.jobs.get(job).reason
    assert reason is not None
    assert (reason.code, reason.hint) == ("store_full", "Make room, then resume.")
    assert all(part["losses"] == 0 for part in plant.parts(job))
    plant.sound()
    ballast.unlink()
    plant.client.jobs.resume(job, reason="there is room")
    plant.equals_the_quiet_one(job)


def test_f35_a_store_without_room_for_the_whole_file_fails_it_as_well(plant: Exporter) -> None:
    held = plant.marks / "held"
    plant.quiet("parquet")
    worker = plant.exporter(COLLECT_FAULT_POINTS=f"in_finish:hold:once={held}")
    job = plant.export(format="parquet")
    eventually(held.exists, seconds=REST_SECONDS, what="it is finishing")
    assert plant.disk is not None
    ballast = fill(plant.disk, leave=64 * 1024)
    held.write_text("go on")
    plant.until_state(job, State.FAILED)
    reason = plant.client.jobs.get(job).reason
    assert reason is not None
    assert reason.code == "store_full"
    ballast.unlink()
    plant.client.jobs.resume(job, reason="there is room")
    plant.equals_the_quiet_one(job, "parquet")
    assert max(map(most_megabytes, slots_of(worker))) <= MOST_MEGABYTES


def test_responses_that_change_or_go_meanwhile_are_as_they_are_found_and_counted_so(plant: Exporter) -> None:
    plant.exporter()
    job = plant.export(rows_per_second=VERY_SLOWLY)
    plant.until_chunks(job)
    plant.client.jobs.pause(job, reason="wait")
    eventually(lambda: not plant.queries(), seconds=REST_SECONDS, what="nothing is read any more")
    ahead = list(plant.db.responses.find().sort([("submitted_at", -1), ("_id", -1)]).limit(50))
    gone, changed = ahead[:30], ahead[30:]
    plant.db.responses.delete_many({"_id": {"$in": [response["_id"] for response in gone]}})
    plant.db.responses.update_many(
        {"_id": {"$in": [response["_id"] for response in changed]}}, {"$set": {"name": "changed"}}
    )
    try:
        plant.client.jobs.patch(job, max_rows_per_second=None)
        plant.client.jobs.resume(job, reason="go on")
        plant.until_state(job, State.SUCCEEDED)
        progress = plant.client.jobs.get(job).progress
        rows = list(csv.DictReader(io.StringIO(plant.result(job).decode(), newline="")))
    finally:
        plant.db.responses.delete_many({"_id": {"$in": [response["_id"] for response in changed]}})
        plant.db.responses.insert_many(ahead)
    assert (progress.succeeded, progress.total, progress.percent) == (ROWS - 30, ROWS - 30, 100.0)
    assert sum(part["counts"]["left_out"] for part in plant.parts(job)) == 30
    by_id = {row["response_id"]: row["name"] for row in rows}
    assert len(rows) == len(by_id) == ROWS - 30
    assert not {response["_id"] for response in gone} & set(by_id)
    assert {by_id[response["_id"]] for response in changed} == {"changed"}


def test_a_stopped_parquet_export_is_had_part_by_part(plant: Exporter) -> None:
    plant.exporter()
    job = plant.export(format="parquet", rows_per_second=VERY_SLOWLY)
    plant.until_chunks(job, more_than=1)
    plant.client.jobs.stop(job, reason="enough")
    answer = requests.get(
        f"{plant.url}/v1/jobs/{job}/result", headers={"Authorization": f"Bearer {plant.token}"}, timeout=60
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "no_joined_result")
    manifest = plant.client.jobs.manifest(job)
    tables = [table(plant.part(job, part.n)) for part in manifest.parts]
    assert sum(found.num_rows for found in tables) == manifest.rows == plant.client.jobs.get(job).progress.succeeded


@contextmanager
def _held_up(plant: Exporter) -> Iterator[None]:
    """Meanwhile a query about responses comes to its end on the server only when it is interrupted."""
    point: dict[str, Any] = {"configureFailPoint": "waitInFindBeforeMakingBatch"}
    of = {"nss": f"{plant.db.db.name}.responses", "shouldCheckForInterrupt": True}
    plant.db.client.admin.command({**point, "mode": "alwaysOn", "data": of})
    try:
        yield
    finally:
        plant.db.client.admin.command({**point, "mode": "off"})


def _at_work(plant: Exporter) -> bool:
    """Whether the server has been at a query about responses for a while."""
    return any(found.get("active") and found.get("microsecs_running", 0) > 200_000 for found in plant.queries())


def _slots_are_free(plant: Exporter, job: str) -> bool:
    action = plant.client.jobs.get(job).last_action
    return action is not None and action.slots_free_at is not None
