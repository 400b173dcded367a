"""Who may write: claims, releases, leases, and what becomes of a part whose owner is gone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from collect.errors import Fenced
from collect.jobs.model import MaxRejected, Phase
from collect.jobs.states import State, Verb
from collect.messaging.messages import RunPart
from collect.protocol import commits, reaper, verbs
from collect.protocol.lease import renew
from collect.storage import parts
from collect.storage.database import Database
from integration.storage.conftest import Connect
from integration.storage.hands import (
    LEASE_SECONDS,
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
    take_hold,
    tickets,
)

AT_ONCE = 10


def claimed_at_once(hands: list[Hand], message: RunPart, *, redelivered: bool) -> list[Hand]:
    """The hands that got it, when all have claimed at the same time."""
    start = threading.Barrier(len(hands))

    def claim(hand: Hand) -> bool:
        start.wait()
        return hand.claim(message, redelivered=redelivered)

    with ThreadPoolExecutor(len(hands)) as threads:
        return [hand for hand, got in zip(hands, threads.map(claim, hands), strict=True) if got]


def test_f12_f19_the_same_message_ten_times_at_once_is_claimed_once(db: Database, connected: Connect) -> None:
    job = make(db)
    hands = [Hand(connected(f"hand-{i}"), f"hand-{i}") for i in range(AT_ONCE)]
    message = newest(db, job)
    assert len(claimed_at_once(hands, message, redelivered=False)) == 1


def test_of_many_that_take_over_a_redelivered_message_at_once_only_the_last_may_write(
    db: Database, connected: Connect
) -> None:
    job = make(db, rows(parts=1))
    first = take_hold(db, job)
    hands = [Hand(connected(f"hand-{i}"), f"hand-{i}") for i in range(4)]
    assert first.message is not None
    got = claimed_at_once(hands, first.message, redelivered=True)
    epoch = parts.of_job(db, job_id=job.id)[1].epoch
    owners = [hand for hand in got if hand.part.epoch == epoch]
    assert len(owners) == 1
    for hand in [first, *got]:
        if hand is not owners[0]:
            with pytest.raises(Fenced):
                hand.chunk()
    owners[0].work_off()
    run_until_rest(db)
    assert state_of(db, job) is State.SUCCEEDED


def test_f20_an_older_ticket_claims_nothing(db: Database) -> None:
    job = make(db)
    old = newest(db, job)
    do(db, job, Verb.PAUSE)
    do(db, job, Verb.RESUME)
    before = snapshot(db)
    assert not Hand(db).claim(old)
    assert not Hand(db).claim(old, redelivered=True)
    assert snapshot(db) == before
    new = newest(db, job)
    assert new.ticket > old.ticket
    assert Hand(db).claim(new)


def test_a_message_of_another_kind_claims_nothing(db: Database) -> None:
    message = newest(db, make(db))
    before = snapshot(db)
    assert not Hand(db).claim(message.model_copy(update={"kind": "teams"}), redelivered=True)
    assert snapshot(db) == before


def test_a_leased_part_is_taken_over_only_by_a_redelivered_message(db: Database) -> None:
    owner = take_hold(db, make(db), chunks=1)
    assert owner.message is not None
    before = snapshot(db)
    assert not Hand(db, "thief").claim(owner.message)
    assert snapshot(db) == before
    heir = Hand(db, "heir")
    assert heir.claim(owner.message, redelivered=True)
    assert heir.part.losses == 1
    assert heir.part.seq == 1
    with pytest.raises(Fenced):
        owner.chunk()
    heir.chunk()
    assert heir.part.losses == 0


def test_a_duplicate_does_not_end_what_the_owner_has_open(db: Database) -> None:
    owner = take_hold(db, make(db))
    attempts: list[int] = []

    def duplicate_arrives() -> None:
        attempts.append(1)
        assert owner.message is not None
        assert not Hand(db, "thief").claim(owner.message)

    owner.toy.inside = duplicate_arrives
    outbox_before = db.outbox.count_documents({})
    owner.chunk()
    assert owner.part.seq == 1
    assert attempts == [1]
    assert db.outbox.count_documents({}) == outbox_before


def test_release_goes_to_the_end_of_the_jobs_own_parts(db: Database) -> None:
    job = make(db, rows(parts=6))
    hand = take_hold(db, job, chunks=1)
    released = hand.part.n
    hand.release()
    part = parts.of_job(db, job_id=job.id)[released]
    assert (part.status, part.lsid, part.losses) == ("idle", None, 0)
    assert newest(db, job).part == 5


def test_at_most_a_window_of_parts_is_out(db: Database) -> None:
    job = make(db, rows(parts=9))
    take_hold(db, job)
    out = db.parts.count_documents({"job_id": job.id, "status": {"$in": ["queued", "leased"]}})
    assert out == now_is(db, job).window == 4


def test_a_lease_is_prolonged_only_when_little_of_it_is_left(db: Database) -> None:
    hand = take_hold(db, make(db))
    before = snapshot(db, "parts")
    assert not renew(db, part=hand.part, lease_seconds=LEASE_SECONDS, left_seconds=15.0)
    assert snapshot(db, "parts") == before
    expire(db, hand.part.id)
    assert renew(db, part=hand.part, lease_seconds=LEASE_SECONDS, left_seconds=15.0)
    assert reaper.expired(db) == []
    do(db, hand.job, Verb.PAUSE)
    assert not renew(db, part=hand.part, lease_seconds=LEASE_SECONDS, left_seconds=60.0)


def test_f10_an_owner_that_slept_longer_than_its_lease_wakes_up_fenced(db: Database) -> None:
    job = make(db)
    sleeper = take_hold(db, job, chunks=1)
    expire(db, sleeper.part.id)
    lost = reaper.expired(db)
    assert [part.id for part in lost] == [sleeper.part.id]
    assert reaper.reap(db, lost[0], why="it was silent").value
    assert not reaper.reap(db, lost[0], why="it was silent").value
    with pytest.raises(Fenced):
        sleeper.chunk()
    run_until_rest(db)
    assert state_of(db, job) is State.SUCCEEDED
    assert db.rows.count_documents({}) == 8


def test_a_lease_that_was_prolonged_meanwhile_is_not_reaped(db: Database) -> None:
    hand = take_hold(db, make(db))
    expire(db, hand.part.id)
    lost = reaper.expired(db)[0]
    hand.chunk()
    assert not reaper.reap(db, lost, why="it was silent").value
    hand.chunk()


def test_a_child_seen_to_die_is_reaped_at_once_whatever_its_lease(db: Database) -> None:
    job = make(db)
    hand = take_hold(db, job, chunks=1)
    lost = hand.die_in_transaction()
    assert reaper.reap(db, lost, why="killed", expired_only=False).value
    assert not reaper.reap(db, lost, why="killed", expired_only=False).value
    run_until_rest(db)
    assert state_of(db, job) is State.SUCCEEDED
    assert db.rows.count_documents({}) == 8


@pytest.mark.parametrize("how", ["reaped", "redelivered"])
def test_f6_a_part_lost_five_times_without_a_commit_between_fails_its_job(db: Database, how: str) -> None:
    job = make(db, rows(parts=3))
    hand = take_hold(db, job, chunks=1)
    n = hand.part.n
    for loss in range(1, reaper.MAX_LOSSES + 1):
        if how == "reaped":
            assert reaper.reap(db, hand.part, why=f"loss {loss}", expired_only=False).value
            if loss == reaper.MAX_LOSSES:
                break
            hand = Hand(db)
            assert hand.claim(newest(db, job, part=n))
        else:
            assert hand.message is not None
            heir = Hand(db, f"heir-{loss}")
            assert heir.claim(hand.message, redelivered=True)
            hand = heir
        assert hand.part.losses == loss
    if how == "redelivered":
        commits.fail(hand.lease, reaper.poisoned(hand.job, hand.part, "it was given away."))
    failed = now_is(db, job)
    assert failed.state is State.FAILED
    assert failed.reason is not None
    assert failed.reason.code == "poison"
    assert db.locks.find_one({"queue": job.id}) is None
    do(db, job, Verb.RESUME)
    assert all(part.losses == 0 for part in parts.of_job(db, job_id=job.id))
    run_until_rest(db)
    assert state_of(db, job) is State.SUCCEEDED


def test_a_commit_between_sets_the_losses_back(db: Database) -> None:
    job = make(db, rows(parts=1, per_part=40))
    hand = take_hold(db, job)
    for _ in range(reaper.MAX_LOSSES * 2):
        assert hand.message is not None
        heir = Hand(db, "heir")
        assert heir.claim(hand.message, redelivered=True)
        heir.chunk()
        hand = heir
    assert hand.part.losses == 0
    assert state_of(db, job) is State.RUNNING


def test_two_parts_done_at_once_are_followed_by_one_finish(db: Database, connected: Connect) -> None:
    for _ in range(5):
        job = make(db, rows(parts=2, per_part=2))
        one = take_hold(db, job, chunks=1, client=connected("one"))
        other = take_hold(db, job, chunks=1, client=connected("other"))
        start = threading.Barrier(2)

        def step(hand: Hand, start: threading.Barrier = start) -> None:
            start.wait()
            hand.step()

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(step, [one, other]))
        stored = now_is(db, job)
        zero = parts.of_job(db, job_id=job.id)[0]
        assert (stored.parts_left, zero.phase, zero.status) == (0, Phase.FINISH, "queued")
        finishing = [message for _, message in tickets(db) if message.job_id == job.id and message.part == 0]
        assert [message.ticket for message in finishing] == [zero.ticket]
        assert Hand(db).claim(finishing[0])
        do(db, job, Verb.STOP)


def test_an_owner_that_was_overtaken_at_its_last_part_is_fenced_and_not_refused(db: Database) -> None:
    job = make(db, rows(parts=1, per_part=2))
    run_until_rest(db)
    do(db, job, Verb.UNDO)
    hand = take_hold(db, job)
    hand.take_back()
    heir = Hand(db, "heir")
    assert hand.message is not None
    assert heir.claim(hand.message, redelivered=True)
    heir.fail()
    assert state_of(db, job) is State.UNDO_FAILED
    before = snapshot(db)
    with pytest.raises(Fenced):
        hand.step()
    assert snapshot(db) == before


def test_a_plan_without_parts_goes_on_to_the_finish(db: Database) -> None:
    job = make(db, [])
    run_until_rest(db)
    done = now_is(db, job)
    assert done.state is State.SUCCEEDED
    assert done.total_rows == 0
    assert done.result == {"done": True}
    assert do(db, job, Verb.UNDO).job.state is State.UNDONE


def test_too_many_rejects_pause_the_job_by_the_verb_that_people_use(db: Database) -> None:
    job = make(db, rows(parts=3))
    hand = take_hold(db, job, chunks=1)
    other = take_hold(db, job)
    hand.over_limit()
    paused = now_is(db, job)
    assert paused.state is State.PAUSED
    assert paused.reason is not None
    assert paused.reason.code == verbs.OVER_LIMIT
    assert paused.last_action is not None
    assert paused.last_action.actor.id == "system"
    assert paused.last_action.effective_at is not None
    assert list(paused.last_action.holding) == [db.session_id(other.session)]
    with pytest.raises(Fenced):
        other.chunk()
    assert do(db, job, Verb.PAUSE).repeated


@pytest.mark.parametrize("limit", [None, MaxRejected(rows=20)])
def test_who_resumes_accepts_the_rejects_so_far_and_the_limit_counts_anew(
    db: Database, limit: MaxRejected | None
) -> None:
    job = make(db)
    hand = take_hold(db, job)
    hand.toy.rejected = 1
    hand.chunk()
    hand.over_limit()
    do(db, job, Verb.RESUME, max_rejected=limit)
    assert now_is(db, job).rejected_before == 1
    hand = take_hold(db, job)
    hand.toy.rejected = 1
    hand.chunk()
    do(db, job, Verb.PAUSE)
    do(db, job, Verb.RESUME)
    assert now_is(db, job).rejected_before == 2


def test_what_an_owner_of_another_part_has_open_ends_when_the_job_fails(db: Database) -> None:
    job = make(db, rows(parts=3))
    hand, dead = take_hold(db, job), take_hold(db, job)
    begin_and_lock(dead, key="elsewhere")
    hand.fail()
    db.rows.update_one({"_id": "elsewhere"}, {"$set": {"value": 1}}, upsert=True)
    assert state_of(db, job) is State.FAILED


def begin_and_lock(hand: Hand, *, key: str) -> None:
    """A transaction that is open on the server and holds a row."""
    hand.session.start_transaction()
    hand.db.rows.insert_one({"_id": key, "value": 0}, session=hand.session)
    hand.forget()


def test_a_failed_job_says_why_holds_no_lock_and_can_be_resumed(db: Database) -> None:
    job = make(db)
    take_hold(db, job, chunks=1).fail("unknown_column")
    failed = now_is(db, job)
    assert failed.state is State.FAILED
    assert failed.reason is not None
    assert (failed.reason.code, failed.reason.where) == ("unknown_column", "row 1")
    assert db.locks.find_one({"queue": job.id}) is None
    do(db, job, Verb.RESUME)
    run_until_rest(db)
    assert state_of(db, job) is State.SUCCEEDED
