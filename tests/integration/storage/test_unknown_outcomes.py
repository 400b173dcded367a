"""Commits of which nobody knows whether they were, killed sessions, dead transactions: each act happens once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from collect.errors import Fenced
from collect.jobs.model import OUT, Job
from collect.jobs.states import State, Verb
from collect.protocol import creation, verbs
from collect.storage import parts
from collect.storage.database import Database, transact
from integration.storage.conftest import Connect
from integration.storage.failpoints import OUTCOMES, failing
from integration.storage.hands import (
    LOCK,
    Hand,
    do,
    make,
    new_job,
    newest,
    now_is,
    request,
    rows,
    run_until_rest,
    snapshot,
    state_of,
    take_hold,
)

VICTIM = "victim"
BEFORE_THE_SERVER_GIVES_UP = 8.0
"""A transaction that nobody ends is ended by the server after ten seconds. What is quicker has ended it itself."""

outcomes = pytest.mark.parametrize(("times", "how"), list(OUTCOMES.values()), ids=list(OUTCOMES))


@pytest.fixture
def victim(connected: Connect) -> Database:
    """The client whose commits go wrong."""
    return connected(VICTIM)


def sound(db: Database, job: Job) -> None:
    """Each row once, each chunk in the ledger once, audit without a gap."""
    done = now_is(db, job)
    for part in parts.of_job(db, job_id=job.id):
        found = [entry["seq"] for entry in db.ledger.find({"job_id": job.id, "n": part.n}).sort("seq", 1)]
        assert found == list(range(part.seq))
    assert [entry["seq"] for entry in db.audit.find({"job_id": job.id}).sort("seq", 1)] == list(
        range(1, done.audit_seq + 1)
    )


def finish(db: Database, job: Job, hand: Hand) -> None:
    """Whatever the hand still holds is worked off, then all the rest."""
    hand.work_off()
    run_until_rest(db)
    assert state_of(db, job) is State.SUCCEEDED
    assert db.rows.count_documents({}) == sum(len(part) for part in job.params["parts"])
    assert sum(part.counts.succeeded for part in parts.of_job(db, job_id=job.id)) == db.rows.count_documents({})
    sound(db, job)


@outcomes
def test_a_chunk_is_committed_once(db: Database, victim: Database, times: int, how: dict[str, Any]) -> None:
    job = make(db, rows(parts=1, per_part=8))
    hand = take_hold(db, job, client=victim, chunks=1)
    with failing(db, "commitTransaction", app_name=VICTIM, times=times, **how):
        hand.chunk()
    assert hand.part.seq == 2
    assert hand.part.counts.succeeded == 4
    finish(db, job, hand)


@outcomes
def test_an_entry_is_undone_once(db: Database, victim: Database, times: int, how: dict[str, Any]) -> None:
    job = make(db, rows(parts=1, per_part=8))
    run_until_rest(db)
    do(db, job, Verb.UNDO)
    hand = take_hold(db, job, client=victim)
    with failing(db, "commitTransaction", app_name=VICTIM, times=times, **how):
        hand.take_back()
    assert (hand.part.left, hand.part.counts.undone) == (3, 2)
    hand.work_off()
    run_until_rest(db)
    assert state_of(db, job) is State.UNDONE
    assert db.rows.count_documents({}) == 0
    assert sum(part.counts.undone for part in parts.of_job(db, job_id=job.id)) == 8
    sound(db, job)


def step(hand: Hand) -> None:
    """One step that may turn out to have been committed, which its owner learns as being fenced."""
    try:
        hand.step()
    except Fenced:
        hand.forget()


@outcomes
@pytest.mark.parametrize("which", ["planned", "released", "part done", "finished"])
def test_what_ends_a_hold_is_committed_once(
    db: Database, victim: Database, which: str, times: int, how: dict[str, Any]
) -> None:
    job = make(db, rows(parts=2))
    hand = Hand(victim)
    if which == "planned":
        assert hand.claim(newest(db, job))
    elif which == "finished":
        other = Hand(db)
        for n in (0, 1, 2):
            assert other.claim(newest(db, job, part=n))
            other.work_off()
        assert hand.claim(newest(db, job, part=0))
    else:
        hand = take_hold(db, job, client=victim, chunks=1 if which == "released" else 2)
    act: Callable[[], None] = hand.release if which == "released" else lambda: hand.step()
    with failing(db, "commitTransaction", app_name=VICTIM, times=times, **how):
        try:
            act()
        except Fenced:
            hand.forget()
    assert db.parts.count_documents({"job_id": job.id, "status": "leased"}) == 0
    finish(db, job, hand)


@outcomes
@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.STOP, Verb.TERMINATE, Verb.RESUME, Verb.UNDO, Verb.CONFIRM])
def test_a_verb_is_done_once_and_its_time_is_noted(
    db: Database, victim: Database, verb: Verb, times: int, how: dict[str, Any]
) -> None:
    job = make(db, confirm=True) if verb is Verb.CONFIRM else take_hold(db, make(db), chunks=1).job
    if verb is Verb.RESUME:
        do(db, job, Verb.PAUSE)
    if verb is Verb.UNDO:
        do(db, job, Verb.STOP)
    before = now_is(db, job).audit_seq
    asked = request("once", id="once")
    with failing(db, "commitTransaction", app_name=VICTIM, times=times, **how):
        outcome = verbs.perform(victim, org_id=job.org_id, job_id=job.id, verb=verb, request=asked)
    assert not outcome.repeated
    stored = now_is(db, job)
    assert stored.audit_seq == before + 1
    assert stored.state is outcome.job.state
    entry = db.audit.find_one({"job_id": job.id, "seq": stored.audit_seq})
    assert entry is not None
    assert entry["request_id"] == "once"
    assert entry["effective_at"] is not None
    assert stored.last_action is not None
    assert stored.last_action.effective_at == entry["effective_at"]
    assert do(db, job, verb).repeated


@outcomes
@pytest.mark.parametrize("on_conflict", ["queue", "supersede"])
def test_a_job_is_created_once(
    db: Database, victim: Database, on_conflict: str, times: int, how: dict[str, Any]
) -> None:
    old = take_hold(db, make(db), chunks=1).job
    new = new_job(rows(prefix="new"), on_conflict=on_conflict, supersedes=old.id)
    with failing(db, "commitTransaction", app_name=VICTIM, times=times, **how):
        made = transact(victim, lambda tx: creation.create(tx, new)).value
    assert made.id == new.id
    entry = db.audit.find_one({"job_id": new.id, "verb": "create"})
    assert entry is not None
    assert entry["effective_at"] is not None
    lock = db.locks.find_one({"_id": LOCK})
    assert lock is not None
    assert lock["queue"] == [old.id, new.id]
    assert db.jobs.count_documents({}) == 2
    assert db.audit.count_documents({"job_id": new.id}) == 1
    if on_conflict == "queue":
        do(db, old, Verb.STOP)
    run_until_rest(db)
    assert state_of(db, made) is State.SUCCEEDED


@pytest.mark.parametrize("undo", [False, True])
def test_a_commit_that_comes_through_late_is_recognised(db: Database, victim: Database, undo: bool) -> None:
    """Its owner has looked, found nothing moved, and tries again; by then the first commit is there."""
    job = make(db, rows(parts=1, per_part=8))
    if undo:
        run_until_rest(db)
        do(db, job, Verb.UNDO)
    hand = take_hold(db, job, client=victim)

    came_through: list[bool] = []

    def commit_at_last() -> None:
        came_through.append(True)
        db.kill_sessions([db.session_id(hand.session)])
        late = Hand(db, "late")
        late.hold(hand.part)
        late.step()

    hand.between = commit_at_last
    with failing(db, "commitTransaction", app_name=VICTIM, times=2, closeConnection=True):
        hand.step()
    assert came_through == [True]
    assert (hand.part.seq, hand.part.left) == ((4, 3) if undo else (1, 0))
    hand.work_off()
    run_until_rest(db)
    assert state_of(db, job) is (State.UNDONE if undo else State.SUCCEEDED)
    assert db.rows.count_documents({}) == (0 if undo else 8)
    sound(db, job)


@pytest.mark.parametrize("undo", [False, True])
def test_a_session_that_is_killed_in_the_middle_of_a_transaction_costs_one_try(db: Database, undo: bool) -> None:
    job = make(db, rows(parts=1, per_part=8))
    if undo:
        run_until_rest(db)
        do(db, job, Verb.UNDO)
    hand = take_hold(db, job)
    hand.toy.inside = lambda: db.kill_sessions([db.session_id(hand.session)])
    hand.step()
    assert (hand.part.left if undo else hand.part.seq) == (3 if undo else 1)
    assert hand.part.losses == 0
    hand.work_off()
    run_until_rest(db)
    assert state_of(db, job) is (State.UNDONE if undo else State.SUCCEEDED)
    sound(db, job)


def test_a_session_that_is_killed_at_its_commit_costs_one_try(db: Database, victim: Database) -> None:
    job = make(db, rows(parts=1, per_part=20))
    hand = take_hold(db, job, client=victim)
    for delay in (0.0, 0.02, 0.05, 0.1):
        with (
            failing(db, "commitTransaction", app_name=VICTIM, times=1, blockConnection=True, blockTimeMS=60),
            ThreadPoolExecutor(1) as threads,
        ):
            committing = threads.submit(hand.chunk)
            threading.Event().wait(delay)
            db.kill_sessions([db.session_id(hand.session)])
            committing.result()
    assert hand.part.seq == 4
    finish(db, job, hand)


def test_a_verb_against_a_busy_chunk_is_delayed_and_not_refused(db: Database) -> None:
    hand = take_hold(db, make(db, rows(parts=1, per_part=40)))
    job = hand.job
    enough = threading.Event()

    def write_on() -> int:
        committed = 0
        while not enough.is_set():
            try:
                hand.step()
            except Fenced:
                return committed
            committed += 1
            if hand.part.cursor["at"] >= 38:
                return committed
        return committed

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write_on)
        do(db, job, Verb.PAUSE)
        before = snapshot(db, "rows", "ledger", "parts")
        writing.result()
    assert snapshot(db, "rows", "ledger", "parts") == before
    enough.set()


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.STOP, Verb.TERMINATE])
def test_a_verb_against_a_dead_open_transaction_ends_it(db: Database, verb: Verb) -> None:
    hand = take_hold(db, make(db), chunks=1)
    job = hand.job
    hand.die_in_transaction()
    began = time.monotonic()
    do(db, job, verb)
    assert time.monotonic() - began < BEFORE_THE_SERVER_GIVES_UP
    run_until_rest(db)
    assert db.parts.count_documents({"job_id": job.id, "status": {"$in": list(OUT)}}) == 0
    assert db.rows.count_documents({}) == (0 if verb is Verb.TERMINATE else 2)


def test_superseding_against_a_dead_open_transaction_ends_it(db: Database) -> None:
    hand = take_hold(db, make(db), chunks=1)
    old = hand.job
    hand.die_in_transaction()
    began = time.monotonic()
    new = make(db, rows(prefix="new"), on_conflict="supersede", supersedes=old.id)
    assert time.monotonic() - began < BEFORE_THE_SERVER_GIVES_UP
    run_until_rest(db)
    assert (state_of(db, old), state_of(db, new)) == (State.TERMINATED, State.SUCCEEDED)


def test_whoever_takes_over_ends_what_the_last_owner_left_open(db: Database) -> None:
    job = make(db, rows(parts=1, per_part=8))
    hand = take_hold(db, job, chunks=1)
    message = hand.message
    assert message is not None
    hand.die_in_transaction()
    heir = Hand(db, "heir")
    began = time.monotonic()
    assert heir.claim(message, redelivered=True)
    heir.chunk()
    assert time.monotonic() - began < BEFORE_THE_SERVER_GIVES_UP
    finish(db, job, heir)


def test_what_a_verb_has_cut_does_not_hold_the_rows_of_the_next_job(db: Database) -> None:
    """A stopped child of the old job has rows locked, and has not come to its part yet."""
    hand = take_hold(db, make(db), chunks=1)
    hand.session.start_transaction()
    db.rows.insert_one({"_id": "contested", "value": 0}, session=hand.session)
    began = time.monotonic()
    do(db, hand.job, Verb.STOP)
    db.rows.insert_one({"_id": "contested", "value": 1})
    assert time.monotonic() - began < BEFORE_THE_SERVER_GIVES_UP
    hand.forget()
