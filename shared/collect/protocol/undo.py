"""Turning a job round, so that its parts take back (docs/protocol.md, `start_undo`), and giving up (`fail`)."""

from __future__ import annotations

from collect.jobs.model import Job, Reason, part_id
from collect.jobs.states import CONFLICTED, TAKING_BACK, State, Trigger
from collect.protocol import scheduling, transitions
from collect.protocol.transitions import Request
from collect.storage import results
from collect.storage.database import Transaction


def start_undo(tx: Transaction, job: Job, *, trigger: Trigger, busy: State, target: State, request: Request) -> Job:
    """Cut the job, and let every part that wrote something take it back; with nothing to do it is ``target`` at once.

    A second undo looks only at parts that were left with conflicts. A job that may have written objects is never
    ``target`` at once: after all else its objects are swept (see :func:`sweep`).
    """
    scheduling.cut(tx, job.id)
    again = job.state in CONFLICTED
    wrote = {"job_id": job.id, "conflicts": {"$gt": 0}} if again else {"job_id": job.id, "seq": {"$gt": 0}}
    tx.db.parts.update_many(
        {"job_id": job.id}, {"$set": {"phase": "undo", "status": "done", "losses": 0}}, session=tx.session
    )
    to_do = tx.db.parts.update_many(wrote, [{"$set": {"status": "idle", "left": "$seq"}}], session=tx.session)
    left = to_do.matched_count or (1 if sweep(tx, job) else 0)
    changes = {
        "parts_left": left,
        "undo_target": target.value,
        "result": None,
        "reason": None,
        "until": None,
    }
    if not left:
        job = transitions.move(tx, job, trigger=trigger, target=target, request=request, changes=changes)
        scheduling.dequeue(tx, job)
        return job
    job = transitions.move(tx, job, trigger=trigger, target=busy, request=request, changes=changes)
    scheduling.publish_parts(tx, job)
    return job


def sweep(tx: Transaction, job: Job) -> bool:
    """Make part 0 remove every object of the job, those that no commit names included. ``False``: there can be none.

    It waits for the owners that may be writing one (``collect.runtime.undo``).
    """
    if job.kind != results.KIND:
        return False
    begun = {"job_id": job.id, "$or": [{"claimed": True}, {"seq": {"$gt": 0}}]}
    if tx.db.parts.find_one(begun, {"_id": 1}, session=tx.session) is None:
        return False
    fields = {"phase": "undo", "status": "idle", "left": 0, "sweep": True}
    tx.db.parts.update_one({"_id": part_id(job.id, 0)}, {"$set": fields}, session=tx.session)
    return True


def terminate(tx: Transaction, job: Job, request: Request) -> Job:
    """Stop writing now, and take back what was written."""
    return start_undo(
        tx, job, trigger=Trigger.TERMINATE, busy=State.TERMINATING, target=State.TERMINATED, request=request
    )


def undo(tx: Transaction, job: Job, request: Request) -> Job:
    """Take back what a job at rest has written. The caller has taken the lock."""
    return start_undo(tx, job, trigger=Trigger.UNDO, busy=State.UNDOING, target=State.UNDONE, request=request)


def undo_again(tx: Transaction, job: Job, request: Request) -> Job:
    """Go on taking back, after what made it fail has been mended. The lock is still held."""
    tx.db.parts.update_many({"job_id": job.id}, {"$set": {"losses": 0}}, session=tx.session)
    changes = {"undo_target": State.UNDONE.value, "reason": None}
    job = transitions.move(tx, job, trigger=Trigger.UNDO, target=State.UNDOING, request=request, changes=changes)
    scheduling.publish_parts(tx, job)
    return job


def fail(tx: Transaction, job: Job, reason: Reason) -> Job:
    """The job cannot go on. Writing: it rests with what was committed. Taking back: it keeps the lock."""
    scheduling.cut(tx, job.id)
    changes = {"reason": reason.model_dump()}
    request = transitions.by_system(reason.message)
    if job.state in TAKING_BACK:
        return transitions.move(
            tx, job, trigger=Trigger.FAIL, target=State.UNDO_FAILED, request=request, changes=changes
        )
    job = transitions.move(tx, job, trigger=Trigger.FAIL, target=State.FAILED, request=request, changes=changes)
    scheduling.dequeue(tx, job)
    return job
