"""Every verb from every state, on a real database: effect, audit, repeats, refusals."""

from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import OperationFailure

from collect.errors import Fenced, IllegalTransition, NotFound, PreconditionFailed
from collect.jobs.model import OUT, Job
from collect.jobs.states import ACTIVE, CORRECTED, MOVES, REPEATS, State, Verb, allowed_verbs
from collect.protocol import scheduling, verbs
from collect.storage.database import Database, Transaction, begin, retryable
from integration.storage.hands import ORG, Hand, do, make, newest, now_is, request, run_until_rest, snapshot, take_hold
from integration.storage.states import job_in

PERFORMED = [verb for verb in Verb if verb is not Verb.RESTART]
PAIRS = [(state, verb) for state in State for verb in PERFORMED if not (verb is Verb.CORRECT and state in CORRECTED)]
"""What ``correct`` does depends on the rows it is about: tests/integration/upload/test_corrections.py."""
ALLOWED = [(state, verb) for state, verb in PAIRS if verb in allowed_verbs(state)]
CUTTING = (Verb.PAUSE, Verb.STOP, Verb.TERMINATE)


def audit(db: Database, job: Job) -> list[dict[str, object]]:
    return list(db.audit.find({"job_id": job.id}).sort("seq", 1))


@pytest.mark.parametrize(("state", "verb"), ALLOWED)
def test_a_verb_that_is_allowed_moves_the_job_and_is_entered_with_the_next_number(
    db: Database, state: State, verb: Verb
) -> None:
    job = job_in(db, state)
    asked = request("because", id="r-1")
    outcome = do(db, job, verb, request=asked)
    targets = {move.target for move in MOVES if move.trigger == verb.value and move.source is state}
    assert outcome.job.state in targets
    assert not outcome.repeated
    stored = now_is(db, job)
    assert stored.state is outcome.job.state
    assert stored.audit_seq == job.audit_seq + 1
    entries = audit(db, job)
    assert [entry["seq"] for entry in entries] == list(range(1, stored.audit_seq + 1))
    last = entries[-1]
    assert (last["verb"], last["from"], last["to"]) == (verb.value, state.value, stored.state.value)
    assert (last["reason"], last["request_id"]) == ("because", "r-1")
    assert last["effective_at"] is not None
    assert stored.last_action is not None
    assert stored.last_action.verb is verb
    assert stored.last_action.effective_at == last["effective_at"]
    assert outcome.job.last_action is not None
    assert outcome.job.last_action.effective_at == last["effective_at"]
    if stored.state not in ACTIVE:
        assert db.parts.count_documents({"job_id": job.id, "status": {"$in": OUT}}) == 0


@pytest.mark.parametrize(("state", "verb"), ALLOWED)
def test_the_same_verb_again_is_answered_alike_and_writes_nothing(db: Database, state: State, verb: Verb) -> None:
    job = job_in(db, state)
    first = do(db, job, verb)
    before = snapshot(db)
    again = do(db, job, verb)
    assert again.repeated
    assert again.job.state is first.job.state
    assert again.outbox == ()
    assert snapshot(db) == before


@pytest.mark.parametrize(("state", "verb"), [pair for pair in PAIRS if pair not in ALLOWED])
def test_a_verb_that_is_not_allowed_is_refused_or_repeats_and_writes_nothing(
    db: Database, state: State, verb: Verb
) -> None:
    job = job_in(db, state)
    before = snapshot(db)
    last = job.last_action
    if state in REPEATS[verb] and last is not None and last.verb is verb:
        assert do(db, job, verb).repeated
    else:
        with pytest.raises(IllegalTransition) as refused:
            do(db, job, verb)
        assert refused.value.state == state
        assert refused.value.allowed_verbs == tuple(allowed.value for allowed in allowed_verbs(state))
    assert snapshot(db) == before


@pytest.mark.parametrize("verb", CUTTING)
def test_a_verb_is_in_effect_when_it_is_answered_for_an_owner_between_chunks(db: Database, verb: Verb) -> None:
    hand = take_hold(db, make(db), chunks=1)
    do(db, hand.job, verb)
    before = snapshot(db)
    with pytest.raises(Fenced):
        hand.step()
    assert snapshot(db) == before


@pytest.mark.parametrize("verb", CUTTING)
def test_a_verb_is_in_effect_when_it_is_answered_for_an_owner_inside_a_transaction(db: Database, verb: Verb) -> None:
    hand = take_hold(db, make(db), chunks=1)
    answered: list[dict[str, object]] = []

    def interfere() -> None:
        do(db, hand.job, verb)
        answered.append(dict(snapshot(db)))

    hand.toy.inside = interfere
    with pytest.raises(Fenced):
        hand.step()
    assert answered == [snapshot(db)]


@pytest.mark.parametrize("verb", CUTTING)
def test_a_ticket_on_its_way_is_void_when_a_verb_is_answered(db: Database, verb: Verb) -> None:
    job = make(db)
    ticket = newest(db, job)
    do(db, job, verb)
    before = snapshot(db)
    assert not Hand(db).claim(ticket)
    assert not Hand(db).claim(ticket, redelivered=True)
    assert snapshot(db) == before


def test_pause_resumes_from_the_cursor_and_doubles_nothing(db: Database) -> None:
    hand = take_hold(db, make(db), chunks=1)
    job = hand.job
    do(db, job, Verb.PAUSE)
    hand.forget()
    assert now_is(db, job).state is State.PAUSED
    do(db, job, Verb.RESUME)
    run_until_rest(db)
    assert now_is(db, job).state is State.SUCCEEDED
    assert db.rows.count_documents({}) == db.ledger.count_documents({"job_id": job.id}) * 2 == 8


def test_pause_then_terminate_ends_terminated_and_terminate_then_pause_is_refused(db: Database) -> None:
    job = job_in(db, State.RUNNING)
    do(db, job, Verb.PAUSE)
    do(db, job, Verb.TERMINATE)
    with pytest.raises(IllegalTransition):
        do(db, job, Verb.PAUSE)
    run_until_rest(db)
    assert now_is(db, job).state is State.TERMINATED
    assert db.rows.count_documents({}) == 0


def test_another_until_is_written_and_the_same_one_is_not(db: Database) -> None:
    job = make(db)
    soon, later = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) + timedelta(hours=2)
    do(db, job, Verb.PAUSE, until=soon)
    before = snapshot(db)
    assert do(db, job, Verb.PAUSE, until=soon).repeated
    assert snapshot(db) == before
    changed = do(db, job, Verb.PAUSE, until=later)
    assert not changed.repeated
    assert changed.job.until_seq == changed.job.audit_seq == now_is(db, job).audit_seq
    cleared = do(db, job, Verb.PAUSE)
    assert not cleared.repeated
    assert cleared.job.until is None
    assert cleared.job.until_seq is None
    entries = audit(db, job)
    assert [entry["seq"] for entry in entries] == [1, 2, 3, 4]
    assert all(entry["effective_at"] is not None for entry in entries if entry["verb"] == "pause")


def test_a_repeat_counts_only_while_the_verb_was_the_last_one(db: Database) -> None:
    job = job_in(db, State.PAUSED)
    do(db, job, Verb.RESUME)
    hand = Hand(db)
    assert hand.claim(newest(db, job))
    assert now_is(db, job).state is State.RUNNING
    assert do(db, job, Verb.RESUME).repeated
    do(db, job, Verb.PAUSE)
    with pytest.raises(IllegalTransition):
        do(db, job, Verb.CONFIRM)


def test_if_match_names_the_last_audit_number(db: Database) -> None:
    job = make(db)
    before = snapshot(db)
    with pytest.raises(PreconditionFailed):
        do(db, job, Verb.PAUSE, request=request(if_match=7))
    assert snapshot(db) == before
    assert do(db, job, Verb.PAUSE, request=request(if_match=1)).job.state is State.PAUSED


def test_the_same_request_id_used_twice_is_no_reason_to_do_nothing(db: Database) -> None:
    job = make(db)
    do(db, job, Verb.PAUSE, request=request(id="mine"))
    do(db, job, Verb.RESUME, request=request(id="mine"))
    assert do(db, job, Verb.PAUSE, request=request(id="mine")).job.state is State.PAUSED
    assert now_is(db, job).state is State.PAUSED


@pytest.mark.parametrize("verb", PERFORMED)
def test_another_organisation_finds_nothing_and_changes_nothing(db: Database, verb: Verb) -> None:
    job = job_in(db, State.RUNNING)
    before = snapshot(db)
    with pytest.raises(NotFound):
        verbs.perform(db, org_id="others", job_id=job.id, verb=verb, request=request())
    assert snapshot(db) == before
    assert job.org_id == ORG


def test_undo_is_refused_after_its_time(db: Database) -> None:
    job = job_in(db, State.SUCCEEDED)
    db.jobs.update_one({"_id": job.id}, {"$set": {"undo_until": datetime.now(UTC) - timedelta(seconds=1)}})
    before = snapshot(db)
    with pytest.raises(IllegalTransition, match="Undo was possible until"):
        do(db, job, Verb.UNDO)
    assert snapshot(db) == before


def test_what_a_verb_has_cut_holds_its_slots_until_they_let_go(db: Database) -> None:
    hand = take_hold(db, make(db), chunks=1)
    job = hand.job
    session = db.session_id(hand.session)
    do(db, job, Verb.PAUSE)
    action = now_is(db, job).last_action
    assert action is not None
    assert action.slots_free_at is None
    assert list(action.holding) == [session]
    verbs.freed(db, part_id=hand.part.id, job_id=job.id, session_id=session)
    action = now_is(db, job).last_action
    assert action is not None
    assert action.slots_free_at is not None
    assert action.holding == ()


def test_a_verb_that_has_read_of_a_slot_which_lets_go_meanwhile_looks_again(db: Database) -> None:
    hand = take_hold(db, make(db), chunks=1)
    job, session = hand.job, db.session_id(hand.session)
    do(db, job, Verb.PAUSE)
    db.jobs.update_one({"_id": job.id}, {"$set": {"last_action.holding": []}})  # as a resume that left the part idle

    def stop() -> None:
        with db.client.start_session() as other, begin(other):
            tx = Transaction(db=db, session=other)
            scheduling.cut(tx, job.id)
            assert tx.cut_sessions[job.id] == [session]
            verbs.freed(db, part_id=hand.part.id, job_id=job.id, session_id=session)
            verbs.apply(tx, job_id=job.id, verb=Verb.STOP, request=request())

    with pytest.raises(OperationFailure) as conflict:
        stop()
    assert retryable(conflict.value)
    do(db, job, Verb.STOP)
    action = now_is(db, job).last_action
    assert action is not None
    assert action.holding == ()


def test_with_nothing_out_the_slots_are_free_when_the_verb_is_in_effect(db: Database) -> None:
    outcome = do(db, make(db), Verb.PAUSE)
    action = outcome.job.last_action
    assert action is not None
    assert action.slots_free_at == action.effective_at is not None
