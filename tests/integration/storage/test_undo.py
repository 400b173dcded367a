"""Taking back: first before-images, conflicts that are left and listed, and trying again."""

import itertools

import pytest

from collect.errors import Fenced
from collect.jobs.states import State, Verb
from collect.protocol import reaper
from collect.storage import ledger, parts
from collect.storage.database import Database
from integration.storage.hands import (
    ORG,
    Hand,
    dataset,
    do,
    make,
    newest,
    now_is,
    rows,
    run_until_rest,
    snapshot,
    state_of,
    take_hold,
)


def edit(db: Database, key: str) -> None:
    """A person changes a row by hand."""
    db.rows.update_one({"_id": key}, {"$set": {"value": -9, "written_by": "somebody"}})


def test_undo_restores_what_was_there_before_document_for_document(db: Database) -> None:
    make(db, [[("a", 1), ("b", 2)], [("c", 3)]])
    run_until_rest(db)
    before = snapshot(db, "rows")
    job = make(db, [[("a", 10), ("new", 11)], [("c", 12), ("newer", 13)]])
    run_until_rest(db)
    assert dataset(db)["a"][0] == 10
    do(db, job, Verb.UNDO)
    run_until_rest(db)
    assert snapshot(db, "rows") == before
    undone = now_is(db, job)
    assert (undone.state, undone.conflicts, undone.result) == (State.UNDONE, 0, None)


@pytest.mark.parametrize("order", list(itertools.permutations(range(1, 4))))
def test_parts_that_touched_the_same_rows_are_taken_back_in_any_order(db: Database, order: tuple[int, ...]) -> None:
    make(db, [[("shared", 1), ("other", 2)]])
    run_until_rest(db)
    before = snapshot(db, "rows")
    job = make(db, [[("shared", 10), ("x", 1)], [("shared", 20), ("x", 2)], [("other", 30), ("shared", 31)]])
    hand = Hand(db)
    assert hand.claim(newest(db, job))
    hand.step()
    for n in order:
        assert hand.claim(newest(db, job, part=n))
        hand.work_off()
    assert {key: value for key, (value, _) in dataset(db).items()} == {"shared": 31, "other": 30, "x": 2}
    do(db, job, Verb.TERMINATE)
    for n in reversed(order):
        assert hand.claim(newest(db, job, part=n))
        hand.work_off()
    assert snapshot(db, "rows") == before
    assert state_of(db, job) is State.TERMINATED


def test_a_row_that_somebody_else_has_changed_is_left_alone_and_listed(db: Database) -> None:
    job = make(db)
    run_until_rest(db)
    edit(db, "key-0-0")
    do(db, job, Verb.UNDO)
    run_until_rest(db)
    undone = now_is(db, job)
    assert (undone.state, undone.conflicts) == (State.UNDONE, 1)
    assert list(dataset(db)) == ["key-0-0"]
    found, following = ledger.conflicts(db, org_id=ORG, job_id=job.id, limit=10)
    assert found == [{"id": "key-0-0", "row": None, "why": "changed since"}]
    assert following is None
    assert sum(part.conflicts for part in parts.of_job(db, job_id=job.id)) == 1
    assert ledger.conflicts(db, org_id="others", job_id=job.id, limit=10) == ([], None)


def test_a_second_undo_looks_only_where_conflicts_were_left(db: Database) -> None:
    job = make(db)
    run_until_rest(db)
    edit(db, "key-0-0")
    do(db, job, Verb.UNDO)
    run_until_rest(db)
    again = do(db, job, Verb.UNDO)
    assert not again.repeated
    assert again.job.parts_left == 1
    run_until_rest(db)
    assert now_is(db, job).conflicts == 1
    db.rows.update_one({"_id": "key-0-0"}, {"$set": {"written_by": f"{job.id}:1:0"}})
    do(db, job, Verb.UNDO)
    run_until_rest(db)
    undone = now_is(db, job)
    assert (undone.state, undone.conflicts) == (State.UNDONE, 0)
    assert dataset(db) == {}
    assert sum(part.counts.undone for part in parts.of_job(db, job_id=job.id)) == 8
    assert do(db, job, Verb.UNDO).repeated
    assert ledger.conflicts(db, org_id=ORG, job_id=job.id, limit=10) == ([], None)


def test_a_terminated_job_with_conflicts_may_be_undone_again(db: Database) -> None:
    job = take_hold(db, make(db), chunks=1).job
    edit(db, next(iter(dataset(db))))
    do(db, job, Verb.TERMINATE)
    run_until_rest(db)
    assert (now_is(db, job).state, now_is(db, job).conflicts) == (State.TERMINATED, 1)
    assert do(db, job, Verb.UNDO).job.state is State.UNDOING
    run_until_rest(db)
    assert (now_is(db, job).state, now_is(db, job).conflicts) == (State.UNDONE, 1)


def test_a_later_job_that_touched_a_row_is_undone_first(db: Database) -> None:
    first = make(db, [[("a", 1), ("b", 2)]])
    run_until_rest(db)
    later = make(db, [[("a", 10)]])
    run_until_rest(db)
    do(db, first, Verb.UNDO)
    run_until_rest(db)
    assert now_is(db, first).conflicts == 1
    do(db, later, Verb.UNDO)
    run_until_rest(db)
    assert dataset(db) == {"a": (1, f"{first.id}:1:0")}
    do(db, first, Verb.UNDO)
    run_until_rest(db)
    assert now_is(db, first).conflicts == 0
    assert dataset(db) == {}


def test_undo_goes_on_after_its_owner_died_and_takes_nothing_back_twice(db: Database) -> None:
    job = make(db, rows(parts=1, per_part=8))
    run_until_rest(db)
    do(db, job, Verb.UNDO)
    hand = take_hold(db, job)
    hand.take_back()
    assert reaper.reap(db, hand.part, why="killed", expired_only=False).value
    with pytest.raises(Fenced):
        hand.take_back()
    hand.forget()
    run_until_rest(db)
    assert state_of(db, job) is State.UNDONE
    assert dataset(db) == {}
    assert sum(part.counts.undone for part in parts.of_job(db, job_id=job.id)) == 8


def test_undo_that_fails_keeps_the_lock_and_goes_on_where_it_was(db: Database) -> None:
    job = make(db, rows(parts=1, per_part=8))
    hand = take_hold(db, job, chunks=4)
    do(db, job, Verb.TERMINATE)
    hand.forget()
    undoing = take_hold(db, job)
    undoing.take_back()
    undoing.fail()
    failed = now_is(db, job)
    assert failed.state is State.UNDO_FAILED
    lock = db.locks.find_one({"_id": job.lock})
    assert lock is not None
    assert lock["queue"] == [job.id]
    do(db, job, Verb.UNDO)
    run_until_rest(db)
    undone = now_is(db, job)
    assert undone.state is State.UNDONE
    assert dataset(db) == {}
    assert sum(part.counts.undone for part in parts.of_job(db, job_id=job.id)) == 8


def test_a_result_is_unpublished_when_undo_begins(db: Database) -> None:
    job = make(db)
    run_until_rest(db)
    assert now_is(db, job).result == {"done": True}
    assert do(db, job, Verb.UNDO).job.result is None
