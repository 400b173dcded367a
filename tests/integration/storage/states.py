"""A job in any state, brought there by real moves."""

from typing import Any

from collect.jobs.model import Job
from collect.jobs.states import State, Verb
from collect.storage.database import Database
from integration.storage.hands import do, make, now_is, run_until_rest, take_hold


def job_in(db: Database, state: State, **options: Any) -> Job:
    """A job that is ``state`` and, where that can be, has written something."""
    match state:
        case State.AWAITING_CONFIRMATION:
            return make(db, confirm=True, **options)
        case State.QUEUED:
            return make(db, **options)
    job = make(db, **options)
    match state:
        case State.SUCCEEDED | State.UNDOING | State.UNDONE | State.UNDO_FAILED:
            run_until_rest(db)
        case _:
            hand = take_hold(db, job, chunks=1)
    match state:
        case State.PAUSED:
            do(db, job, Verb.PAUSE)
        case State.STOPPED:
            do(db, job, Verb.STOP)
        case State.TERMINATING | State.TERMINATED:
            do(db, job, Verb.TERMINATE)
        case State.FAILED:
            hand.fail()
        case State.UNDOING | State.UNDONE | State.UNDO_FAILED:
            do(db, job, Verb.UNDO)
    if state in (State.TERMINATED, State.UNDONE):
        run_until_rest(db)
    if state is State.UNDO_FAILED:
        take_hold(db, job).fail()
    job = now_is(db, job)
    assert job.state is state
    return job
