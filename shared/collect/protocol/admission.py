"""The admission of a job to its lock: it takes the lock, queues, or replaces another job (docs/protocol.md, `enter`).

It happens once for each job: when the job is created or confirmed, or when its ``start_at`` has come.
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
    """Put the queued ``job`` into its lock's queue by its ``on_conflict``, and publish its parts.

    The parts of a job without a lock are only published.

    Raises:
        DatasetHeld: the lock is held and ``on_conflict`` is ``reject``, or another job is already right behind the job
            to be superseded.
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
    """Cut the job that will be superseded, if it writes. Call this first in the transaction.

    The older the transaction's snapshot is when it cuts, the more chunks have committed since, and the more often the
    whole transaction conflicts and runs again. A job that already takes back is not cut: nothing here would publish
    its parts again.
    """
    old_id = supersedes or next(reversed(locks.queue(tx, lock)), None)
    writes = {"_id": old_id, "lock": lock, "state": {"$in": [state.value for state in WRITING]}}
    if old_id is not None and tx.db.jobs.find_one(writes, {"_id": 1}, session=tx.session) is not None:
        scheduling.cut(tx, old_id)


def stand_in_line(tx: Transaction, job: Job) -> None:
    """Put the job at the end of its lock's queue, without regard to its ``on_conflict``, and publish its parts."""
    if job.lock is not None:
        locks.join(tx, job.lock, job.id)
    scheduling.publish_parts(tx, job)


def _supersede(tx: Transaction, job: Job, lock: str, request: Request) -> None:
    """Put ``job`` right behind the job that it replaces in the lock's queue, and only then make that job take back."""
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
