"""What the monitor does by the clock, by the cap, and for what was lost; and verbs in each phase of a job."""

from datetime import UTC, datetime, timedelta

import pytest

from collect.errors import Fenced
from collect.jobs.model import Job, Phase, Reason, Rest
from collect.jobs.states import State, Verb
from collect.protocol import commits, maintenance
from collect.storage import locks
from collect.storage.database import Database, now
from integration.storage.hands import (
    LOCK,
    Hand,
    do,
    make,
    newest,
    now_is,
    request,
    rows,
    run_until_rest,
    state_of,
    take_hold,
)
from integration.storage.states import job_in


def test_a_message_that_was_lost_is_published_again_with_the_same_ticket(db: Database) -> None:
    job = make(db)
    lost = newest(db, job)
    assert maintenance.waiting(db, older_than_seconds=5) == []
    db.parts.update_many({}, [{"$set": {"published_at": {"$subtract": ["$$NOW", 6_000]}}}])
    part = maintenance.waiting(db, older_than_seconds=5)[0]
    assert maintenance.publish_again(db, part).value
    assert not maintenance.publish_again(db, part).value
    again = newest(db, job)
    assert again.ticket == lost.ticket
    assert Hand(db).claim(again)
    assert not Hand(db).claim(lost)


@pytest.mark.parametrize("phase", [Phase.PLAN, Phase.RUN, Phase.FINISH])
def test_f33_pause_and_resume_at_once_in_any_phase(db: Database, phase: Phase) -> None:
    job = make(db, rows(parts=1, per_part=2))
    hand = Hand(db)
    assert hand.claim(newest(db, job))
    while hand.part.phase is not phase:
        hand.work_off()
        assert hand.claim(newest(db, job))
    if phase is Phase.RUN:
        hand.chunk()
    do(db, job, Verb.PAUSE)
    do(db, job, Verb.RESUME)
    with pytest.raises(Fenced):
        hand.step()
    run_until_rest(db)
    assert state_of(db, job) is State.SUCCEEDED
    assert db.rows.count_documents({}) == 2


def test_f32_terminate_during_finish_takes_everything_back(db: Database) -> None:
    job = make(db, rows(parts=1))
    hand = take_hold(db, job)
    hand.work_off()
    assert hand.claim(newest(db, job))
    assert hand.part.phase is Phase.FINISH
    do(db, job, Verb.TERMINATE)
    with pytest.raises(Fenced):
        hand.step()
    run_until_rest(db)
    assert state_of(db, job) is State.TERMINATED
    assert db.rows.count_documents({}) == 0
    assert now_is(db, job).result is None


def test_the_timers_do_what_is_due_and_only_if_the_job_is_still_as_it_was(db: Database) -> None:
    now = datetime.now(UTC)
    job = make(db)
    do(db, job, Verb.PAUSE, until=now - timedelta(seconds=1))
    found = list(maintenance.due(db, now))
    assert [due.id for due, _ in found] == [job.id]
    do(db, job, Verb.PAUSE, until=now + timedelta(hours=1))
    assert found[0][1]() == []
    assert state_of(db, job) is State.PAUSED
    do(db, job, Verb.PAUSE, until=now - timedelta(seconds=1))
    for _, act in maintenance.due(db, now):
        act()
    resumed = now_is(db, job)
    assert resumed.state is State.QUEUED
    assert resumed.last_action is not None
    assert resumed.last_action.effective_at is not None
    assert list(maintenance.due(db, now)) == []


@pytest.mark.parametrize("on_conflict", ["reject", "queue", "supersede"])
def test_a_job_that_is_resumed_after_its_time_keeps_its_place_when_the_timer_fires(
    db: Database, on_conflict: str
) -> None:
    later = make(db, rows(prefix="after"), start_at=datetime.now(UTC) + timedelta(hours=1), on_conflict=on_conflict)
    do(db, later, Verb.PAUSE)
    holder = job_in(db, State.RUNNING)
    db.jobs.update_one({"_id": later.id}, {"$set": {"start_at": datetime.now(UTC) - timedelta(seconds=1)}})
    do(db, later, Verb.RESUME)
    for _, act in maintenance.due(db, datetime.now(UTC)):
        act()
    assert locks.holders(db, [LOCK]) == {LOCK: holder.id}
    assert (state_of(db, holder), state_of(db, later)) == (State.RUNNING, State.QUEUED)
    do(db, holder, Verb.STOP)
    run_until_rest(db)
    assert state_of(db, later) is State.SUCCEEDED


def test_nobody_confirmed_in_time(db: Database) -> None:
    job = make(db, confirm=True)
    assert list(maintenance.due(db, datetime.now(UTC))) == []
    for _, act in maintenance.due(db, datetime.now(UTC) + timedelta(hours=25)):
        act()
    stopped = now_is(db, job)
    assert stopped.state is State.STOPPED
    assert stopped.reason is not None
    assert stopped.reason.code == "confirmation_expired"


def test_a_job_that_has_run_too_long_pauses_and_may_be_resumed_for_as_long_again(db: Database) -> None:
    job = make(db, time_limit_seconds=60.0)
    take_hold(db, job)
    assert list(maintenance.due(db, datetime.now(UTC))) == []
    for _, act in maintenance.due(db, datetime.now(UTC) + timedelta(seconds=61)):
        act()
    paused = now_is(db, job)
    assert paused.state is State.PAUSED
    assert paused.reason is not None
    assert paused.reason.code == "time_limit"
    do(db, job, Verb.RESUME)
    assert now_is(db, job).reason is None


def test_feeding_again_gives_out_what_the_window_allows_and_writes_the_job(db: Database) -> None:
    job = make(db, rows(parts=6))
    hand = take_hold(db, job)
    assert maintenance.runnable_jobs(db) == []
    db.jobs.update_one({"_id": job.id}, {"$set": {"window": 5}})
    assert [runnable.id for runnable in maintenance.runnable_jobs(db)] == [job.id]
    v = now_is(db, job).v
    assert maintenance.publish_runnable(db, job.id).value == 1
    assert now_is(db, job).v == v + 1
    hand.work_off()
    run_until_rest(db)
    assert state_of(db, job) is State.SUCCEEDED


def slowed(db: Database, job: Job, *, rests: timedelta) -> Rest:
    """The rest that a job with a limit now owes."""
    db.jobs.update_one({"_id": job.id}, {"$set": {"max_rows_per_second": 1.0}, "$inc": {"v": 1}})
    return Rest(until=now() + rests, rows_per_second=1.0)


def test_a_job_that_rests_keeps_its_place_under_the_cap(db: Database) -> None:
    db.orgs.update_one({}, {"$set": {"limits.concurrent_jobs": 1}})
    one = make(db, lock="labs:dataset:a")
    other = make(db, rows(prefix="other"), lock="labs:dataset:b")
    hand = take_hold(db, one, chunks=1)
    commits.release(hand.lease, owed=slowed(db, one, rests=timedelta(hours=1)))
    assert maintenance.runnable_jobs(db) == []
    assert maintenance.publish_runnable(db, other.id).value == 0
    db.jobs.update_one({"_id": one.id}, {"$set": {"rest.until": now() - timedelta(seconds=1)}})
    assert [runnable.id for runnable in maintenance.runnable_jobs(db)] == [one.id]
    assert maintenance.publish_runnable(db, other.id).value == 0
    assert maintenance.publish_runnable(db, one.id).value > 0


def test_what_was_owed_by_another_limit_is_owed_no_longer(db: Database) -> None:
    job = make(db)
    hand = take_hold(db, job, chunks=1)
    owed = slowed(db, job, rests=timedelta(hours=1))
    db.jobs.update_one({"_id": job.id}, {"$set": {"max_rows_per_second": 1_000.0}, "$inc": {"v": 1}})
    commits.release(hand.lease, owed=owed)
    assert not now_is(db, job).rests(now())
    assert newest(db, job)


def test_what_takes_back_says_what_it_is_put_off_by_until_it_goes_on(db: Database) -> None:
    job = make(db)
    take_hold(db, job, chunks=2)
    do(db, job, Verb.TERMINATE)
    hand = take_hold(db, job)
    commits.release(hand.lease, put_off=Reason(code=commits.PUT_OFF, message="The file store did not answer."))
    reason = now_is(db, job).reason
    assert reason is not None
    assert reason.code == commits.PUT_OFF
    commits.goes_on(take_hold(db, job).lease)
    assert now_is(db, job).reason is None


def test_the_cap_of_an_organisation_holds_jobs_back_and_never_what_is_taken_back(db: Database) -> None:
    db.orgs.update_one({}, {"$set": {"limits.concurrent_jobs": 1}})
    one = make(db, lock="labs:dataset:a")
    other = make(db, rows(prefix="other"), lock="labs:dataset:b")
    assert db.parts.count_documents({"job_id": other.id, "status": "queued"}) == 0
    assert maintenance.runnable_jobs(db) == []
    take_hold(db, one, chunks=1)
    do(db, one, Verb.PAUSE)
    assert [runnable.id for runnable in maintenance.runnable_jobs(db)] == [other.id]
    assert maintenance.publish_runnable(db, other.id).value == 1
    do(db, one, Verb.TERMINATE, request=request("not wanted"))
    assert db.parts.count_documents({"job_id": one.id, "status": "queued"}) == 1
    run_until_rest(db)
    assert state_of(db, one) is State.TERMINATED
    maintenance.publish_runnable(db, other.id)
    run_until_rest(db)
    assert state_of(db, other) is State.SUCCEEDED
