"""What is removed in time and what is left, by two monitors side by side, from MongoDB and from a folder."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bson import ObjectId

from collect.admin.check import check
from collect.errors import NotFound, Transient
from collect.jobs.model import Job, Reason
from collect.jobs.states import State, Verb
from collect.protocol import commits
from collect.storage import files, organisations, results
from collect.storage.database import Database, transact
from collect.storage.files import InputFile
from collect.storage.object_store import CHUNK_BYTES, Blobs, FileBlobs, GridFsBlobs
from monitor.retention import Leftovers, Retention
from support import exported, protocol_driver
from support.monitor_fixtures import side_by_side

DAY = 86_400
KEEP_DAYS = 30


@pytest.fixture(params=["gridfs", "file"])
def blobs(request: pytest.FixtureRequest, db: Database, tmp_path: Path) -> Blobs:
    return GridFsBlobs(db=db) if request.param == "gridfs" else FileBlobs(folder=tmp_path)


@pytest.fixture
def retention(db: Database, blobs: Blobs, clock: protocol_driver.StandingClock) -> Retention:
    return Retention(db=db, blobs=blobs, clock=clock)


@pytest.fixture
def leftovers(db: Database, blobs: Blobs, clock: protocol_driver.StandingClock) -> Leftovers:
    return Leftovers(db=db, blobs=blobs, clock=clock, after_seconds=DAY)


@pytest.fixture(autouse=True)
def _sound(db: Database, blobs: Blobs) -> Iterator[None]:
    yield
    assert check(db, blobs=blobs, patience_seconds=0.0, object_seconds=3600) == []


def names(blobs: Blobs, job: Job) -> set[str]:
    """Of its objects the part and the chunk: whose epoch wrote them is not said."""
    found = [name.rpartition("/")[2] for name, _ in blobs.stored(results.prefix_of(job.id))]
    return {re.sub(r"^part-(\d+)-\d+-", r"part-\1-", name) for name in found}


def both(db: Database, blobs: Blobs, clock: protocol_driver.StandingClock) -> list[int]:
    one, other = (Retention(db=db, blobs=blobs, clock=clock) for _ in range(2))
    return side_by_side(one.tick, other.tick)


def test_a_result_is_kept_for_its_time_and_its_manifest_after_it(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, retention: Retention
) -> None:
    job, other = exported.succeeded(db, blobs), exported.succeeded(db, blobs)
    db.jobs.update_one({"_id": other.id}, {"$set": {"result.expires_at": clock.now() + timedelta(days=90)}})
    clock.advance(KEEP_DAYS * DAY - 60)
    assert retention.tick() == 0
    assert names(blobs, job) >= {"header", "part-1-0"}
    clock.advance(120)
    assert sum(both(db, blobs, clock)) == 1
    assert names(blobs, job) == set()
    assert names(blobs, other) >= {"header", "part-1-0"}
    result = protocol_driver.read_job(db, job).result or {}
    assert (result["expired_at"], result["rows"]) == (clock.now(), 8)
    assert retention.tick() == 0


def test_the_organisation_says_for_how_long(db: Database, blobs: Blobs) -> None:
    organisations.patch(db, org_id=protocol_driver.ORG, limits={"retention_days": 2})
    result = exported.succeeded(db, blobs).result or {}
    assert result["expires_at"] - result["made_at"] == timedelta(days=2)


def test_a_stopped_export_that_nobody_has_asked_for_expires_too_and_has_a_manifest_then(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, retention: Retention
) -> None:
    job = exported.stopped(db, blobs)
    clock.advance(KEEP_DAYS * DAY - 60)
    assert retention.tick() == 0
    clock.advance(120)
    assert sum(both(db, blobs, clock)) == 1
    assert names(blobs, job) == set()
    result = protocol_driver.read_job(db, job).result or {}
    assert (result["rows"], result["complete"], result["sha256"]) == (3, False, None)
    assert [(part["n"], part["rows"]) for part in result["parts"]] == [(1, 3)]
    assert retention.tick() == 0


def test_what_a_failed_export_has_written_expires_too_and_is_not_gone_on_with_then(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, retention: Retention
) -> None:
    job, resumed = failed(db, blobs), failed(db, blobs)
    clock.advance(KEEP_DAYS * DAY - 60)
    assert retention.tick() == 0
    protocol_driver.ask(db, resumed, Verb.RESUME)
    before = names(blobs, resumed)
    clock.advance(120)
    assert sum(both(db, blobs, clock)) == 1
    assert names(blobs, job) == set()
    assert names(blobs, resumed) == before == {"header", "part-1-0", "part-1-1"}
    result = protocol_driver.read_job(db, job).result or {}
    assert (result["rows"], result["complete"], result["expired_at"]) == (3, False, clock.now())
    assert retention.tick() == 0


def failed(db: Database, blobs: Blobs) -> Job:
    """An export whose store was full when its first part was written."""
    job = exported.make(db)
    exported.plan(db, blobs, job)
    exported.run(db, blobs, job, exported.LINES[:1])
    with protocol_driver.holding(db, job, 3) as lease:
        commits.fail(lease, Reason(code="store_full", message="No room."))
    return protocol_driver.read_job(db, job)


def test_a_stopped_export_whose_result_was_asked_for_late_has_its_time_from_then(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, retention: Retention
) -> None:
    job = exported.stopped(db, blobs)
    past = clock.now() - timedelta(days=KEEP_DAYS - 1)
    db.jobs.update_one({"_id": job.id}, {"$set": {"ended_at": past}})
    results.keep_stopped(db, blobs, protocol_driver.read_job(db, job))
    clock.advance(2 * DAY)
    assert retention.tick() == 0
    assert names(blobs, job) == {"header", "part-1-0", "part-1-1"}


def test_what_is_not_finished_is_left_alone_however_old_it_is(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, retention: Retention, leftovers: Leftovers
) -> None:
    job = exported.make(db)
    exported.plan(db, blobs, job)
    exported.run(db, blobs, job, exported.LINES[:1])
    protocol_driver.ask(db, job, Verb.PAUSE)
    before = names(blobs, job)
    clock.advance(1_000 * DAY)
    assert (retention.tick(), leftovers.tick()) == (0, 0)
    assert names(blobs, job) == before == {"header", "part-1-0", "part-1-1"}


def test_an_object_that_was_never_committed_is_removed_when_it_is_old(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, leftovers: Leftovers
) -> None:
    job = exported.succeeded(db, blobs)
    blobs.write(f"{results.prefix_of(job.id)}part-1-1-7", [b"never committed"])
    blobs.write(f"{results.PREFIX}{'0' * 26}/part-1-0-0", [b"of a job that is not there"])
    before = names(blobs, job) - {"part-1-7"}
    assert leftovers.tick() == 0
    clock.advance(DAY + 60)
    other = Leftovers(db=db, blobs=blobs, clock=clock, after_seconds=DAY)
    side_by_side(leftovers.tick, other.tick)
    assert names(blobs, job) == before == {"header", "part-1-0", "part-1-1", "part-3-0"}
    assert {name.split("/")[1] for name, _ in blobs.stored(results.PREFIX)} == {job.id}
    assert leftovers.tick() == 0


def test_of_an_export_that_was_taken_back_nothing_is_left_at_once(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, retention: Retention, leftovers: Leftovers
) -> None:
    jobs = [protocol_driver.ask(db, exported.make(db), verb) for verb in (Verb.TERMINATE, Verb.STOP)]
    protocol_driver.ask(db, jobs[1], Verb.UNDO)
    for job in jobs:
        assert protocol_driver.read_job(db, job).state in {State.TERMINATED, State.UNDONE}
        blobs.write(f"{results.prefix_of(job.id)}part-1-1-0", [b"of a worker that had not heard of it yet"])
    assert retention.tick() == 2
    assert list(blobs.stored(results.PREFIX)) == []
    clock.advance(7_200)
    blobs.write(f"{results.prefix_of(jobs[0].id)}part-1-1-0", [b"while no monitor was there"])
    assert retention.tick() == 0
    assert leftovers.tick() == 1


def sent(db: Database, blobs: Blobs) -> InputFile:
    file = files.store(blobs, org_id=protocol_driver.ORG, name="a.csv", data=[b"x"], max_bytes=9, keep_days=KEEP_DAYS)
    transact(db, lambda tx: files.insert(tx, file))
    return file


def test_an_input_file_is_removed_when_its_time_is_over(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, retention: Retention
) -> None:
    sent(db, blobs)
    clock.advance(KEEP_DAYS * DAY)
    assert retention.tick() == 0
    clock.advance(7_200)
    assert sum(both(db, blobs, clock)) == 1
    assert db.files.count_documents({}) == 0
    assert list(blobs.stored("files/")) == []


def test_an_input_file_is_kept_while_a_job_can_go_on_with_it_or_be_undone(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, retention: Retention, leftovers: Leftovers
) -> None:
    file = sent(db, blobs)
    job = protocol_driver.make_job(db, file=file.ref)
    protocol_driver.ask(db, job, Verb.PAUSE)
    clock.advance((KEEP_DAYS + 1) * DAY)
    assert (retention.tick(), leftovers.tick()) == (0, 0)
    protocol_driver.ask(db, job, Verb.STOP)
    late = clock.now() + timedelta(days=1)
    db.jobs.update_one({"_id": job.id}, {"$set": {"undo_until": late}})
    assert (retention.tick(), leftovers.tick()) == (0, 0)
    assert blobs.size(file.blob) == 1
    clock.advance(2 * DAY)
    assert retention.tick() == 1
    with pytest.raises(NotFound):
        blobs.size(file.blob)


def test_nobody_finds_a_file_whose_time_is_over_though_it_is_there_still(db: Database, blobs: Blobs) -> None:
    file = sent(db, blobs)
    db.files.update_one({"_id": file.id}, {"$set": {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}})
    with pytest.raises(NotFound):
        files.get(db, org_id=protocol_driver.ORG, file_id=file.id)


def test_what_receivings_and_plans_have_left_that_were_killed_is_removed_when_it_is_old(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, leftovers: Leftovers
) -> None:
    file = sent(db, blobs)
    job = protocol_driver.make_job(db, file=file.ref)
    protocol_driver.plan(db, job, [1])
    protocol_driver.ask(db, job, Verb.PAUSE)
    used = f"jobs/{job.id}/input-a-1"
    db.parts.update_one({"_id": f"{job.id}:1"}, {"$set": {"source": {"blob": used}}})
    for name in (used, f"jobs/{job.id}/input-b-1", f"files/{protocol_driver.ORG}/{'0' * 26}"):
        blobs.write(name, [b"x"])
    assert leftovers.tick() == 0
    clock.advance(DAY + 60)
    assert leftovers.tick() == 2
    assert {name for name, _ in blobs.stored()} == {used, file.blob}


def test_what_a_write_has_left_that_was_killed_in_the_middle_is_removed_when_it_is_old(
    db: Database, blobs: Blobs, clock: protocol_driver.StandingClock, leftovers: Leftovers, tmp_path: Path
) -> None:
    if isinstance(blobs, FileBlobs):
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / ".writing-abc").write_bytes(b"half")
    else:
        db["blobs.chunks"].insert_one({"files_id": ObjectId(), "n": 0, "data": b"x" * CHUNK_BYTES})
    assert leftovers.tick() == 0
    clock.advance(DAY + 60)
    assert (leftovers.tick(), leftovers.tick()) == (1, 0)
    assert db["blobs.chunks"].count_documents({}) == 0
    assert not list(tmp_path.rglob(".writing-*"))


def test_a_store_that_refuses_is_said_to_and_nothing_is_said_to_be_removed(
    db: Database, tmp_path: Path, clock: protocol_driver.StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = FileBlobs(folder=tmp_path)
    made = [exported.succeeded(db, blobs) for _ in range(3)]
    clock.advance((KEEP_DAYS + 1) * DAY)

    def refuses(_path: Path, *, missing_ok: bool) -> None:
        raise PermissionError(13, os.strerror(13))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuses)
        with pytest.raises(Transient, match="Permission denied"):
            Retention(db=db, blobs=blobs, clock=clock).tick()
    assert all((protocol_driver.read_job(db, job).result or {})["expired_at"] is None for job in made)
    assert Retention(db=db, blobs=blobs, clock=clock).tick() == 3
