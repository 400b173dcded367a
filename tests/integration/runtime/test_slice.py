"""One slice on a real database: how far it gets, what it says and when, and how it ends."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pymongo.client_session import ClientSession

from collect.errors import ChunkTooBig, NotFound, Transient
from collect.jobs.model import OUT, Job, Part
from collect.jobs.states import State, Verb
from collect.protocol import maintenance
from collect.runtime import pacing
from collect.runtime.ipc import Alive, Ended, Ending, Look, Publish, Report
from collect.runtime.task import Applied, Chunk, ChunkSize
from collect.storage.database import Database, now
from integration.storage.failpoints import failing
from support.protocol_driver import ask, make_job, plan, read_job, read_part
from support.slots import Numbers, Slot


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice is over before its first chunk is made."""
    monkeypatch.setattr(pacing, "SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS", 0.0)


def planned(db: Database, *totals: int, dataset: str = "baseline") -> Job:
    """A job whose parts have so many rows; the first is queued."""
    job = make_job(db, dataset=dataset)
    plan(db, job, totals)
    return job


def ending(heard: list[Report]) -> Ending:
    assert isinstance(heard[-1], Ended)
    return heard[-1].ending


@pytest.mark.usefixtures("in_a_hurry")
def test_a_slice_that_is_over_before_its_first_chunk_commits_it_all_the_same(db: Database) -> None:
    job = planned(db, 12)
    make_job(db, dataset="another")
    assert ending(Slot(db, Numbers()).run(job, 1)) is Ending.RELEASED
    assert read_part(db, job, 1).seq == 1


@pytest.mark.usefixtures("in_a_hurry")
def test_a_slice_that_is_over_before_its_first_entry_takes_that_one_back_all_the_same(db: Database) -> None:
    job = planned(db, 12)
    slot = Slot(db, Numbers())
    slot.run(job, 1)
    ask(db, job, Verb.STOP)
    ask(db, job, Verb.UNDO)
    entries = read_part(db, job, 1).left
    assert entries > 1
    make_job(db, dataset="another")
    assert ending(slot.run(job, 1)) is Ending.RELEASED
    assert read_part(db, job, 1).left == entries - 1


class Greedy(Numbers):
    """Its chunks fit with up to so many rows."""

    def __init__(self, *, fits: int) -> None:
        super().__init__()
        self.fits = fits

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        applied = super().apply(job, part, chunk, entry_id=entry_id, session=session)
        if chunk.rows > self.fits:
            raise ChunkTooBig("It is too big.", where=f"row {part.counts.done + 1}", rows=chunk.rows)
        return applied


def test_a_chunk_that_is_too_big_is_tried_again_with_half_of_its_own_rows(db: Database) -> None:
    class Short(Greedy):
        """As a task whose chunks have few rows for their bytes."""

        def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
            yield from super().chunks(job, part, ChunkSize(rows=min(size.rows, 3)))

    task = Short(fits=1)
    job = planned(db, 3)
    assert ending(Slot(db, task).run(job, 1)) is Ending.COMPLETED
    assert task.tried == [3, 1, 1, 1]


def test_a_limit_that_came_after_a_chunk_was_made_does_not_make_it_a_chunk_of_one_row(db: Database) -> None:
    task = Greedy(fits=2)
    job = planned(db, 4)
    slot = Slot(db, task)

    def slow_down() -> None:
        db.jobs.update_one({"_id": job.id}, {"$set": {"max_rows_per_second": 5.0}})
        slot.tell(Look(run=1))

    task.meanwhile = slow_down
    assert ending(slot.run(job, 1)) is Ending.COMPLETED
    assert task.tried[:2] == [4, 1]


def test_a_slot_that_rests_goes_on_at_once_when_the_limit_is_lifted(db: Database) -> None:
    job = planned(db, 12)
    db.jobs.update_one({"_id": job.id}, {"$set": {"max_rows_per_second": 0.01}})
    slot = Slot(db, Numbers())

    def lift() -> None:
        db.jobs.update_one({"_id": job.id}, {"$set": {"max_rows_per_second": None}})
        slot.tell(Look(run=1))

    slot.control.meanwhile = lift
    assert ending(slot.run(job, 1)) is Ending.COMPLETED


@pytest.mark.usefixtures("in_a_hurry")
def test_a_job_that_has_to_rest_gives_its_slot_to_another_one_and_none_of_its_parts_goes_out(db: Database) -> None:
    job = planned(db, 12, 12)
    db.jobs.update_one({"_id": job.id}, {"$set": {"max_rows_per_second": 0.01}})
    make_job(db, dataset="another")
    assert ending(Slot(db, Numbers()).run(job, 1)) is Ending.RELEASED
    assert read_part(db, job, 1).counts.succeeded == 1
    assert db.parts.count_documents({"job_id": job.id, "status": {"$in": OUT}}) == 0
    assert job.id not in [runnable.id for runnable in maintenance.runnable_jobs(db)]
    assert maintenance.publish_runnable(db, job.id).value == 0
    db.jobs.update_one({"_id": job.id}, {"$set": {"max_rows_per_second": 10.0}})
    assert maintenance.publish_runnable(db, job.id).value == 2


def test_an_owner_lets_its_part_go_when_its_job_rests(db: Database) -> None:
    job = planned(db, 12, 12)
    slot = Slot(db, Numbers())
    rest = {"until": now() + timedelta(hours=1), "rows_per_second": 1_000.0}

    def begin_to_rest() -> None:
        db.jobs.update_one({"_id": job.id}, {"$set": {"max_rows_per_second": 1_000.0, "rest": rest}})
        slot.tell(Look(run=1))

    slot.task.meanwhile = begin_to_rest
    assert ending(slot.run(job, 1)) is Ending.RELEASED
    assert 0 < read_part(db, job, 1).counts.succeeded < 12


def test_one_row_that_is_too_big_is_refused_by_its_name(db: Database) -> None:
    job = planned(db, 4)
    assert ending(Slot(db, Greedy(fits=0)).run(job, 1)) is Ending.FAILED
    reason = read_job(db, job).reason
    assert reason is not None
    assert (reason.code, reason.where) == ("chunk_too_big", "row 1")


def test_the_next_slice_begins_with_big_chunks_again(db: Database) -> None:
    task = Greedy(fits=1)
    slot = Slot(db, task)
    job = planned(db, 4, 4)
    slot.run(job, 1)
    task.fits, task.tried = 100, []
    slot.run(job, 2)
    assert task.tried == [4]


CROWDED = 388
"""TransactionTooLargeForCache: the server holds too much else that is not yet written down. In the tests that use it
the first transaction is the one that sets the job running; it is left for others to do."""


def test_a_chunk_that_the_database_cannot_hold_beside_all_else_is_tried_again_with_half_of_its_rows(
    db: Database,
) -> None:
    job = planned(db, 4)
    task = Numbers()
    with failing(db, "commitTransaction", app_name="tests", times=2, errorCode=CROWDED):
        assert ending(Slot(db, task).run(job, 1)) is Ending.COMPLETED
    assert task.tried == [4, 2, 2]
    assert read_part(db, job, 1).counts.succeeded == 4


def test_where_not_even_a_row_can_be_held_the_part_goes_back_and_loses_nothing(db: Database) -> None:
    job = planned(db, 4)
    slot = Slot(db, Numbers())
    with failing(db, "commitTransaction", app_name="tests", times=4, errorCode=CROWDED):
        assert ending(slot.run(job, 1)) is Ending.RELEASED
    part = read_part(db, job, 1)
    assert (part.losses, part.seq) == (0, 0)
    assert ending(slot.run(job, 1)) is Ending.COMPLETED


def test_an_entry_whose_undo_cannot_be_held_is_taken_back_by_the_next_slice(db: Database) -> None:
    job = planned(db, 4)
    slot = Slot(db, Numbers())
    slot.run(job, 1)
    ask(db, job, Verb.STOP)
    ask(db, job, Verb.UNDO)
    with failing(db, "commitTransaction", app_name="tests", times=1, errorCode=CROWDED):
        assert ending(slot.run(job, 1)) is Ending.RELEASED
    assert read_part(db, job, 1).losses == 0
    assert ending(slot.run(job, 1)) is Ending.COMPLETED


def test_a_file_that_is_not_there_fails_the_job_and_says_so(db: Database) -> None:
    class Lost(Numbers):
        def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
            yield from ()
            raise NotFound("There is no blob 'files/1'.")

    job = planned(db, 4)
    assert ending(Slot(db, Lost()).run(job, 1)) is Ending.FAILED
    failed = read_job(db, job)
    assert failed.state is State.FAILED
    assert failed.reason is not None
    assert (failed.reason.code, failed.reason.message) == ("file_missing", "There is no blob 'files/1'.")
    assert read_part(db, job, 1).losses == 0


def test_a_store_that_does_not_answer_puts_the_part_off_and_the_job_says_so(db: Database) -> None:
    class Away(Numbers):
        def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
            yield from ()
            raise Transient("The file store did not answer.")

    job = planned(db, 4, 4)
    assert ending(Slot(db, Away()).run(job, 1)) is Ending.RELEASED
    put_off = read_job(db, job)
    assert put_off.state is State.RUNNING
    assert put_off.reason is not None
    assert put_off.reason.code == "put_off"
    assert put_off.reason.message.endswith(" UTC it could not go on: The file store did not answer.")
    assert read_part(db, job, 1).losses == 0
    assert ending(Slot(db, Numbers()).run(job, 1)) is Ending.COMPLETED
    assert read_job(db, job).reason is None


def test_that_a_job_runs_is_published_before_its_first_chunk(db: Database) -> None:
    job = planned(db, 12)
    ask(db, job, Verb.PAUSE)
    ask(db, job, Verb.RESUME)
    heard = Slot(db, Numbers()).run(job, 1)
    kinds = [type(report) for report in heard]
    assert kinds.index(Publish) < kinds.index(Alive)
