"""Parts that are published as they are planned, and a job of one part, which its planner runs itself."""

from collections.abc import Callable
from typing import Any

import pytest

from collect.errors import Conflict, Fenced
from collect.jobs.model import Job, Part, Phase
from collect.jobs.progress import progress, summed
from collect.jobs.states import State, Verb
from collect.protocol import reaper
from collect.runtime.pacing import share
from collect.storage import parts
from collect.storage.database import Database, now
from integration.storage.conftest import Connect
from integration.storage.failpoints import OUTCOMES, failing
from integration.storage.hands import (
    Hand,
    do,
    expire,
    make,
    newest,
    now_is,
    rows,
    run_until_rest,
    snapshot,
    state_of,
    tickets,
)

VICTIM = "victim"


def planner(db: Database, job: Job, *, steps: int = 1, client: Database | None = None) -> Hand:
    """A hand that holds part 0 and has planned that many times."""
    hand = Hand(client or db, "planner")
    assert hand.claim(newest(db, job, part=0))
    for _ in range(steps):
        hand.step()
    return hand


def writer(db: Database, job: Job, *, part: int = 1, chunks: int = 1) -> Hand:
    hand = Hand(db, "writer")
    assert hand.claim(newest(db, job, part=part))
    for _ in range(chunks):
        hand.chunk()
    return hand


def of_job(db: Database, job: Job) -> list[Part]:
    return parts.of_job(db, job_id=job.id)


def comes_to_its_end(db: Database, job: Job) -> None:
    """All that is left is done, each row once."""
    run_until_rest(db)
    done, found = now_is(db, job), of_job(db, job)
    everything = sum(len(part) for part in job.params["parts"])
    assert done.state is State.SUCCEEDED
    assert (done.total_rows, done.parts_left) == (everything, 0)
    assert sum(part.counts.succeeded for part in found) == everything == db.rows.count_documents({})
    assert [part.n for part in found] == list(range(len(found)))
    assert [row for part in found for row in part.source.get("rows", ())] == [
        list(row) for part in job.params["parts"] for row in part
    ]


def planning(db: Database) -> Job:
    """A job of three parts, planned one at a time."""
    return make(db, rows(parts=3), at_once=1)


# Parts are published as they are planned.


def test_a_part_is_written_while_the_plan_goes_on_and_the_job_does_not_end_before_it(db: Database) -> None:
    job = planning(db)
    hand = planner(db, job)
    writer(db, job).work_off()
    between = now_is(db, job)
    assert [(part.n, part.status) for part in of_job(db, job)] == [(0, "leased"), (1, "done")]
    assert (between.state, between.parts_left, between.total_rows) == (State.RUNNING, 1, None)
    seen = progress(between, summed(of_job(db, job)), now())
    assert (seen.total, seen.done, seen.percent, seen.seconds_left) == (None, 4, 0.0, None)
    hand.work_off()
    assert now_is(db, job).total_rows == 12
    comes_to_its_end(db, job)


def test_when_all_parts_are_done_before_the_plan_ends_its_end_begins_the_finish(db: Database) -> None:
    job = make(db, rows(parts=1), at_once=1)
    hand = planner(db, job)
    writer(db, job).work_off()
    hand.step()
    zero = of_job(db, job)[0]
    assert (zero.phase, zero.status) == (Phase.FINISH, "queued")
    comes_to_its_end(db, job)


def test_parts_that_are_planned_are_published_up_to_the_window_which_the_planner_is_part_of(db: Database) -> None:
    job = make(db, rows(parts=8), at_once=2)
    db.jobs.update_one({"_id": job.id}, {"$set": {"window": 3}})
    planner(db, job, steps=3)
    assert [part.status for part in of_job(db, job)] == ["leased", "queued", "queued", *["idle"] * 4]
    assert sorted(message.part for _, message in tickets(db)) == [1, 2]


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.STOP, Verb.TERMINATE])
def test_a_verb_in_the_middle_of_planning_fences_the_planner_and_all_that_it_gave_out(db: Database, verb: Verb) -> None:
    job = planning(db)
    hand = planner(db, job)
    other = writer(db, job)
    do(db, job, verb)
    before = snapshot(db)
    for fenced in (hand.step, hand.release, hand.fail, other.chunk):
        with pytest.raises(Fenced):
            fenced()
    assert snapshot(db) == before
    assert now_is(db, job).total_rows is None


def test_pause_and_resume_in_the_middle_of_planning_go_on_behind_what_stands(db: Database) -> None:
    job = planning(db)
    planner(db, job, steps=2)
    writer(db, job)
    do(db, job, Verb.PAUSE)
    assert now_is(db, job).parts_left == 3
    do(db, job, Verb.RESUME)
    comes_to_its_end(db, job)


def test_stop_in_the_middle_of_planning_keeps_what_was_written_and_undo_takes_it_back(db: Database) -> None:
    job = planning(db)
    planner(db, job)
    writer(db, job)
    do(db, job, Verb.STOP)
    assert db.rows.count_documents({}) == 2
    undoing = do(db, job, Verb.UNDO).job
    assert (undoing.state, undoing.parts_left) == (State.UNDOING, 1)
    run_until_rest(db)
    assert state_of(db, job) is State.UNDONE
    assert db.rows.count_documents({}) == 0
    with pytest.raises(Conflict):
        do(db, job, Verb.RESUME)


@pytest.mark.parametrize("chunks", [0, 1])
def test_terminate_in_the_middle_of_planning_takes_back_and_nothing_is_planned_any_more(
    db: Database, chunks: int
) -> None:
    job = planning(db)
    hand = planner(db, job, steps=2)
    writer(db, job, chunks=chunks)
    do(db, job, Verb.TERMINATE)
    with pytest.raises(Fenced):
        hand.step()
    run_until_rest(db)
    assert state_of(db, job) is State.TERMINATED
    assert db.rows.count_documents({}) == 0
    assert all((part.phase, part.status) == (Phase.UNDO, "done") for part in of_job(db, job))


def test_a_job_that_is_superseded_in_the_middle_of_planning_lets_the_next_one_in(db: Database) -> None:
    job = planning(db)
    planner(db, job)
    writer(db, job)
    following = make(db, rows(parts=1, prefix="new"), on_conflict="supersede", supersedes=job.id)
    run_until_rest(db)
    assert state_of(db, job) is State.TERMINATED
    assert state_of(db, following) is State.SUCCEEDED
    assert {row["_id"][:3] for row in db.rows.find()} == {"new"}


def test_a_planner_that_is_drained_gives_the_plan_back_and_another_goes_on(db: Database) -> None:
    job = planning(db)
    planner(db, job).release()
    zero = of_job(db, job)[0]
    assert (zero.phase, zero.status, zero.cursor) == (Phase.PLAN, "queued", {"planned": 1, "rows": 4})
    comes_to_its_end(db, job)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_planner_that_is_lost_is_followed_by_one_that_goes_on_behind_what_stands(db: Database, steps: int) -> None:
    job = planning(db)
    lost = planner(db, job, steps=steps)
    reaper.reap(db, lost.part, why="killed", expired_only=False)
    planner(db, job, steps=1)
    with pytest.raises(Fenced):
        lost.step()
    expire(db, of_job(db, job)[0].id)
    for part in reaper.expired(db):
        reaper.reap(db, part, why="silent")
    comes_to_its_end(db, job)


def test_a_planner_whose_message_was_given_to_another_plans_nothing_twice(db: Database) -> None:
    job = planning(db)
    first = planner(db, job)
    assert first.message is not None
    second = Hand(db, "second")
    assert second.claim(first.message, redelivered=True)
    with pytest.raises(Fenced):
        first.step()
    second.work_off()
    comes_to_its_end(db, job)


def test_each_part_that_is_planned_forgives_the_losses_before_it(db: Database) -> None:
    job = make(db, rows(parts=4), at_once=1)
    for _ in range(3):
        for _ in range(reaper.MAX_LOSSES - 1):
            reaper.reap(db, planner(db, job, steps=0).part, why="killed", expired_only=False)
        planner(db, job).release()
    assert state_of(db, job) is State.RUNNING
    for _ in range(reaper.MAX_LOSSES):
        reaper.reap(db, planner(db, job, steps=0).part, why="killed", expired_only=False)
    assert state_of(db, job) is State.FAILED
    do(db, job, Verb.RESUME)
    comes_to_its_end(db, job)


@pytest.mark.parametrize("written", [True, False])
def test_a_plan_that_is_refused_fails_the_job_and_says_what_was_written_before(db: Database, written: bool) -> None:
    job = planning(db)
    hand = planner(db, job)
    other = writer(db, job, chunks=int(written))
    hand.fail("unclosed_quote")
    with pytest.raises(Fenced):
        other.chunk()
    failed = now_is(db, job)
    assert failed.reason is not None
    assert (failed.state, failed.reason.code, failed.reason.where) == (State.FAILED, "unclosed_quote", "row 1")
    told = "It is broken. 2 rows further up had been written before that." if written else "It is broken."
    assert failed.reason.message == told
    do(db, job, Verb.UNDO)
    run_until_rest(db)
    assert state_of(db, job) is State.UNDONE
    assert db.rows.count_documents({}) == 0


@pytest.mark.parametrize(("times", "how"), list(OUTCOMES.values()), ids=list(OUTCOMES))
@pytest.mark.parametrize("at_once", [1, 0], ids=["some", "alone"])
def test_a_step_of_the_plan_is_committed_once(
    db: Database, connected: Connect, at_once: int, times: int, how: dict[str, Any]
) -> None:
    job = make(db, rows(parts=3 if at_once else 1), at_once=at_once)
    hand = planner(db, job, steps=0, client=connected(VICTIM))
    with failing(db, "commitTransaction", app_name=VICTIM, times=times, **how):
        hand.step()
    assert hand.busy
    if at_once:
        assert hand.part.cursor == {"planned": 1, "rows": 4}
    else:
        assert hand.part.phase is Phase.RUN
    hand.work_off()
    comes_to_its_end(db, job)


def test_a_planner_takes_no_share_of_the_rows_that_a_job_may_write_in_a_second(db: Database) -> None:
    job = planning(db)
    planner(db, job, steps=2)
    one, other = writer(db, job), writer(db, job, part=2)
    assert [share(db, hand.part, 100.0) for hand in (one, other)] == [50.0, 50.0]


# A job of one part.


def alone(db: Database, *, steps: int = 1, per_part: int = 4) -> Hand:
    """The planner of a job of one part, that many steps on: the plan, two rows, two rows, the finish."""
    return planner(db, make(db, rows(parts=1, per_part=per_part), at_once=0), steps=steps)


def test_one_owner_plans_runs_and_finishes_a_job_of_one_part(db: Database) -> None:
    hand = alone(db, steps=0)
    epoch, job = hand.part.epoch, hand.job
    hand.work_off()
    zero = of_job(db, job)[0]
    assert (zero.epoch, zero.phase, zero.status, zero.lsid) == (epoch, Phase.RUN, "done", None)
    assert tickets(db) == []
    assert now_is(db, job).result == {"done": True}
    comes_to_its_end(db, job)
    do(db, job, Verb.UNDO)
    run_until_rest(db)
    assert state_of(db, job) is State.UNDONE
    assert db.rows.count_documents({}) == 0


LEAVES: dict[str, Callable[[Database, Hand], object]] = {
    "released": lambda db, hand: hand.release(),
    "lost": lambda db, hand: reaper.reap(db, hand.part, why="killed", expired_only=False),
    "overtaken": lambda db, hand: hand.message and Hand(db, "other").claim(hand.message, redelivered=True),
    "paused": lambda db, hand: do(db, hand.job, Verb.PAUSE),
    "over its limit": lambda db, hand: hand.over_limit(),
    "failed": lambda db, hand: hand.fail(),
}


@pytest.mark.parametrize("steps", [1, 2, 3], ids=["planned", "in the middle", "at the end"])
@pytest.mark.parametrize("how", list(LEAVES))
def test_a_part_alone_that_its_owner_leaves_is_ended_by_another(db: Database, how: str, steps: int) -> None:
    hand = alone(db, steps=steps)
    job = hand.job
    LEAVES[how](db, hand)
    if hand.busy:
        with pytest.raises(Fenced):
            hand.step()
    if state_of(db, job) in (State.PAUSED, State.FAILED):
        do(db, job, Verb.RESUME)
    for part in of_job(db, job):
        if part.status == "leased":
            reaper.reap(db, part, why="killed", expired_only=False)
    comes_to_its_end(db, job)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("verb", [Verb.STOP, Verb.TERMINATE])
def test_a_part_alone_is_stopped_and_taken_back_like_any_other(db: Database, verb: Verb, steps: int) -> None:
    hand = alone(db, steps=steps)
    job = hand.job
    do(db, job, verb)
    with pytest.raises(Fenced):
        hand.step()
    if verb is Verb.STOP:
        assert db.rows.count_documents({}) == (steps - 1) * 2
        do(db, job, Verb.UNDO)
    run_until_rest(db)
    assert state_of(db, job) in (State.TERMINATED, State.UNDONE)
    assert db.rows.count_documents({}) == 0
