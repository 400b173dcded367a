"""Every move is entered with the time at which it was in effect, whoever made it."""

from itertools import pairwise

import pytest

from collect.jobs.states import State, Verb
from collect.storage.database import Database
from integration.storage.hands import make, now_is, run_until_rest
from integration.storage.states import job_in


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (State.QUEUED, ["create"]),
        (State.AWAITING_CONFIRMATION, ["create"]),
        (State.SUCCEEDED, ["create", "begin", "finish"]),
        (State.FAILED, ["create", "begin", "fail"]),
        (State.TERMINATED, ["create", "begin", "terminate", "taken_back"]),
        (State.UNDO_FAILED, ["create", "begin", "finish", "undo", "fail"]),
    ],
)
def test_each_move_says_when_it_was_in_effect(db: Database, state: State, verbs: list[str]) -> None:
    job = job_in(db, state)
    entries = list(db.audit.find({"job_id": job.id}).sort("seq", 1))
    assert [entry["verb"] for entry in entries] == verbs
    for entry in entries:
        milliseconds = (entry["effective_at"] - entry["requested_at"]).total_seconds() * 1000
        assert entry["latency_ms"] == round(milliseconds) >= 0
    assert all(one["effective_at"] <= other["effective_at"] for one, other in pairwise(entries))


def test_what_nobody_has_asked_for_is_no_action(db: Database) -> None:
    job = make(db)
    run_until_rest(db)
    assert now_is(db, job).last_action is None
    last = job_in(db, State.TERMINATED, lock=None).last_action
    assert last is not None
    assert last.verb is Verb.TERMINATE
