"""The start of an undo, which makes a job's parts take back what they wrote, and the failure of a job.

These are `start_undo`, `sweep` and `fail` of docs/protocol.md.
"""

from __future__ import annotations

from collect.jobs.model import Job, Reason, part_id
from collect.jobs.states import CONFLICTED, TAKING_BACK, State, Trigger
from collect.protocol import scheduling, transitions
from collect.protocol.transitions import Request
from collect.storage import results
from collect.storage.database import Transaction


def start_undo(tx: Transaction, job: Job, *, trigger: Trigger, busy: State, target: State, request: Request) -> Job:
    """Cut the job, and make every part that wrote something take it back. Return the job.

    The job goes to the state ``busy``, or directly to ``target`` if there is nothing to take back. A second undo runs
    only the parts that have conflicts. A job that may have written objects never goes to ``target`` directly: its
    objects are removed as the last step (see :func:`sweep`).
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
    """Make part 0 remove every object of the job. Return ``False`` if the job cannot have written any.

    Objects that no commit names are removed too. Before it removes them, the part waits for former owners that may
    still be writing an object (``collect.runtime.undo``).
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
    """Stop the job's writing now, and start to take back what it wrote. Return the job."""
    return start_undo(
        tx, job, trigger=Trigger.TERMINATE, busy=State.TERMINATING, target=State.TERMINATED, request=request
    )


def undo(tx: Transaction, job: Job, request: Request) -> Job:
    """Start to take back what a job at rest has written. Return the job. The caller must have taken the lock."""
    return start_undo(tx, job, trigger=Trigger.UNDO, busy=State.UNDOING, target=State.UNDONE, request=request)


def undo_again(tx: Transaction, job: Job, request: Request) -> Job:
    """Go on with an undo that failed, after its cause was removed. Return the job. The job still holds its lock."""
    tx.db.parts.update_many({"job_id": job.id}, {"$set": {"losses": 0}}, session=tx.session)
    changes = {"undo_target": State.UNDONE.value, "reason": None}
    job = transitions.move(tx, job, trigger=Trigger.UNDO, target=State.UNDOING, request=request, changes=changes)
    scheduling.publish_parts(tx, job)
    return job


def fail(tx: Transaction, job: Job, reason: Reason) -> Job:
    """Move a job that cannot go on to a failed state, and return it.

    A job that was writing becomes ``failed``, keeps what was committed and gives up its lock. A job that was taking
    back becomes ``undo_failed`` and keeps its lock.
    """
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
