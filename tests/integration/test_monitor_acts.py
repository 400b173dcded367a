"""What the monitor does, act by act, against the real stores; each also with two monitors side by side."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kombu.connection import Connection

import byhand
from collect.admin.check import check
from collect.errors import Fenced, Transient
from collect.jobs.model import Job, PartStatus
from collect.jobs.states import State, Verb
from collect.messaging import topology
from collect.messaging.messages import Heartbeat, RunPart, SlotReport, decode
from collect.messaging.publisher import Publisher, Unroutable
from collect.storage import organisations, outbox, reaping, upkeep, workers
from collect.storage.database import Database, connect
from collect.storage.ownership import Ticket, claim
from monitor.feeder import Feeder
from monitor.heartbeats import Heartbeats
from monitor.queues import Queues
from monitor.reaper import Reaper
from monitor.relay import Relay
from monitor.sweep import Sweeper
from monitor.timers import Timers
from monitor.windows import Windows

MONITORS = 2
LEASE_SECONDS = 30.0


@pytest.fixture(scope="module")
def connection(mongodb_url: str, database_name: str) -> Iterator[Database]:
    db = connect(mongodb_url, database=database_name, app_name="test")
    yield db
    db.close()


@pytest.fixture
def db(connection: Database) -> Iterator[Database]:
    byhand.prepare(connection)
    yield connection
    assert check(connection, patience_seconds=0.0) == []


@pytest.fixture
def clock() -> byhand.StandingClock:
    return byhand.StandingClock()


@pytest.fixture
def sender() -> byhand.Recorder:
    return byhand.Recorder()


@pytest.fixture
def publisher(amqp_url: str) -> Iterator[Publisher]:
    """A broker whose queue of jobs is empty."""
    publisher = Publisher(amqp_url)
    publisher.publish(exchange=topology.EVENTS, routing_key="x.y", body="{}", mandatory=False)
    with Connection(amqp_url) as broker:
        broker.channel().queue_purge(topology.job_queue("upload"))
    yield publisher
    publisher.close()


def received(amqp_url: str) -> list[RunPart]:
    """The job messages that are there, taken."""
    found = []
    with Connection(amqp_url) as broker:
        channel = broker.channel()
        while (message := channel.basic_get(topology.job_queue("upload"), no_ack=True)) is not None:
            run_part = decode(message.body if isinstance(message.body, bytes) else message.body.encode())[1]
            assert isinstance(run_part, RunPart)
            found.append(run_part)
    return found


def expire(db: Database, job: Job, n: int) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert db.parts.update_one({"_id": f"{job.id}:{n}"}, {"$set": {"lease_until": past}}).modified_count


def published_before(db: Database, job: Job, seconds: float) -> None:
    past = datetime.now(UTC) - timedelta(seconds=seconds)
    db.parts.update_many({"job_id": job.id, "status": "queued"}, {"$set": {"published_at": past}})


def side_by_side(*ticks: Any) -> list[int]:
    """All at once, from threads of their own."""
    ready = threading.Barrier(len(ticks))

    def act(tick: Any) -> int:
        ready.wait()
        return int(tick())

    with ThreadPoolExecutor(len(ticks)) as pool:
        return list(pool.map(act, ticks))


# --- relay ----------------------------------------------------------------------------------------------------------


def test_f22_what_was_committed_and_not_published_is_relayed(db: Database, publisher: Publisher, amqp_url: str) -> None:
    job = byhand.make_job(db)
    relay = Relay(db=db, publisher=publisher, older_than_seconds=0.0)
    assert relay.tick() == 2
    assert [(message.job_id, message.part) for message in received(amqp_url)] == [(job.id, 0)]
    assert db.outbox.count_documents({}) == 0
    assert relay.tick() == 0


def test_young_entries_are_left_to_whoever_committed_them(db: Database, publisher: Publisher) -> None:
    byhand.make_job(db)
    assert Relay(db=db, publisher=publisher, older_than_seconds=3.0).tick() == 0
    assert db.outbox.count_documents({}) == 2
    db.outbox.delete_many({})


class _KilledBetween(Publisher):
    """Ends the relay after the broker's confirm, before the deletion."""

    def publish(self, *, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        super().publish(exchange=exchange, routing_key=routing_key, body=body, mandatory=mandatory)
        raise SystemExit


def test_f23_a_relay_killed_between_confirm_and_deletion_sends_twice_and_the_part_is_claimed_once(
    db: Database, publisher: Publisher, amqp_url: str
) -> None:
    byhand.make_job(db)
    db.outbox.delete_many({"mandatory": False})
    killed = _KilledBetween(amqp_url)
    with pytest.raises(SystemExit):
        Relay(db=db, publisher=killed, older_than_seconds=0.0).tick()
    killed.close()
    assert db.outbox.count_documents({}) == 1
    assert Relay(db=db, publisher=publisher, older_than_seconds=0.0).tick() == 1
    messages = received(amqp_url)
    assert len(messages) == 2
    claimed = [_claimed(db, message) for message in messages]
    assert claimed == [True, False]


def _claimed(db: Database, message: RunPart) -> bool:
    ticket = Ticket(job_id=message.job_id, part=message.part, ticket=message.ticket)
    with db.client.start_session() as session:
        lsid = db.session_id(session)
        part = claim(db, ticket, redelivered=False, owner="x", session_id=lsid, lease_seconds=LEASE_SECONDS)
    return part is not None


def test_two_relays_leave_nothing_and_whatever_came_twice_is_claimed_once(
    db: Database, publisher: Publisher, amqp_url: str
) -> None:
    jobs = [byhand.make_job(db, dataset=f"d{n}") for n in range(5)]
    second = Publisher(amqp_url)
    relays = [Relay(db=db, publisher=each, older_than_seconds=0.0) for each in (publisher, second)]
    side_by_side(*(relay.tick for relay in relays))
    second.close()
    assert db.outbox.count_documents({}) == 0
    messages = received(amqp_url)
    assert {message.job_id for message in messages} == {job.id for job in jobs}
    assert sum(_claimed(db, message) for message in messages) == len(jobs)


class _NoRoute(Publisher):
    def publish(self, *, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        if mandatory:
            raise Unroutable("No queue takes it.")


def test_f21_a_message_without_a_queue_stays_and_does_not_hold_up_the_others(db: Database, amqp_url: str) -> None:
    byhand.make_job(db)
    byhand.make_job(db, dataset="second")
    assert Relay(db=db, publisher=_NoRoute(amqp_url), older_than_seconds=0.0).tick() == 2
    assert [entry["mandatory"] for entry in db.outbox.find()] == [True, True]
    db.outbox.delete_many({})


class _Away(Publisher):
    def publish(self, *, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        raise Transient("The broker did not take it.")


def test_while_the_broker_is_away_the_entries_stay(db: Database, amqp_url: str) -> None:
    byhand.make_job(db)
    with pytest.raises(Transient):
        Relay(db=db, publisher=_Away(amqp_url), older_than_seconds=0.0).tick()
    assert db.outbox.count_documents({}) == 2


# --- reaper ---------------------------------------------------------------------------------------------------------


def a_reaper(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock, *, max_expired: int = 10, watched: bool = True
) -> Reaper:
    reaper = Reaper(db=db, sender=sender, clock=clock, lease_seconds=LEASE_SECONDS, max_expired=max_expired)
    if watched:
        reaper.tick()
        for _ in range(10):
            clock.advance(LEASE_SECONDS / 10)
            reaper.tick()
    return reaper


def test_a_part_whose_lease_has_run_out_is_given_out_again_and_its_owner_is_fenced(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock
) -> None:
    job = byhand.make_job(db)
    byhand.plan(db, job, [20])
    reaper = a_reaper(db, sender, clock)
    with byhand.holding(db, job, 1) as tenure:
        byhand.write(db, tenure, job, rows=10)
        assert reaper.tick() == 0
        expire(db, job, 1)
        assert reaper.tick() == 1
        part = byhand.read_part(db, job, 1)
        assert (part.status, part.losses, part.ticket) == (PartStatus.QUEUED, 1, part.epoch)
        assert [decode(entry.body.encode())[1] for entry in sender.tickets] == [
            RunPart(job_id=job.id, part=1, kind="upload", ticket=part.ticket)
        ]
        with pytest.raises(Fenced):
            byhand.write(db, tenure, job, rows=10)
    assert db.rows.count_documents({}) == 10


def test_the_transaction_that_an_owner_has_left_open_is_ended(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock
) -> None:
    job = byhand.make_job(db)
    byhand.plan(db, job, [20])
    reaper = a_reaper(db, sender, clock)
    with byhand.holding(db, job, 1) as tenure:
        expire(db, job, 1)
        tenure.session.start_transaction()
        db.rows.insert_one(byhand.row(job, 1, "never"), session=tenure.session)
        db.parts.update_one(tenure.mine, {"$set": {"seq": 1}}, session=tenure.session)
        assert reaper.tick() == 1
    assert db.rows.count_documents({}) == 0


def test_the_fifth_loss_without_a_commit_fails_the_job(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock
) -> None:
    job = byhand.make_job(db)
    reaper = a_reaper(db, sender, clock)
    for _ in range(reaping.MAX_LOSSES):
        with byhand.holding(db, job, 0):
            expire(db, job, 0)
            assert reaper.tick() == 1
    failed = byhand.read_job(db, job)
    assert failed.state is State.FAILED
    assert failed.reason is not None
    assert failed.reason.code == "poison"


def test_it_watches_for_a_full_lease_when_it_starts(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock
) -> None:
    job = byhand.make_job(db)
    reaper = a_reaper(db, sender, clock, watched=False)
    with byhand.holding(db, job, 0):
        expire(db, job, 0)
        for _ in range(10):
            assert reaper.tick() == 0
            clock.advance(LEASE_SECONDS / 10)
        assert reaper.tick() == 1


def test_it_watches_again_after_an_outage_of_its_own(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock
) -> None:
    job = byhand.make_job(db)
    reaper = a_reaper(db, sender, clock)
    with byhand.holding(db, job, 0):
        expire(db, job, 0)
        clock.advance(3600)
        assert reaper.tick() == 0
        clock.advance(LEASE_SECONDS / 2)
        assert reaper.tick() == 0
        clock.advance(LEASE_SECONDS / 2)
        assert reaper.tick() == 1


def test_it_stops_when_too_many_leases_expire_at_once_and_says_so(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [byhand.make_job(db, dataset=f"d{n}") for n in range(3)]
    reaper = a_reaper(db, sender, clock, max_expired=2)
    for job in jobs:
        with byhand.holding(db, job, 0):
            expire(db, job, 0)
    assert reaper.tick() == 0
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["reaper_stopped"]
    soon = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)
    db.parts.update_one({"job_id": jobs[0].id}, {"$set": {"lease_until": soon}})
    assert reaper.tick() == 2


def test_two_reapers_free_a_part_once(db: Database, clock: byhand.StandingClock) -> None:
    jobs = [byhand.make_job(db, dataset=f"d{n}") for n in range(5)]
    senders = [byhand.Recorder() for _ in range(MONITORS)]
    reapers = [a_reaper(db, sender, clock) for sender in senders]
    for job in jobs:
        with byhand.holding(db, job, 0):
            expire(db, job, 0)
    freed = side_by_side(*(reaper.tick for reaper in reapers))
    assert sum(freed) == len(jobs)
    assert sum(len(sender.tickets) for sender in senders) == len(jobs)
    assert {byhand.read_part(db, job, 0).losses for job in jobs} == {1}


# --- sweep ----------------------------------------------------------------------------------------------------------


def a_sweeper(db: Database, sender: byhand.Recorder, *, depth: int = 0) -> Sweeper:
    return Sweeper(db=db, sender=sender, depth=lambda _kind: depth, after_seconds=5.0, busy_after_seconds=600.0)


def test_a_ticket_that_waits_before_an_empty_queue_is_published_again_unchanged(
    db: Database, sender: byhand.Recorder
) -> None:
    job = byhand.make_job(db)
    before = byhand.read_part(db, job, 0)
    sweeper = a_sweeper(db, sender)
    assert sweeper.tick() == 0
    published_before(db, job, 6)
    assert sweeper.tick() == 1
    after = byhand.read_part(db, job, 0)
    assert (after.ticket, after.epoch) == (before.ticket, before.epoch)
    ticket = RunPart(job_id=job.id, part=0, kind="upload", ticket=before.ticket)
    assert [decode(entry.body.encode())[1] for entry in sender.tickets] == [ticket]
    assert sweeper.tick() == 0


def test_the_time_until_the_next_sweep_of_a_ticket_doubles(db: Database, sender: byhand.Recorder) -> None:
    job = byhand.make_job(db)
    sweeper = a_sweeper(db, sender)
    published_before(db, job, 6)
    assert sweeper.tick() == 1
    published_before(db, job, 6)
    assert sweeper.tick() == 0
    published_before(db, job, 11)
    assert sweeper.tick() == 1
    byhand.ask(db, job, Verb.PAUSE)
    byhand.ask(db, job, Verb.RESUME)
    published_before(db, job, 6)
    assert sweeper.tick() == 1, "a new ticket begins anew"


def test_in_a_full_queue_a_ticket_has_ten_minutes(db: Database, sender: byhand.Recorder) -> None:
    job = byhand.make_job(db)
    sweeper = a_sweeper(db, sender, depth=7)
    published_before(db, job, 500)
    assert sweeper.tick() == 0
    published_before(db, job, 601)
    assert sweeper.tick() == 1


def test_two_sweepers_publish_a_ticket_once(db: Database) -> None:
    jobs = [byhand.make_job(db, dataset=f"d{n}") for n in range(5)]
    for job in jobs:
        published_before(db, job, 6)
    senders = [byhand.Recorder() for _ in range(MONITORS)]
    swept = side_by_side(*(a_sweeper(db, sender).tick for sender in senders))
    assert sum(swept) == len(jobs)


def test_a_part_that_was_claimed_meanwhile_is_not_published(db: Database) -> None:
    job = byhand.make_job(db)
    published_before(db, job, 6)
    (part,) = upkeep.waiting(db, older_than_seconds=5.0)
    with byhand.holding(db, job, 0):
        assert not upkeep.publish_again(db, part).value


def test_the_broker_says_how_full_a_queue_is(db: Database, publisher: Publisher, amqp_url: str) -> None:
    queues = Queues(url=amqp_url, queue_of=lambda kind: f"jobs.{kind}")
    assert queues.depth("upload") == 0
    byhand.make_job(db)
    Relay(db=db, publisher=publisher, older_than_seconds=0.0).tick()
    assert queues.depth("upload") == 1
    assert queues.depth("no-such-kind") == 0
    assert queues.depth("upload") == 1
    queues.close()


def test_a_broker_that_is_away_is_waited_for() -> None:
    with pytest.raises(Transient):
        Queues(url="amqp://guest:guest@127.0.0.1:1/", queue_of=str).depth("upload")


# --- feeding and windows --------------------------------------------------------------------------------------------


def test_when_the_cap_has_room_again_the_more_urgent_job_is_fed_first(db: Database, sender: byhand.Recorder) -> None:
    organisations.patch(db, org_id=byhand.ORG, limits={"concurrent_jobs": 1})
    first = byhand.make_job(db, dataset="a")
    older = byhand.make_job(db, dataset="b")
    urgent = byhand.make_job(db, dataset="c", priority="high")
    feeder = Feeder(db=db, sender=sender)
    assert feeder.tick() == 0
    byhand.ask(db, first, Verb.PAUSE)
    assert feeder.tick() == 1
    assert byhand.read_part(db, urgent, 0).status is PartStatus.QUEUED
    assert byhand.read_part(db, older, 0).status is PartStatus.IDLE
    byhand.ask(db, urgent, Verb.STOP)
    assert feeder.tick() == 1
    assert byhand.read_part(db, older, 0).status is PartStatus.QUEUED


def test_a_job_behind_its_lock_or_before_its_time_is_not_hungry(db: Database, sender: byhand.Recorder) -> None:
    byhand.make_job(db)
    byhand.make_job(db, on_conflict="queue")
    byhand.make_job(db, dataset="later", start_at=datetime.now(UTC) + timedelta(hours=1))
    assert upkeep.hungry(db) == []
    assert Feeder(db=db, sender=sender).tick() == 0


def beat(worker_id: str, *, slots: int = 2, at: datetime | None = None, busy: bool = False) -> Heartbeat:
    reports = [SlotReport(job_id="j" if busy else None, part=1, epoch=1) for _ in range(slots)]
    return Heartbeat(worker_id=worker_id, kind="upload", version="1", slots=reports, at=at or datetime.now(UTC))


def test_the_slots_are_shared_among_the_jobs_that_want_them(db: Database, sender: byhand.Recorder) -> None:
    job = byhand.make_job(db)
    byhand.plan(db, job, [1] * 20)
    workers.store(db, [beat("a", slots=4), beat("b", slots=4)], received_at=datetime.now(UTC))
    windows = Windows(db=db, seen_seconds=10.0)
    assert windows.tick() == 1
    assert byhand.read_job(db, job).window == 9
    assert Feeder(db=db, sender=sender).tick() == 5
    byhand.make_job(db, dataset="second")
    assert windows.tick() == 2
    assert byhand.read_job(db, job).window == 5
    assert windows.tick() == 0


def test_without_heartbeats_windows_stay_as_they_are(db: Database) -> None:
    job = byhand.make_job(db)
    workers.store(db, [beat("a", slots=50)], received_at=datetime.now(UTC))
    _silent_since(db, "a", seconds=11)
    assert Windows(db=db, seen_seconds=10.0).tick() == 0
    assert byhand.read_job(db, job).window == 4


def _silent_since(db: Database, worker_id: str, *, seconds: float) -> None:
    db.workers.update_one({"_id": worker_id}, {"$set": {"at": datetime.now(UTC) - timedelta(seconds=seconds)}})


# --- heartbeats -----------------------------------------------------------------------------------------------------


def test_heartbeats_are_kept_for_a_while_and_of_each_worker_the_last(db: Database, clock: byhand.StandingClock) -> None:
    heartbeats = Heartbeats(db=db, clock=clock)
    for message in (beat("a", slots=1), beat("a", slots=3), beat("b"), "no heartbeat"):
        heartbeats.on_message(message)
    assert heartbeats.tick() == 3
    assert heartbeats.tick() == 0
    assert workers.slots(db) == {"upload": 5}
    assert [worker["_id"] for worker in workers.seen(db)] == ["a", "b"]
    assert db.heartbeats.count_documents({"at": clock.now()}) == 3
    ttl = [index for index in db.heartbeats.index_information().values() if "expireAfterSeconds" in index]
    assert [(index["key"], index["expireAfterSeconds"]) for index in ttl] == [([("at", 1)], 3600)]


def test_f29_a_worker_whose_clock_is_wrong_is_heard_of_all_the_same(db: Database) -> None:
    wrong = datetime.now(UTC) - timedelta(minutes=10)
    workers.store(db, [beat("a", at=wrong)], received_at=datetime.now(UTC))
    assert workers.slots(db) == {"upload": 2}


def test_workers_that_are_long_gone_are_forgotten(db: Database) -> None:
    workers.store(db, [beat("a"), beat("b")], received_at=datetime.now(UTC))
    _silent_since(db, "a", seconds=4_000)
    Windows(db=db, seen_seconds=10.0).tick()
    assert [worker["_id"] for worker in db.workers.find()] == ["b"]


# --- timers ---------------------------------------------------------------------------------------------------------


def test_a_pause_ends_at_its_time(db: Database, sender: byhand.Recorder, clock: byhand.StandingClock) -> None:
    job = byhand.make_job(db)
    byhand.ask(db, job, Verb.PAUSE, until=clock.now() + timedelta(days=3))
    timers = Timers(db=db, sender=sender, clock=clock)
    clock.advance(3 * 86_400 - 1)
    assert timers.tick() == 0
    clock.advance(2)
    assert timers.tick() == 1
    resumed = byhand.read_job(db, job)
    assert (resumed.state, resumed.until) == (State.QUEUED, None)
    assert sender.pokes == [job.id]
    assert timers.tick() == 0


def test_a_pause_that_was_asked_for_anew_has_no_end_any_more(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock
) -> None:
    job = byhand.make_job(db)
    byhand.ask(db, job, Verb.PAUSE, until=clock.now() + timedelta(hours=1))
    found = list(upkeep.due(db, clock.now() + timedelta(hours=2)))
    byhand.ask(db, job, Verb.PAUSE)
    assert [act() for _, act in found] == [[]]
    clock.advance(7_200)
    assert Timers(db=db, sender=sender, clock=clock).tick() == 0
    assert byhand.read_job(db, job).state is State.PAUSED


def test_what_nobody_confirms_is_stopped(db: Database, sender: byhand.Recorder, clock: byhand.StandingClock) -> None:
    job = byhand.make_job(db, confirm=True)
    timers = Timers(db=db, sender=sender, clock=clock)
    clock.advance(86_000)
    assert timers.tick() == 0
    clock.advance(1_000)
    assert timers.tick() == 1
    stopped = byhand.read_job(db, job)
    assert stopped.state is State.STOPPED
    assert stopped.reason is not None
    assert stopped.reason.code == "confirmation_expired"


def test_a_job_starts_at_its_time_and_takes_its_place_in_the_line_then(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock
) -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    job = byhand.make_job(db, start_at=start)
    other = byhand.make_job(db)
    timers = Timers(db=db, sender=sender, clock=clock)
    assert timers.tick() == 0
    clock.advance(3_700)
    timers.tick()
    assert db.locks.find_one({"_id": job.lock})["queue"] == [other.id, job.id]  # type: ignore[index]
    byhand.ask(db, other, Verb.STOP)
    assert byhand.read_part(db, job, 0).status is PartStatus.QUEUED


def test_a_time_limit_pauses_and_whoever_resumes_gets_as_much_again(
    db: Database, sender: byhand.Recorder, clock: byhand.StandingClock
) -> None:
    job = byhand.make_job(db, time_limit_seconds=60.0)
    timers = Timers(db=db, sender=sender, clock=clock)
    with byhand.holding(db, job, 0):
        clock.advance(50)
        assert timers.tick() == 0
        clock.advance(20)
        assert timers.tick() == 1
    paused = byhand.read_job(db, job)
    assert paused.state is State.PAUSED
    assert paused.reason is not None
    assert paused.reason.code == "time_limit"
    byhand.ask(db, job, Verb.RESUME)
    with byhand.holding(db, job, 0):
        began = db.audit.find_one({"job_id": job.id, "verb": "begin"}, sort=[("seq", -1)])
        assert began is not None
        clock.at = began["at"] + timedelta(seconds=59)
        assert timers.tick() == 0
        clock.advance(2)
        assert timers.tick() == 1


def test_two_monitors_do_what_is_due_once(db: Database, clock: byhand.StandingClock) -> None:
    jobs = [byhand.make_job(db, dataset=f"d{n}") for n in range(5)]
    for job in jobs:
        byhand.ask(db, job, Verb.PAUSE, until=clock.now() + timedelta(hours=1))
    clock.advance(3_601)
    senders = [byhand.Recorder() for _ in range(MONITORS)]
    done = side_by_side(*(Timers(db=db, sender=sender, clock=clock).tick for sender in senders))
    assert sum(done) == len(jobs)
    assert {byhand.read_job(db, job).audit_seq for job in jobs} == {3}


def test_two_monitors_start_and_feed_a_job_once(db: Database, clock: byhand.StandingClock) -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    jobs = [byhand.make_job(db, dataset=f"d{n}", start_at=start) for n in range(5)]
    db.outbox.delete_many({})
    clock.advance(3_700)
    senders = [byhand.Recorder() for _ in range(MONITORS)]
    side_by_side(*(Timers(db=db, sender=sender, clock=clock).tick for sender in senders))
    side_by_side(*(Feeder(db=db, sender=sender).tick for sender in senders))
    assert [byhand.read_part(db, job, 0).epoch for job in jobs] == [1] * len(jobs)
    assert len(outbox.overdue(db, older_than_seconds=-60, limit=100)) == len(jobs)
