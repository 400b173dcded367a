"""What is due by the clock; also with two monitors side by side."""

from datetime import UTC, datetime, timedelta

from collect.jobs.model import PartStatus
from collect.jobs.states import State, Verb
from collect.protocol import maintenance
from collect.storage import outbox
from collect.storage.database import Database
from monitor.part_publisher import PartPublisher
from monitor.timers import Timers
from support import protocol_driver
from support.monitor_fixtures import MONITORS, side_by_side


def test_a_pause_ends_at_its_time(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db)
    protocol_driver.ask(db, job, Verb.PAUSE, until=clock.now() + timedelta(days=3))
    timers = Timers(db=db, sender=sender, clock=clock)
    clock.advance(3 * 86_400 - 1)
    assert timers.tick() == 0
    clock.advance(2)
    assert timers.tick() == 1
    resumed = protocol_driver.read_job(db, job)
    assert (resumed.state, resumed.until) == (State.QUEUED, None)
    assert sender.pokes == [job.id]
    assert timers.tick() == 0


def test_a_pause_that_was_asked_for_anew_has_no_end_any_more(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db)
    protocol_driver.ask(db, job, Verb.PAUSE, until=clock.now() + timedelta(hours=1))
    found = list(maintenance.due(db, clock.now() + timedelta(hours=2)))
    protocol_driver.ask(db, job, Verb.PAUSE)
    assert [act() for _, act in found] == [[]]
    clock.advance(7_200)
    assert Timers(db=db, sender=sender, clock=clock).tick() == 0
    assert protocol_driver.read_job(db, job).state is State.PAUSED


def test_what_nobody_confirms_is_stopped(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db, confirm=True)
    timers = Timers(db=db, sender=sender, clock=clock)
    clock.advance(86_000)
    assert timers.tick() == 0
    clock.advance(1_000)
    assert timers.tick() == 1
    stopped = protocol_driver.read_job(db, job)
    assert stopped.state is State.STOPPED
    assert stopped.reason is not None
    assert stopped.reason.code == "confirmation_expired"


def test_a_job_starts_at_its_time_and_takes_its_place_in_the_line_then(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    job = protocol_driver.make_job(db, start_at=start)
    other = protocol_driver.make_job(db)
    timers = Timers(db=db, sender=sender, clock=clock)
    assert timers.tick() == 0
    clock.advance(3_700)
    timers.tick()
    assert db.locks.find_one({"_id": job.lock})["queue"] == [other.id, job.id]  # type: ignore[index]
    protocol_driver.ask(db, other, Verb.STOP)
    assert protocol_driver.read_part(db, job, 0).status is PartStatus.QUEUED


def test_a_time_limit_pauses_and_whoever_resumes_gets_as_much_again(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db, time_limit_seconds=60.0)
    timers = Timers(db=db, sender=sender, clock=clock)
    with protocol_driver.holding(db, job, 0):
        clock.advance(50)
        assert timers.tick() == 0
        clock.advance(20)
        assert timers.tick() == 1
    paused = protocol_driver.read_job(db, job)
    assert paused.state is State.PAUSED
    assert paused.reason is not None
    assert paused.reason.code == "time_limit"
    protocol_driver.ask(db, job, Verb.RESUME)
    with protocol_driver.holding(db, job, 0):
        began = db.audit.find_one({"job_id": job.id, "verb": "begin"}, sort=[("seq", -1)])
        assert began is not None
        clock.at = began["at"] + timedelta(seconds=59)
        assert timers.tick() == 0
        clock.advance(2)
        assert timers.tick() == 1


def test_two_monitors_do_what_is_due_once(db: Database, clock: protocol_driver.StandingClock) -> None:
    jobs = [protocol_driver.make_job(db, dataset=f"d{n}") for n in range(5)]
    for job in jobs:
        protocol_driver.ask(db, job, Verb.PAUSE, until=clock.now() + timedelta(hours=1))
    clock.advance(3_601)
    senders = [protocol_driver.Recorder() for _ in range(MONITORS)]
    done = side_by_side(*(Timers(db=db, sender=sender, clock=clock).tick for sender in senders))
    assert sum(done) == len(jobs)
    assert {protocol_driver.read_job(db, job).audit_seq for job in jobs} == {3}


def test_two_monitors_start_and_feed_a_job_once(db: Database, clock: protocol_driver.StandingClock) -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    jobs = [protocol_driver.make_job(db, dataset=f"d{n}", start_at=start) for n in range(5)]
    db.outbox.delete_many({})
    clock.advance(3_700)
    senders = [protocol_driver.Recorder() for _ in range(MONITORS)]
    side_by_side(*(Timers(db=db, sender=sender, clock=clock).tick for sender in senders))
    side_by_side(*(PartPublisher(db=db, sender=sender).tick for sender in senders))
    assert [protocol_driver.read_part(db, job, 0).epoch for job in jobs] == [1] * len(jobs)
    assert len(outbox.overdue(db, older_than_seconds=-60, limit=100)) == len(jobs)
