"""Creating jobs, and the line before a dataset: reject, queue, supersede, confirm, start_at."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from collect.errors import Conflict, DatasetHeld, Fenced, IllegalTransition, NotFound
from collect.jobs.model import Job
from collect.jobs.states import HOLDING, RESTARTABLE, State, Verb
from collect.protocol import creation, maintenance
from collect.storage import locks
from collect.storage.database import Database, transact
from integration.storage.conftest import Connect
from integration.storage.hands import (
    LOCK,
    dataset,
    do,
    make,
    new_job,
    newest,
    now_is,
    rows,
    run_until_rest,
    snapshot,
    state_of,
    take_hold,
)
from integration.storage.states import job_in

AFTER = rows(prefix="after")


def line(db: Database) -> list[str]:
    found = db.locks.find_one({"_id": LOCK})
    return list(found["queue"]) if found else []


def complete(db: Database, job: Job) -> None:
    assert now_is(db, job).state is State.SUCCEEDED
    marks = {mark.split(":")[0] for _, mark in dataset(db).values()}
    assert marks == {job.id}
    assert line(db) == []


def test_a_job_is_made_with_its_plan_its_place_and_its_first_entry(db: Database) -> None:
    job = make(db)
    assert job.state is State.QUEUED
    assert line(db) == [job.id]
    entry = db.audit.find_one({"job_id": job.id})
    assert entry is not None
    assert (entry["seq"], entry["verb"], entry["from"], entry["to"]) == (1, "create", None, "queued")
    assert newest(db, job).part == 0


def test_creating_the_same_job_again_finds_it_made(db: Database) -> None:
    new = new_job(rows())
    first = transact(db, lambda tx: creation.create(tx, new)).value
    before = snapshot(db)
    assert transact(db, lambda tx: creation.create(tx, new)).value == first
    assert snapshot(db) == before


def test_the_same_job_made_by_many_at_once_is_made_once(db: Database, connected: Connect) -> None:
    clients = [connected(f"gateway-{i}") for i in range(4)]
    new = new_job(rows())
    start = threading.Barrier(len(clients))

    def make_it(client: Database) -> Job:
        start.wait()
        return transact(client, lambda tx: creation.create(tx, new)).value

    with ThreadPoolExecutor(len(clients)) as threads:
        made = list(threads.map(make_it, clients))
    assert {job.id for job in made} == {new.id}
    assert db.jobs.count_documents({}) == db.parts.count_documents({}) == db.audit.count_documents({}) == 1
    assert line(db) == [new.id]


def test_many_created_at_once_stand_in_one_line_and_run_one_after_the_other(db: Database, connected: Connect) -> None:
    clients = [connected(f"gateway-{i}") for i in range(6)]
    start = threading.Barrier(len(clients))

    def make_one(client: Database) -> Job:
        start.wait()
        return make(client, rows(parts=1, per_part=2, prefix=f"{id(client)}"), on_conflict="queue")

    with ThreadPoolExecutor(len(clients)) as threads:
        made = list(threads.map(make_one, clients))
    assert sorted(line(db)) == sorted(job.id for job in made)
    assert len(db.parts.distinct("job_id", {"status": "queued"})) == 1
    run_until_rest(db)
    assert [state_of(db, job) for job in made] == [State.SUCCEEDED] * len(made)
    assert line(db) == []


@pytest.mark.parametrize("state", list(State))
def test_reject_names_the_holder_and_writes_nothing(db: Database, state: State) -> None:
    old = job_in(db, state)
    before = snapshot(db)
    if state not in HOLDING:
        assert make(db, AFTER).state is State.QUEUED
        return
    with pytest.raises(DatasetHeld) as refused:
        make(db, AFTER)
    assert refused.value.holder == old.id
    assert snapshot(db) == before


@pytest.mark.parametrize("state", list(State))
def test_queue_runs_when_the_holder_lets_go(db: Database, state: State) -> None:
    old = job_in(db, state)
    new = make(db, AFTER, on_conflict="queue")
    waits = state in HOLDING
    assert line(db) == ([old.id, new.id] if waits else [new.id])
    assert db.parts.count_documents({"job_id": new.id, "status": "queued"}) == (0 if waits else 1)
    match state:
        case State.QUEUED | State.RUNNING | State.PAUSED:
            do(db, old, Verb.STOP)
        case State.UNDO_FAILED:
            do(db, old, Verb.UNDO)
    run_until_rest(db)
    assert now_is(db, new).state is State.SUCCEEDED
    assert line(db) == []


@pytest.mark.parametrize("state", [state for state in State if state is not State.AWAITING_CONFIRMATION])
def test_supersede_takes_the_old_job_back_and_runs_the_new_one_in_its_place(db: Database, state: State) -> None:
    earlier = make(db, [[("key-0-0", -1), ("kept", -2)]])
    run_until_rest(db)
    old = job_in(db, state)
    new = make(db, AFTER, on_conflict="supersede", supersedes=old.id)
    run_until_rest(db)
    taken_back = State.UNDONE if state in (State.SUCCEEDED, State.STOPPED, State.FAILED) else State.TERMINATED
    if state in (State.UNDOING, State.UNDONE, State.UNDO_FAILED):
        taken_back = State.UNDONE
    assert now_is(db, old).state is taken_back
    stored = dataset(db)
    assert {key: value for key, value in stored.items() if key in ("key-0-0", "kept")} == {
        "key-0-0": (-1, f"{earlier.id}:1:0"),
        "kept": (-2, f"{earlier.id}:1:0"),
    }
    assert {mark.split(":")[0] for _, mark in stored.values()} == {earlier.id, new.id}
    assert now_is(db, new).state is State.SUCCEEDED
    assert line(db) == []


def test_supersede_a_job_that_nobody_has_confirmed(db: Database) -> None:
    old = job_in(db, State.AWAITING_CONFIRMATION)
    new = make(db, AFTER, on_conflict="supersede", supersedes=old.id)
    assert state_of(db, old) is State.TERMINATED
    run_until_rest(db)
    complete(db, new)


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED, State.SUCCEEDED, State.UNDO_FAILED])
def test_what_a_superseding_job_did_to_the_old_one_is_its_last_action_and_in_effect(db: Database, state: State) -> None:
    old = job_in(db, state)
    new = make(db, AFTER, on_conflict="supersede", supersedes=old.id)
    action = now_is(db, old).last_action
    assert action is not None
    assert new.id in action.reason
    assert action.effective_at is not None
    entry = db.audit.find_one({"job_id": old.id, "reason": action.reason})
    assert entry is not None
    assert entry["effective_at"] == action.effective_at


def test_an_owner_of_a_superseded_job_is_fenced(db: Database) -> None:
    hand = take_hold(db, make(db), chunks=1)
    make(db, AFTER, on_conflict="supersede", supersedes=hand.job.id)
    before = snapshot(db)
    with pytest.raises(Fenced):
        hand.chunk()
    assert snapshot(db) == before


def test_supersede_without_a_name_means_the_last_in_line_and_with_an_empty_line_it_simply_runs(db: Database) -> None:
    first = make(db, on_conflict="supersede")
    waiting = make(db, rows(prefix="w"), on_conflict="queue")
    new = make(db, AFTER, on_conflict="supersede")
    assert state_of(db, waiting) is State.TERMINATED
    assert state_of(db, first) is State.QUEUED
    assert line(db) == [first.id, new.id]


def test_supersede_is_refused_when_somebody_waits_right_behind_the_old_job(db: Database) -> None:
    old = job_in(db, State.RUNNING)
    waiting = make(db, rows(prefix="w"), on_conflict="queue")
    before = snapshot(db)
    with pytest.raises(DatasetHeld) as refused:
        make(db, AFTER, on_conflict="supersede", supersedes=old.id)
    assert refused.value.holder == waiting.id
    assert snapshot(db) == before


def test_supersede_at_rest_is_refused_while_another_job_holds_the_dataset(db: Database) -> None:
    old = job_in(db, State.SUCCEEDED)
    holder = make(db, rows(prefix="h"))
    before = snapshot(db)
    with pytest.raises(DatasetHeld) as refused:
        make(db, AFTER, on_conflict="supersede", supersedes=old.id)
    assert refused.value.holder == holder.id
    assert snapshot(db) == before


def test_supersede_is_refused_when_undo_is_no_longer_possible(db: Database) -> None:
    old = job_in(db, State.SUCCEEDED)
    db.jobs.update_one({"_id": old.id}, {"$set": {"undo_until": datetime.now(UTC) - timedelta(seconds=1)}})
    before = snapshot(db)
    with pytest.raises(IllegalTransition):
        make(db, AFTER, on_conflict="supersede", supersedes=old.id)
    assert snapshot(db) == before


def test_a_job_of_another_dataset_or_organisation_cannot_be_superseded(db: Database) -> None:
    old = job_in(db, State.RUNNING)
    db.orgs.insert_one({"_id": "others", "name": "Others", "limits": {}})
    before = snapshot(db)
    with pytest.raises(DatasetHeld):
        make(db, AFTER, lock="labs:dataset:other", on_conflict="supersede", supersedes=old.id)
    with pytest.raises(NotFound):
        make(db, AFTER, org_id="others", lock="others:dataset:x", on_conflict="supersede", supersedes=old.id)
    with pytest.raises(NotFound):
        make(db, AFTER, on_conflict="supersede", supersedes="nobody")
    for name, documents in snapshot(db).items():
        if name != "locks":  # a line that nobody stands in says nothing
            assert documents == before[name]
    assert line(db) == [old.id]


@pytest.mark.parametrize("state", list(State))
def test_restart_needs_a_parent_at_rest_of_the_same_organisation(db: Database, state: State) -> None:
    parent = job_in(db, state, lock=None)
    before = snapshot(db)
    if state in RESTARTABLE:
        assert make(db, AFTER, parent_id=parent.id).parent_id == parent.id
    else:
        with pytest.raises(IllegalTransition):
            make(db, AFTER, parent_id=parent.id)
        assert snapshot(db) == before
    db.orgs.insert_one({"_id": "others", "name": "Others", "limits": {}})
    with pytest.raises(NotFound):
        make(db, AFTER, org_id="others", lock=None, parent_id=parent.id)


def test_confirm_enters_the_lock_as_creating_does(db: Database) -> None:
    waiting = make(db, AFTER, confirm=True)
    assert line(db) == []
    old = job_in(db, State.RUNNING)
    before = snapshot(db)
    with pytest.raises(DatasetHeld):
        do(db, waiting, Verb.CONFIRM)
    assert snapshot(db) == before
    do(db, old, Verb.STOP)
    do(db, waiting, Verb.CONFIRM)
    assert line(db) == [waiting.id]
    run_until_rest(db)
    assert state_of(db, waiting) is State.SUCCEEDED


def test_a_job_that_waited_for_confirmation_still_supersedes(db: Database) -> None:
    old = job_in(db, State.RUNNING)
    new = make(db, AFTER, confirm=True, on_conflict="supersede", supersedes=old.id)
    assert state_of(db, old) is State.RUNNING
    do(db, new, Verb.CONFIRM)
    run_until_rest(db)
    assert state_of(db, old) is State.TERMINATED
    complete(db, new)


@pytest.mark.parametrize("on_conflict", ["reject", "queue", "supersede"])
def test_a_job_with_a_time_to_start_enters_its_lock_only_then(db: Database, on_conflict: str) -> None:
    start_at = datetime.now(UTC) + timedelta(hours=1)
    later = make(db, AFTER, start_at=start_at, on_conflict=on_conflict)
    assert line(db) == []
    assert list(maintenance.due(db, datetime.now(UTC))) == []
    holder = job_in(db, State.RUNNING)
    due = list(maintenance.due(db, start_at + timedelta(seconds=1)))
    assert [job.id for job, _ in due] == [later.id]
    for _, act in due:
        act()
        act()
    assert line(db) == [holder.id, later.id]
    superseded = on_conflict == "supersede"
    assert state_of(db, holder) is (State.TERMINATING if superseded else State.RUNNING)
    if not superseded:
        do(db, holder, Verb.STOP)
    run_until_rest(db)
    assert state_of(db, later) is State.SUCCEEDED
    assert line(db) == []


def test_a_job_that_is_paused_before_its_time_starts_when_it_is_resumed_after_it(db: Database) -> None:
    job = make(db, start_at=datetime.now(UTC) + timedelta(hours=1))
    do(db, job, Verb.PAUSE)
    do(db, job, Verb.RESUME)
    assert line(db) == []
    do(db, job, Verb.PAUSE)
    db.jobs.update_one({"_id": job.id}, {"$set": {"start_at": datetime.now(UTC) - timedelta(seconds=1)}})
    do(db, job, Verb.RESUME)
    run_until_rest(db)
    assert state_of(db, job) is State.SUCCEEDED


@pytest.mark.parametrize("state", [State.TERMINATING, State.UNDOING, State.UNDO_FAILED])
def test_a_job_that_has_lost_its_place_in_the_line_cannot_be_superseded(db: Database, state: State) -> None:
    """No move of the protocol leads there: each of these states keeps the lock. A damaged lock does."""
    old = job_in(db, state)
    db.locks.update_one({"_id": LOCK}, {"$set": {"queue": []}})
    before = snapshot(db)
    with pytest.raises(DatasetHeld) as refused:
        make(db, AFTER, on_conflict="supersede", supersedes=old.id)
    assert refused.value.holder == old.id
    assert snapshot(db) == before


def test_a_paused_job_keeps_its_place_and_its_dataset(db: Database) -> None:
    first = job_in(db, State.RUNNING)
    second = make(db, rows(prefix="second"), on_conflict="queue")
    third = make(db, rows(prefix="third"), on_conflict="queue")
    do(db, second, Verb.PAUSE)
    do(db, first, Verb.STOP)
    assert line(db) == [second.id, third.id]
    run_until_rest(db)
    assert (state_of(db, second), state_of(db, third)) == (State.PAUSED, State.QUEUED)
    do(db, second, Verb.RESUME)
    run_until_rest(db)
    assert (state_of(db, second), state_of(db, third)) == (State.SUCCEEDED, State.SUCCEEDED)


@pytest.mark.parametrize("verb", [Verb.RESUME, Verb.UNDO])
def test_a_failed_job_goes_on_only_when_its_dataset_is_free(db: Database, verb: Verb) -> None:
    failed = job_in(db, State.FAILED)
    holder = make(db, AFTER)
    before = snapshot(db)
    with pytest.raises(DatasetHeld) as refused:
        do(db, failed, verb)
    assert refused.value.holder == holder.id
    assert snapshot(db) == before
    do(db, holder, Verb.STOP)
    do(db, failed, verb)
    run_until_rest(db)
    assert state_of(db, failed) is (State.SUCCEEDED if verb is Verb.RESUME else State.UNDONE)


def test_the_next_in_line_is_handed_the_lock_once_while_a_verb_on_it_is_under_way(
    db: Database, connected: Connect
) -> None:
    """Its document is written, so that its resume, on a snapshot in which it was not the head yet, looks again."""
    gateways = [connected("one"), connected("other")]
    for turn in range(10):
        first = make(db, rows(parts=1, per_part=2, prefix=f"a{turn}"))
        second = make(db, rows(parts=1, per_part=2, prefix=f"b{turn}"), on_conflict="queue")
        do(db, second, Verb.PAUSE)
        start = threading.Barrier(2)

        def act(which: int, jobs: tuple[Job, Job] = (first, second), start: threading.Barrier = start) -> None:
            start.wait()
            do(gateways[which], jobs[which], Verb.STOP if which == 0 else Verb.RESUME)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(act, range(2)))
        assert db.parts.count_documents({"job_id": second.id, "status": "queued"}) == 1
        run_until_rest(db)
        assert state_of(db, second) is State.SUCCEEDED


def test_locks_tell_their_holders(db: Database) -> None:
    job = make(db)
    make(db, AFTER, on_conflict="queue")
    assert locks.holders(db, [LOCK, "labs:dataset:free"]) == {LOCK: job.id}


def test_exports_need_no_lock(db: Database) -> None:
    jobs = [make(db, rows(prefix=f"{n}"), lock=None) for n in range(3)]
    assert len(db.parts.distinct("job_id", {"status": "queued"})) == 3
    run_until_rest(db)
    assert {state_of(db, job) for job in jobs} == {State.SUCCEEDED}


def test_a_refused_job_leaves_no_trace(db: Database) -> None:
    job_in(db, State.RUNNING)
    refused = new_job(AFTER)
    with pytest.raises(Conflict):
        transact(db, lambda tx: creation.create(tx, refused))
    for name in ("jobs", "parts", "audit"):
        assert db[name].find_one({"$or": [{"_id": refused.id}, {"job_id": refused.id}]}) is None
