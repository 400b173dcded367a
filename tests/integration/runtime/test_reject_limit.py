"""A job pauses itself with the first reject above its limit, whatever its chunks and parts are."""

from collections.abc import Callable, Iterable, Iterator
from threading import Barrier, Thread
from typing import Any

import pytest
from pymongo.client_session import ClientSession

from collect.errors import FieldError
from collect.jobs.model import Job, MaxRejected, Part
from collect.jobs.outcomes import Reject
from collect.jobs.states import State, Verb
from collect.runtime.ipc import Look
from collect.runtime.task import Applied, Chunk, ChunkRows, ChunkSize
from collect.storage import parts
from collect.storage.database import Database
from support.protocol_driver import ask, make_job, plan, read_job, read_part
from support.slots import Numbers, Slot

ERROR = FieldError("n", "not_an_integer", "It is no whole number.")
ROWS = 1_000
PART_ROWS = 100_000
"""Row numbers of a part begin at this times its number."""


class Doubtful(Numbers):
    """A task that rejects the rows with these numbers; a chunk has up to a thousand rows."""

    rows = ChunkRows(first=1_000, fewest=1_000, most=1_000)

    def __init__(self, bad: Iterable[int]) -> None:
        super().__init__()
        self.bad = frozenset(bad)
        self.before_commit: Callable[[], object] | None = None
        """Called once, within the transaction of the first chunk."""

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        done, first = part.counts.done, part.n * PART_ROWS + 1
        while done < part.total:
            numbers = range(first + done, first + done + min(size.rows, part.total - done))
            wrong = tuple(Reject(row=row, line="x", errors=(ERROR,)) for row in numbers if row in self.bad)
            done += len(numbers)
            yield Chunk(cursor={"row": done}, rows=len(numbers), payload=None, rejects=wrong, numbers=numbers)

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        self.tried.append(chunk.rows)
        rejected = len(chunk.rejects)
        applied = Applied(
            succeeded=chunk.rows - rejected, rejected=rejected, created=0, changed=0, rejects=chunk.rejects, undo={}
        )
        before_commit, self.before_commit = self.before_commit, None
        if before_commit is not None:
            before_commit()
        return applied


def planned(db: Database, *totals: int, **limit: Any) -> Job:
    job = make_job(db, max_rejected=MaxRejected(**limit) if limit else None)
    plan(db, job, totals)
    return read_job(db, job)


def numbers(*rows: int, part: int = 1) -> set[int]:
    """The numbers of the part's rows at these places (from 1)."""
    return {part * PART_ROWS + row for row in rows}


def run_off(db: Database, job: Job, task: Doubtful) -> None:
    """All parts, one after the other, and the finish."""
    slot = Slot(db, task)
    for part in [*parts.of_job(db, job_id=job.id)[1:], read_part(db, job, 0)]:
        if read_job(db, job).state in (State.QUEUED, State.RUNNING):
            slot.run(job, part.n)


def outcome(db: Database, job: Job) -> tuple[str, int, int]:
    """State, rows written, rows rejected."""
    counts = parts.counted(db, job_ids=[job.id])[job.id]
    return read_job(db, job).state.value, counts.succeeded, counts.rejected


def test_n_rejects_keep_to_a_limit_of_n(db: Database) -> None:
    job = planned(db, ROWS, rows=10)
    run_off(db, job, Doubtful(numbers(*range(1, 11))))
    assert outcome(db, job) == ("succeeded", 990, 10)


def test_one_reject_more_pauses_with_that_row(db: Database) -> None:
    job = planned(db, ROWS, rows=10)
    run_off(db, job, Doubtful(numbers(*range(90, 101))))
    assert outcome(db, job) == ("paused", 89, 11)


def test_no_reject_keeps_to_a_limit_of_none(db: Database) -> None:
    job = planned(db, ROWS, rows=0)
    run_off(db, job, Doubtful(()))
    assert outcome(db, job) == ("succeeded", ROWS, 0)


def test_a_chunk_of_a_thousand_bad_rows_pauses_a_limit_of_ten_with_the_eleventh(db: Database) -> None:
    job = planned(db, ROWS, rows=10)
    task = Doubtful(numbers(*range(1, ROWS + 1)))
    run_off(db, job, task)
    assert outcome(db, job) == ("paused", 0, 11)
    assert task.tried == [ROWS, 11]
    reason = read_job(db, job).reason
    assert reason is not None
    assert reason.message.startswith("11 rows were rejected; 10 were allowed.")
    assert "It had looked at 11 of 1,000 rows" in reason.message
    assert db.rejects.count_documents({"job_id": job.id}) == 11


def test_a_running_total_is_cut_in_the_chunk_that_passes_it(db: Database) -> None:
    job = planned(db, 5_000, rows=10)
    run_off(db, job, Doubtful(numbers(*range(300, 5_000, 300))))
    assert outcome(db, job) == ("paused", 3_289, 11)


def test_the_rows_behind_are_read_after_resume_and_counted_anew(db: Database) -> None:
    job = planned(db, ROWS, rows=10)
    task = Doubtful(numbers(*range(1, 31)))
    run_off(db, job, task)
    ask(db, job, Verb.RESUME)
    run_off(db, job, task)
    assert outcome(db, job) == ("paused", 0, 22)
    reason = read_job(db, job).reason
    assert reason is not None
    assert reason.message.startswith("11 rows were rejected since it was resumed; 10 were allowed.")
    ask(db, job, Verb.RESUME)
    run_off(db, job, task)
    assert outcome(db, job) == ("succeeded", 970, 30)


def test_a_share_is_of_the_files_rows(db: Database) -> None:
    job = planned(db, ROWS, ROWS, percent=1)
    run_off(db, job, Doubtful(numbers(*range(1, 12)) | numbers(*range(1, 12), part=2)))
    assert outcome(db, job) == ("paused", 989, 21)


def test_all_parts_count_together(db: Database) -> None:
    job = planned(db, ROWS, ROWS, ROWS, rows=10)
    bad = numbers(*range(1, 7)) | numbers(*range(1, 5), part=2) | numbers(500, 501, part=3)
    run_off(db, job, Doubtful(bad))
    assert outcome(db, job) == ("paused", 994 + 996 + 499, 11)


def test_a_limit_that_is_lowered_is_heeded_within_a_chunk_though_no_row_is_rejected_any_more(db: Database) -> None:
    job = planned(db, 5_000, rows=100)
    task = Doubtful(numbers(*range(1, 21)))
    slot = Slot(db, task)

    def lower() -> None:
        db.jobs.update_one({"_id": job.id}, {"$set": {"max_rejected": {"rows": 5}}})
        slot.tell(Look(run=1))

    task.before_commit = lower
    slot.run(job, 1)
    assert outcome(db, job) == ("paused", 1_980, 20)  # the slot hears of it between two chunks


def test_two_parts_at_once_pass_the_limit_by_a_reject_each_at_most(db: Database) -> None:
    job = planned(db, ROWS, ROWS, rows=10)
    task_of = {n: Doubtful(numbers(*range(1, ROWS + 1), part=n)) for n in (1, 2)}
    meet = Barrier(2, timeout=20)
    for task in task_of.values():
        task.before_commit = meet.wait
    threads = [Thread(target=Slot(db, task).run, args=(job, n)) for n, task in task_of.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    state, written, rejected = outcome(db, job)
    assert (state, written) == ("paused", 0)
    assert 11 <= rejected <= 12


@pytest.mark.parametrize("limit", [{"rows": 1_000_000}, {"percent": 100}])
def test_a_wide_limit_leaves_chunks_as_they_are(db: Database, limit: dict[str, Any]) -> None:
    job = planned(db, 2_000, **limit)
    task = Doubtful(numbers(*range(1, 2_001)))
    run_off(db, job, task)
    assert (outcome(db, job), task.tried) == (("succeeded", 0, 2_000), [1_000, 1_000])
