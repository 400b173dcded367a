"""Tickets that wait too long, windows with room, heartbeats; also with two monitors side by side."""

from datetime import UTC, datetime, timedelta

import pytest

from collect.errors import Transient
from collect.jobs.model import PartStatus
from collect.jobs.states import Verb
from collect.messaging.messages import Heartbeat, RunPart, SlotReport, decode
from collect.messaging.publisher import Publisher
from collect.protocol import maintenance
from collect.storage import organisations, workers
from collect.storage.database import Database
from monitor.heartbeats import Heartbeats
from monitor.part_publisher import PartPublisher
from monitor.queues import Queues
from monitor.relay import Relay
from monitor.sweep import Sweeper
from monitor.windows import Windows
from support import protocol_driver
from support.monitor_fixtures import MONITORS, published_before, side_by_side


def a_sweeper(db: Database, sender: protocol_driver.Recorder, *, depth: int = 0) -> Sweeper:
    return Sweeper(db=db, sender=sender, depth=lambda _kind: depth, after_seconds=5.0, busy_after_seconds=600.0)


def test_a_ticket_that_waits_before_an_empty_queue_is_published_again_unchanged(
    db: Database, sender: protocol_driver.Recorder
) -> None:
    job = protocol_driver.make_job(db)
    before = protocol_driver.read_part(db, job, 0)
    sweeper = a_sweeper(db, sender)
    assert sweeper.tick() == 0
    published_before(db, job, 6)
    assert sweeper.tick() == 1
    after = protocol_driver.read_part(db, job, 0)
    assert (after.ticket, after.epoch) == (before.ticket, before.epoch)
    ticket = RunPart(job_id=job.id, part=0, kind="upload", ticket=before.ticket)
    assert [decode(entry.body.encode())[1] for entry in sender.tickets] == [ticket]
    assert sweeper.tick() == 0


def test_the_time_until_the_next_sweep_of_a_ticket_doubles(db: Database, sender: protocol_driver.Recorder) -> None:
    job = protocol_driver.make_job(db)
    sweeper = a_sweeper(db, sender)
    published_before(db, job, 6)
    assert sweeper.tick() == 1
    published_before(db, job, 6)
    assert sweeper.tick() == 0
    published_before(db, job, 11)
    assert sweeper.tick() == 1
    protocol_driver.ask(db, job, Verb.PAUSE)
    protocol_driver.ask(db, job, Verb.RESUME)
    published_before(db, job, 6)
    assert sweeper.tick() == 1, "a new ticket begins anew"


def test_in_a_full_queue_a_ticket_has_ten_minutes(db: Database, sender: protocol_driver.Recorder) -> None:
    job = protocol_driver.make_job(db)
    sweeper = a_sweeper(db, sender, depth=7)
    published_before(db, job, 500)
    assert sweeper.tick() == 0
    published_before(db, job, 601)
    assert sweeper.tick() == 1


def test_two_sweepers_publish_a_ticket_once(db: Database) -> None:
    jobs = [protocol_driver.make_job(db, dataset=f"d{n}") for n in range(5)]
    for job in jobs:
        published_before(db, job, 6)
    senders = [protocol_driver.Recorder() for _ in range(MONITORS)]
    swept = side_by_side(*(a_sweeper(db, sender).tick for sender in senders))
    assert sum(swept) == len(jobs)


def test_a_part_that_was_claimed_meanwhile_is_not_published(db: Database) -> None:
    job = protocol_driver.make_job(db)
    published_before(db, job, 6)
    (part,) = maintenance.waiting(db, older_than_seconds=5.0)
    with protocol_driver.holding(db, job, 0):
        assert not maintenance.publish_again(db, part).value


def test_the_broker_says_how_full_a_queue_is(db: Database, publisher: Publisher, amqp_url: str) -> None:
    queues = Queues(url=amqp_url, queue_of=lambda kind: f"jobs.{kind}")
    assert queues.depth("upload") == 0
    protocol_driver.make_job(db)
    Relay(db=db, publisher=publisher, older_than_seconds=0.0).tick()
    assert queues.depth("upload") == 1
    assert queues.depth("no-such-kind") == 0
    assert queues.depth("upload") == 1
    queues.close()


def test_a_broker_that_is_away_is_waited_for() -> None:
    with pytest.raises(Transient):
        Queues(url="amqp://guest:guest@127.0.0.1:1/", queue_of=str).depth("upload")


def test_when_the_cap_has_room_again_the_more_urgent_job_is_fed_first(
    db: Database, sender: protocol_driver.Recorder
) -> None:
    organisations.patch(db, org_id=protocol_driver.ORG, limits={"concurrent_jobs": 1})
    first = protocol_driver.make_job(db, dataset="a")
    older = protocol_driver.make_job(db, dataset="b")
    urgent = protocol_driver.make_job(db, dataset="c", priority="high")
    publisher = PartPublisher(db=db, sender=sender)
    assert publisher.tick() == 0
    protocol_driver.ask(db, first, Verb.PAUSE)
    assert publisher.tick() == 1
    assert protocol_driver.read_part(db, urgent, 0).status is PartStatus.QUEUED
    assert protocol_driver.read_part(db, older, 0).status is PartStatus.IDLE
    protocol_driver.ask(db, urgent, Verb.STOP)
    assert publisher.tick() == 1
    assert protocol_driver.read_part(db, older, 0).status is PartStatus.QUEUED


def test_a_job_behind_its_lock_or_before_its_time_is_not_hungry(db: Database, sender: protocol_driver.Recorder) -> None:
    protocol_driver.make_job(db)
    protocol_driver.make_job(db, on_conflict="queue")
    protocol_driver.make_job(db, dataset="later", start_at=datetime.now(UTC) + timedelta(hours=1))
    assert maintenance.runnable_jobs(db) == []
    assert PartPublisher(db=db, sender=sender).tick() == 0


def beat(worker_id: str, *, slots: int = 2, at: datetime | None = None, busy: bool = False) -> Heartbeat:
    reports = [SlotReport(job_id="j" if busy else None, part=1, epoch=1) for _ in range(slots)]
    return Heartbeat(worker_id=worker_id, kind="upload", version="1", slots=reports, at=at or datetime.now(UTC))


def test_the_slots_are_shared_among_the_jobs_that_want_them(db: Database, sender: protocol_driver.Recorder) -> None:
    job = protocol_driver.make_job(db)
    protocol_driver.plan(db, job, [1] * 20)
    workers.store(db, [beat("a", slots=4), beat("b", slots=4)], received_at=datetime.now(UTC))
    windows = Windows(db=db, seen_seconds=10.0)
    assert windows.tick() == 1
    assert protocol_driver.read_job(db, job).window == 9
    assert PartPublisher(db=db, sender=sender).tick() == 5
    protocol_driver.make_job(db, dataset="second")
    assert windows.tick() == 2
    assert protocol_driver.read_job(db, job).window == 5
    assert windows.tick() == 0


def test_without_heartbeats_windows_stay_as_they_are(db: Database) -> None:
    job = protocol_driver.make_job(db)
    workers.store(db, [beat("a", slots=50)], received_at=datetime.now(UTC))
    _silent_since(db, "a", seconds=11)
    assert Windows(db=db, seen_seconds=10.0).tick() == 0
    assert protocol_driver.read_job(db, job).window == 4


def _silent_since(db: Database, worker_id: str, *, seconds: float) -> None:
    db.workers.update_one({"_id": worker_id}, {"$set": {"at": datetime.now(UTC) - timedelta(seconds=seconds)}})


def test_heartbeats_are_kept_for_a_while_and_of_each_worker_the_last(
    db: Database, clock: protocol_driver.StandingClock
) -> None:
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
