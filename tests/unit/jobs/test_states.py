"""The table of moves: what is in it, and that nothing else is."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from collect.jobs.model import Actor, Job
from collect.jobs.states import (
    ACTIVE,
    CONFLICTED,
    CORRECTED,
    ENDED,
    FINAL,
    HOLDING,
    LEGAL,
    MOVES,
    REPEATS,
    RESTARTABLE,
    RESTING,
    State,
    Trigger,
    Verb,
    allowed_verbs,
    sources,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)

ALLOWED = {
    State.AWAITING_CONFIRMATION: {Verb.CONFIRM, Verb.STOP, Verb.TERMINATE},
    State.QUEUED: {Verb.PAUSE, Verb.STOP, Verb.TERMINATE},
    State.RUNNING: {Verb.PAUSE, Verb.STOP, Verb.TERMINATE},
    State.PAUSED: {Verb.RESUME, Verb.STOP, Verb.TERMINATE},
    State.STOPPED: {Verb.UNDO, Verb.RESTART},
    State.TERMINATING: set(),
    State.TERMINATED: {Verb.RESTART},
    State.SUCCEEDED: {Verb.UNDO, Verb.RESTART},
    State.FAILED: {Verb.RESUME, Verb.UNDO, Verb.RESTART},
    State.UNDOING: set(),
    State.UNDONE: {Verb.RESTART},
    State.UNDO_FAILED: {Verb.UNDO, Verb.RESTART},
}
"""Written down by hand, from what people were promised."""


def job(state: State, *, conflicts: int = 0, undo_until: datetime | None = None) -> Job:
    return Job(
        id="j", org_id="labs", kind="upload", params={}, state=state, created_at=NOW,
        created_by=Actor(id="k", name="K"), conflicts=conflicts, undo_until=undo_until,
    )  # fmt: skip


@pytest.mark.parametrize("state", list(State))
def test_the_verbs_that_a_state_allows_are_those_that_people_were_promised(state: State) -> None:
    assert set(allowed_verbs(state)) == ALLOWED[state]


def test_every_move_is_in_the_table_once_and_says_why() -> None:
    assert len(LEGAL) == len(MOVES)
    assert all(move.why and move.why[0].islower() and not move.why.endswith(".") for move in MOVES)


@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_trigger_moves_something(trigger: Trigger) -> None:
    assert any(move.trigger is trigger for move in MOVES)


def test_every_state_but_the_first_two_can_be_reached_and_final_ones_are_left_by_undo_and_corrections_only() -> None:
    reached = {move.target for move in MOVES}
    assert set(State) - reached == {State.AWAITING_CONFIRMATION}
    for move in MOVES:
        if move.source in FINAL:
            assert move.trigger in {Trigger.UNDO, Trigger.CORRECT}


def test_the_groups_are_what_their_names_say() -> None:
    assert set(State) == ACTIVE | RESTING
    assert not ACTIVE & RESTING
    assert FINAL < ENDED < RESTING
    assert ACTIVE < HOLDING
    assert CONFLICTED < FINAL
    assert {State.PAUSED, State.AWAITING_CONFIRMATION} == RESTING - RESTARTABLE
    for move in MOVES:
        if move.trigger is Trigger.TAKEN_BACK:
            assert (move.source, move.target) in {
                (State.TERMINATING, State.TERMINATED),
                (State.UNDOING, State.UNDONE),
            }


def test_a_verb_repeats_only_where_it_may_have_led() -> None:
    for verb, states in REPEATS.items():
        led = {move.target for move in MOVES if move.trigger == verb.value}
        reachable = led | {State.RUNNING} if State.QUEUED in led else led
        reachable |= {m.target for m in MOVES if m.trigger is Trigger.TAKEN_BACK and m.source in led}
        assert states <= reachable
        assert not any(verb in allowed_verbs(state) for state in states)


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.RESTART])
def test_the_sources_of_a_verb_are_those_of_its_moves(verb: Verb) -> None:
    assert sources(verb) == {move.source for move in MOVES if move.trigger == verb.value}


@pytest.mark.parametrize("state", sorted(CONFLICTED))
def test_undo_is_allowed_again_while_there_are_conflicts(state: State) -> None:
    assert Verb.UNDO in job(state, conflicts=2).allowed_verbs(NOW)
    assert Verb.UNDO not in job(state).allowed_verbs(NOW)
    late = job(state, conflicts=2, undo_until=NOW - timedelta(seconds=1))
    assert Verb.UNDO not in late.allowed_verbs(NOW)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.STOPPED, State.FAILED])
def test_undo_is_allowed_until_its_time_has_passed(state: State) -> None:
    assert Verb.UNDO in job(state, undo_until=NOW + timedelta(seconds=1)).allowed_verbs(NOW)
    assert Verb.UNDO not in job(state, undo_until=NOW).allowed_verbs(NOW)


def test_an_undo_that_failed_may_be_tried_again_at_any_time() -> None:
    assert Verb.UNDO in job(State.UNDO_FAILED, undo_until=NOW - timedelta(days=1)).allowed_verbs(NOW)


@pytest.mark.parametrize("state", list(State))
def test_rows_are_corrected_only_where_the_table_says_so_and_while_one_can_be(state: State) -> None:
    able = job(state, undo_until=NOW + timedelta(seconds=1)).model_copy(update={"correctable": True})
    assert (Verb.CORRECT in able.allowed_verbs(NOW)) == (state in CORRECTED)
    assert {State.SUCCEEDED, State.FAILED, State.PAUSED} == CORRECTED
    for missing in ({"correctable": False}, {"undo_until": NOW}):
        assert Verb.CORRECT not in able.model_copy(update=missing).allowed_verbs(NOW)


def test_verbs_come_in_one_order() -> None:
    for state in State:
        allowed = allowed_verbs(state)
        assert allowed == sorted(allowed, key=list(Verb).index)


def test_the_complement_of_the_table_is_most_of_what_one_could_try() -> None:
    tried = set(itertools.product(Trigger, State, State))
    assert len(tried) == len(Trigger) * len(State) ** 2
    assert len(tried - LEGAL) == len(tried) - len(MOVES)


def test_a_job_whose_last_verb_a_newer_release_knows_is_read_all_the_same() -> None:
    action = {"verb": "polish", "actor": {"id": "k", "name": "n"}, "reason": "", "requested_at": NOW}
    stored = {**job(State.PAUSED).model_dump(by_alias=True), "last_action": action}
    read = Job.model_validate(stored).last_action
    assert read is not None
    assert (read.verb, str(read.verb)) == ("polish", "polish")
    known = Job.model_validate({**stored, "last_action": {**action, "verb": "pause"}}).last_action
    assert known is not None
    assert known.verb is Verb.PAUSE
