"""Verbs from several gateways at the same moment, in all orders, while a worker writes."""

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from collect.errors import Conflict, Fenced
from collect.jobs.model import OUT, Job
from collect.jobs.states import LEGAL, RESTING, State, Trigger, Verb
from collect.storage.database import Database
from integration.storage.conftest import Connect, empty
from integration.storage.hands import (
    Hand,
    dataset,
    do,
    make,
    now_is,
    request,
    rows,
    run_until_rest,
    take_hold,
)

ORDERS = list(itertools.permutations((Verb.PAUSE, Verb.RESUME, Verb.STOP, Verb.TERMINATE)))
SEEDS = range(4)


def storm(clients: list[Database], job: Job, order: tuple[Verb, ...], worker: Hand) -> list[Verb]:
    """The verbs that were answered as done, when all are asked at once and the worker writes on until it is fenced."""
    start = threading.Barrier(len(order) + 1)

    def ask(client: Database, verb: Verb) -> list[Verb]:
        start.wait()
        try:
            return [] if do(client, job, verb).repeated else [verb]
        except Conflict:
            return []

    def write() -> None:
        start.wait()
        worker.work_off()

    with ThreadPoolExecutor(len(order) + 1) as threads:
        writing = threads.submit(write)
        answered = list(threads.map(ask, clients, order))
        writing.result()
    return [verb for verbs in answered for verb in verbs]


def check_audit(db: Database, job: Job, answered: list[Verb]) -> None:
    """The audit is one way through the table of moves, numbered without a gap, and holds what was answered."""
    entries = list(db.audit.find({"job_id": job.id}).sort("seq", 1))
    assert [entry["seq"] for entry in entries] == list(range(1, now_is(db, job).audit_seq + 1))
    state = entries[0]["to"]
    for entry in entries[1:]:
        assert entry["from"] == state
        assert (Trigger(entry["verb"]), State(entry["from"]), State(entry["to"])) in LEGAL
        state = entry["to"]
    assert state == now_is(db, job).state.value
    done = [entry["verb"] for entry in entries if entry["actor"]["id"] != "system" and entry["verb"] != "create"]
    assert sorted(done) == sorted(verb.value for verb in answered)


@pytest.mark.parametrize("seed", SEEDS)
def test_f31_verbs_at_once_in_any_order_leave_one_resting_state(db: Database, connected: Connect, seed: int) -> None:
    rng = random.Random(seed)
    clients = [connected(f"gateway-{i}") for i in range(4)]
    for order in rng.sample(ORDERS, len(ORDERS)):
        empty(db)
        earlier = make(db, [[("key-0-0", -1), ("kept", -2)]])
        run_until_rest(db)
        before = dataset(db)
        job = make(db, rows(parts=1, per_part=rng.choice([2, 8, 20])))
        answered = storm(clients, job, order, take_hold(db, job))
        check_audit(db, job, answered)
        if now_is(db, job).state in RESTING:
            assert db.parts.count_documents({"job_id": job.id, "status": {"$in": list(OUT)}}) == 0
        run_until_rest(db)
        state = now_is(db, job).state
        assert state in RESTING
        if Verb.TERMINATE in answered:
            assert state is State.TERMINATED
            assert dataset(db) == before
        elif Verb.STOP in answered:
            assert state is State.STOPPED
        assert db.ledger.count_documents({"job_id": job.id}) * 2 == sum(
            part["counts"]["succeeded"] for part in db.parts.find({"job_id": job.id})
        )
        assert now_is(db, earlier).state is State.SUCCEEDED


def test_two_that_undo_at_once_undo_once(db: Database, connected: Connect) -> None:
    clients = [connected(f"gateway-{i}") for i in range(4)]
    job = make(db)
    run_until_rest(db)
    start = threading.Barrier(len(clients))

    def ask(client: Database) -> bool:
        start.wait()
        return do(client, job, Verb.UNDO, request=request(id=str(id(client)))).repeated

    with ThreadPoolExecutor(len(clients)) as threads:
        assert sorted(threads.map(ask, clients)) == [False, True, True, True]
    run_until_rest(db)
    assert now_is(db, job).state is State.UNDONE
    assert dataset(db) == {}


def test_several_workers_at_once_take_back_and_write_each_row_once(db: Database, connected: Connect) -> None:
    content = rows(parts=6, per_part=10)
    job = make(db, content)
    hands = [Hand(connected(f"worker-{i}"), f"worker-{i}") for i in range(3)]
    together(db, hands)
    done = now_is(db, job)
    assert done.state is State.SUCCEEDED
    assert {key: value for key, (value, _) in dataset(db).items()} == dict(itertools.chain(*content))
    do(db, job, Verb.UNDO)
    together(db, hands)
    assert now_is(db, job).state is State.UNDONE
    assert dataset(db) == {}


def together(db: Database, hands: list[Hand]) -> None:
    def work(hand: Hand) -> None:
        try:
            run_until_rest(hand.db, hand=hand)
        except Fenced:
            hand.forget()

    for _ in range(20):
        with ThreadPoolExecutor(len(hands)) as threads:
            list(threads.map(work, hands))
        if not db.outbox.count_documents({"routing_key": "upload"}):
            return
