"""What was not sent is sent, and what nobody holds any more is given out again; also with two monitors side by side."""

import uuid
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from bson.binary import Binary

from collect.errors import Fenced, Transient
from collect.jobs.model import PartStatus
from collect.jobs.states import State, Verb
from collect.messaging.messages import RunPart, decode
from collect.messaging.publisher import Publisher, Refused, Unroutable
from collect.protocol import reaper as protocol_reaper
from collect.protocol.lease import Ticket, claim
from collect.storage import outbox
from collect.storage.database import Database
from monitor.reaper import Reaper
from monitor.relay import BATCH, Relay
from support import protocol_driver
from support.monitor_fixtures import LEASE_SECONDS, MONITORS, expire, received, side_by_side


def test_f22_what_was_committed_and_not_published_is_relayed(db: Database, publisher: Publisher, amqp_url: str) -> None:
    job = protocol_driver.make_job(db)
    relay = Relay(db=db, publisher=publisher, older_than_seconds=0.0)
    assert relay.tick() == 2
    assert [(message.job_id, message.part) for message in received(amqp_url)] == [(job.id, 0)]
    assert db.outbox.count_documents({}) == 0
    assert relay.tick() == 0


def test_young_entries_are_left_to_whoever_committed_them(db: Database, publisher: Publisher) -> None:
    protocol_driver.make_job(db)
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
    protocol_driver.make_job(db)
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
    """Whether a slot that has not seen the message before gets the part: its session is its own."""
    ticket = Ticket(kind=message.kind, job_id=message.job_id, part=message.part, ticket=message.ticket)
    lsid = {"id": Binary.from_uuid(uuid.uuid4())}
    return claim(db, ticket, redelivered=False, owner="x", session_id=lsid, lease_seconds=LEASE_SECONDS) is not None


def test_two_relays_leave_nothing_and_whatever_came_twice_is_claimed_once(
    db: Database, publisher: Publisher, amqp_url: str
) -> None:
    jobs = [protocol_driver.make_job(db, dataset=f"d{n}") for n in range(5)]
    second = Publisher(amqp_url)
    relays = [Relay(db=db, publisher=each, older_than_seconds=0.0) for each in (publisher, second)]
    side_by_side(*(relay.tick for relay in relays))
    second.close()
    assert db.outbox.count_documents({}) == 0
    messages = received(amqp_url)
    assert {message.job_id for message in messages} == {job.id for job in jobs}
    assert sum(_claimed(db, message) for message in messages) == len(jobs)


class _NoRoute(Publisher):
    def __init__(self, amqp_url: str, error: type[Transient]) -> None:
        super().__init__(amqp_url)
        self.asked = 0
        self._error = error

    def publish(self, *, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        self.asked += 1
        if mandatory:
            raise self._error("No queue takes it.")


@pytest.mark.parametrize("error", [Unroutable, Refused])
def test_f17_f21_messages_that_no_queue_takes_stay_and_do_not_hold_up_the_others(
    db: Database, amqp_url: str, error: type[Transient]
) -> None:
    job = protocol_driver.make_job(db)
    stuck = db.outbox.find_one_and_delete({"mandatory": True}) or {}
    hours_ago = datetime.now(UTC) - timedelta(hours=1)
    many = 3 * BATCH
    db.outbox.insert_many({**stuck, "_id": f"{job.id}-{n}", "at": hours_ago} for n in range(many))
    publisher = _NoRoute(amqp_url, error)
    assert Relay(db=db, publisher=publisher, older_than_seconds=0.0).tick() == 1
    assert [entry["mandatory"] for entry in db.outbox.find()] == [True] * many
    assert publisher.asked == 2
    db.outbox.delete_many({})


def test_an_entry_s_age_does_not_hang_on_the_clock_of_its_committer(
    db: Database, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return super().now(tz) + timedelta(minutes=10)

    monkeypatch.setattr(outbox, "datetime", Ahead)
    protocol_driver.make_job(db)
    assert Relay(db=db, publisher=publisher, older_than_seconds=0.0).tick() == 2


class _Away(Publisher):
    def publish(self, *, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        raise Transient("The broker did not take it.")


def test_while_the_broker_is_away_the_entries_stay(db: Database, amqp_url: str) -> None:
    protocol_driver.make_job(db)
    with pytest.raises(Transient):
        Relay(db=db, publisher=_Away(amqp_url), older_than_seconds=0.0).tick()
    assert db.outbox.count_documents({}) == 2


def a_reaper(
    db: Database,
    sender: protocol_driver.Recorder,
    clock: protocol_driver.StandingClock,
    *,
    max_expired: int = 10,
    watched: bool = True,
) -> Reaper:
    reaper = Reaper(db=db, sender=sender, clock=clock, lease_seconds=LEASE_SECONDS, max_expired=max_expired)
    if watched:
        reaper.tick()
        for _ in range(10):
            clock.advance(LEASE_SECONDS / 10)
            reaper.tick()
    return reaper


def test_a_part_whose_lease_has_run_out_is_given_out_again_and_its_owner_is_fenced(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db)
    protocol_driver.plan(db, job, [20])
    reaper = a_reaper(db, sender, clock)
    with protocol_driver.holding(db, job, 1) as lease:
        protocol_driver.write(db, lease, job, rows=10)
        assert reaper.tick() == 0
        expire(db, job, 1)
        assert reaper.tick() == 1
        part = protocol_driver.read_part(db, job, 1)
        assert (part.status, part.losses, part.ticket) == (PartStatus.QUEUED, 1, part.epoch)
        assert [decode(entry.body.encode())[1] for entry in sender.tickets] == [
            RunPart(job_id=job.id, part=1, kind="upload", ticket=part.ticket)
        ]
        with pytest.raises(Fenced):
            protocol_driver.write(db, lease, job, rows=10)
    assert db.rows.count_documents({}) == 10


def test_the_transaction_that_an_owner_has_left_open_is_ended(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db)
    protocol_driver.plan(db, job, [20])
    reaper = a_reaper(db, sender, clock)
    with protocol_driver.holding(db, job, 1) as lease:
        expire(db, job, 1)
        lease.session.start_transaction()
        db.rows.insert_one(protocol_driver.row(job, 1, "never"), session=lease.session)
        db.parts.update_one(lease.mine, {"$set": {"seq": 1}}, session=lease.session)
        assert reaper.tick() == 1
    assert db.rows.count_documents({}) == 0


def test_the_fifth_loss_without_a_commit_fails_the_job(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db)
    reaper = a_reaper(db, sender, clock)
    for _ in range(protocol_reaper.MAX_LOSSES):
        with protocol_driver.holding(db, job, 0):
            expire(db, job, 0)
            assert reaper.tick() == 1
    failed = protocol_driver.read_job(db, job)
    assert failed.state is State.FAILED
    assert failed.reason is not None
    assert failed.reason.code == "poison"


def test_it_watches_for_a_full_lease_when_it_starts(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db)
    reaper = a_reaper(db, sender, clock, watched=False)
    with protocol_driver.holding(db, job, 0):
        expire(db, job, 0)
        for _ in range(10):
            assert reaper.tick() == 0
            clock.advance(LEASE_SECONDS / 10)
        assert reaper.tick() == 1


def test_it_watches_again_after_an_outage_of_its_own(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db)
    reaper = a_reaper(db, sender, clock)
    with protocol_driver.holding(db, job, 0):
        expire(db, job, 0)
        clock.advance(3600)
        assert reaper.tick() == 0
        clock.advance(LEASE_SECONDS / 2)
        assert reaper.tick() == 0
        clock.advance(LEASE_SECONDS / 2)
        assert reaper.tick() == 1


def test_it_stops_when_too_many_leases_expire_at_once_and_says_so(
    db: Database,
    sender: protocol_driver.Recorder,
    clock: protocol_driver.StandingClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs = [protocol_driver.make_job(db, dataset=f"d{n}") for n in range(3)]
    reaper = a_reaper(db, sender, clock, max_expired=2)
    for job in jobs:
        with protocol_driver.holding(db, job, 0):
            expire(db, job, 0)
    assert reaper.tick() == 0
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["reaper_stopped"]
    soon = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)
    db.parts.update_one({"job_id": jobs[0].id}, {"$set": {"lease_until": soon}})
    assert reaper.tick() == 2


def test_slots_that_were_lost_with_their_worker_are_presumed_free_after_a_lease(
    db: Database, sender: protocol_driver.Recorder, clock: protocol_driver.StandingClock
) -> None:
    job = protocol_driver.make_job(db)
    reaper = a_reaper(db, sender, clock)
    with protocol_driver.holding(db, job, 0):
        protocol_driver.ask(db, job, Verb.PAUSE)
    reaper.tick()
    action = protocol_driver.read_job(db, job).last_action
    assert action is not None
    assert len(action.holding) == 1
    long_ago = datetime.now(UTC) - timedelta(seconds=LEASE_SECONDS + 1)
    db.jobs.update_one({"_id": job.id}, {"$set": {"last_action.effective_at": long_ago}})
    reaper.tick()
    action = protocol_driver.read_job(db, job).last_action
    assert action is not None
    assert action.holding == ()
    assert action.slots_free_at is not None


def test_two_reapers_free_a_part_once(db: Database, clock: protocol_driver.StandingClock) -> None:
    jobs = [protocol_driver.make_job(db, dataset=f"d{n}") for n in range(5)]
    senders = [protocol_driver.Recorder() for _ in range(MONITORS)]
    reapers = [a_reaper(db, sender, clock) for sender in senders]
    for job in jobs:
        with protocol_driver.holding(db, job, 0):
            expire(db, job, 0)
    freed = side_by_side(*(reaper.tick for reaper in reapers))
    assert sum(freed) == len(jobs)
    assert sum(len(sender.tickets) for sender in senders) == len(jobs)
    assert {protocol_driver.read_part(db, job, 0).losses for job in jobs} == {1}
