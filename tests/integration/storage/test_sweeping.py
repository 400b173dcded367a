"""An export that is taken back ends only when its objects are swept, and nobody can be writing another one."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from collect.jobs.model import Job, Part
from collect.jobs.outcomes import TakenBack
from collect.jobs.states import State, Verb
from collect.protocol import commits, reaper, verbs
from collect.protocol.lease import Lease, Ticket, claim
from collect.storage import parts, results
from collect.storage.database import Database
from collect.storage.object_store import FileBlobs
from support import exported, protocol_driver


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(folder=tmp_path)


def state(db: Database, job: Job) -> State:
    return protocol_driver.read_job(db, job).state


def writers(db: Database, job: Job, *, lease_seconds: float = protocol_driver.LEASE_SECONDS) -> bool:
    return parts.has_writers(db, job_id=job.id, lease_seconds=lease_seconds)


def lets_go(db: Database, lease: Lease, *, quiet: bool = True) -> None:
    part = lease.part
    verbs.freed(db, part_id=part.id, job_id=part.job_id, session_id=db.session_id(lease.session), quiet=quiet)


def held(db: Database, job: Job, n: int) -> AbstractContextManager[Lease]:
    return protocol_driver.holding(db, job, n)


def test_an_export_that_nobody_has_begun_is_taken_back_at_once(db: Database) -> None:
    job = exported.make(db)
    assert protocol_driver.ask(db, job, Verb.TERMINATE).state is State.TERMINATED


def test_an_export_that_has_committed_nothing_is_swept_before_it_is_terminated(db: Database) -> None:
    job = exported.make(db)
    with held(db, job, 0) as planner:
        assert protocol_driver.ask(db, job, Verb.TERMINATE).state is State.TERMINATING
        lets_go(db, planner)
    with held(db, job, 0) as lease:
        assert lease.part.sweep
        assert not writers(db, job)
        commits.part_done(lease)
    assert state(db, job) is State.TERMINATED


@pytest.mark.parametrize("verb", [Verb.TERMINATE, Verb.UNDO])
def test_the_sweep_comes_after_all_that_was_committed(db: Database, blobs: FileBlobs, verb: Verb) -> None:
    job = exported.make(db)
    exported.plan(db, blobs, job)
    exported.run(db, blobs, job, exported.LINES[:1])
    if verb is Verb.UNDO:
        protocol_driver.ask(db, job, Verb.STOP)
    protocol_driver.ask(db, job, verb)
    with held(db, job, 1) as lease:
        assert not lease.part.sweep
        while lease.part.left:
            entry = db.ledger.find_one({"_id": f"{lease.part.id}:{lease.part.left - 1}"})
            assert entry is not None
            commits.take_back(lease, entry=entry, undo=lambda _: TakenBack(deleted=1, restored=0))
        commits.part_done(lease)
    assert state(db, job) in (State.TERMINATING, State.UNDOING)
    with held(db, job, 0) as lease:
        assert lease.part.sweep
        commits.part_done(lease)
    assert state(db, job) in (State.TERMINATED, State.UNDONE)


def cut(db: Database, job: Job, _part: Part) -> None:
    protocol_driver.ask(db, job, Verb.PAUSE)
    protocol_driver.ask(db, job, Verb.RESUME)


def reaped(db: Database, _job: Job, part: Part) -> None:
    assert reaper.reap(db, part, why="its lease ran out.", expired_only=False).value


def given_away(db: Database, job: Job, part: Part) -> None:
    ticket = Ticket(kind=job.kind, job_id=job.id, part=part.n, ticket=part.ticket)
    session = db.client.start_session()
    claimed = claim(
        db, ticket, redelivered=True, owner="another", session_id=db.session_id(session), lease_seconds=30.0
    )
    assert claimed is not None


@pytest.mark.parametrize("lost", [cut, reaped, given_away])
def test_an_owner_that_lost_its_part_is_waited_for_until_it_lets_go_or_a_lease_is_over(
    db: Database, blobs: FileBlobs, lost: Callable[[Database, Job, Part], None]
) -> None:
    job = exported.make(db)
    exported.plan(db, blobs, job)
    with held(db, job, 1) as lease:
        lost(db, job, lease.part)
        protocol_driver.ask(db, job, Verb.TERMINATE)
        assert writers(db, job), "whatever was published since"
        assert not writers(db, job, lease_seconds=0.0)
        lets_go(db, lease, quiet=False)
        assert writers(db, job), "it was killed, and what it sent last may be under way"
        lets_go(db, lease)
    assert writers(db, job) == (lost is given_away), "the other one has been cut as well"


def test_a_folder_of_files_is_removed_with_what_writes_into_it_have_begun(blobs: FileBlobs, tmp_path: Path) -> None:
    prefix = results.prefix_of("job")
    blobs.write(f"{prefix}part-1-0-0", [b"x"])
    (tmp_path / prefix / ".writing-abc").write_bytes(b"half")
    assert blobs.delete_prefix(prefix) == 1
    assert not (tmp_path / prefix).exists()
