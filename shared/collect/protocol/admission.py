"""How a job comes to the head of its lock: it takes it, stands in line, or replaces another (docs/protocol.md).

Done once for each job: when it is created, confirmed, or when its time to start has come.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_never

from collect.errors import DatasetHeld
from collect.jobs.model import Job
from collect.jobs.states import WRITING, State, Verb
from collect.protocol import scheduling, transitions, undo
from collect.protocol.transitions import Request
from collect.storage import jobs, locks
from collect.storage.database import Transaction


def enter(tx: Transaction, job: Job, request: Request) -> None:
    """Put the queued ``job`` where its ``on_conflict`` says, and publish its parts. Without a lock it only publishes.

    Raises:
        DatasetHeld: the lock is held and ``on_conflict`` is ``reject``, or the place behind ``supersedes`` is taken.
        IllegalTransition: the job to be superseded is in a state that does not allow it.
        NotFound: the organisation has no such job to supersede.
    """
    if job.lock is None:
        scheduling.publish_parts(tx, job)
    elif job.on_conflict == "supersede":
        _supersede(tx, job, job.lock, request)
    elif job.on_conflict == "queue":
        stand_in_line(tx, job)
    else:
        locks.take_free(tx, job.lock, job.id)
        scheduling.publish_parts(tx, job)


def cut_first(tx: Transaction, *, lock: str, supersedes: str | None) -> None:
    """Cut the job that is going to be superseded, if it writes, before anything else is done in the transaction.

    The longer a snapshot has lived when it cuts, the more chunks have committed since, and the more often all of it
    runs again. A job that takes back already is left alone: no verb would publish its parts.
    """
    old_id = supersedes or next(reversed(locks.queue(tx, lock)), None)
    writes = {"_id": old_id, "lock": lock, "state": {"$in": [state.value for state in WRITING]}}
    if old_id is not None and tx.db.jobs.find_one(writes, {"_id": 1}, session=tx.session) is not None:
        scheduling.cut(tx, old_id)


def stand_in_line(tx: Transaction, job: Job) -> None:
    """Behind all others, whatever ``on_conflict`` says."""
    if job.lock is not None:
        locks.join(tx, job.lock, job.id)
    scheduling.publish_parts(tx, job)


def _supersede(tx: Transaction, job: Job, lock: str, request: Request) -> None:
    """Put ``job`` right behind the one that it replaces; only then turn that one round."""
    line = locks.queue(tx, lock)
    old_id = job.supersedes or (line[-1] if line else None)
    if old_id is None:
        locks.take_free(tx, lock, job.id)
        scheduling.publish_parts(tx, job)
        return
    old = jobs.get_in(tx, org_id=job.org_id, job_id=old_id)
    if old.lock != lock:
        raise DatasetHeld(f"Job {old.id} works on something else; it cannot be superseded here.", holder=old.id)
    taken = Request(
        actor=request.actor,
        reason=f"Superseded by job {job.id}: {request.reason}",
        requested_at=request.requested_at,
        request_id=request.request_id,
    )
    _replace(tx, job, old, lock, taken, in_line=old.id in line)
    scheduling.publish_parts(tx, jobs.read(tx, job.id))


def _replace(tx: Transaction, job: Job, old: Job, lock: str, request: Request, *, in_line: bool) -> None:
    match old.state:
        case State.QUEUED | State.RUNNING | State.PAUSED if in_line:
            locks.join_behind(tx, lock, job.id, behind=old.id)
            undo.terminate(tx, old, request)
        case State.QUEUED | State.RUNNING | State.PAUSED | State.AWAITING_CONFIRMATION:
            undo.terminate(tx, old, request)
            locks.take_free(tx, lock, job.id)
        case State.SUCCEEDED | State.STOPPED | State.FAILED:
            if Verb.UNDO not in old.allowed_verbs(datetime.now(UTC)):
                raise transitions.illegal(old, Verb.UNDO.value)
            locks.take_free(tx, lock, old.id)
            locks.join_behind(tx, lock, job.id, behind=old.id)
            undo.undo(tx, old, request)
        case State.UNDO_FAILED:
            locks.join_behind(tx, lock, job.id, behind=old.id)
            undo.undo_again(tx, old, request)
        case State.TERMINATING | State.UNDOING:
            locks.join_behind(tx, lock, job.id, behind=old.id)
        case State.TERMINATED | State.UNDONE:
            locks.take_free(tx, lock, job.id)
        case _:
            assert_never(old.state)
