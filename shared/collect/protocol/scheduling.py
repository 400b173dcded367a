"""The right to run parts: publishing gives it to workers, and cutting takes it away.

These are `publish`, `publish_parts`, `cut` and `dequeue` of docs/protocol.md.

A transaction that publishes a part must also change a part of that job that was queued or leased, or write the job's
document. Otherwise two transactions with different snapshots would not conflict, and a paused job could have a valid
ticket (rule A).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ReturnDocument

from collect.jobs.model import OUT, Job, Part, Rest
from collect.jobs.states import ACTIVE, WRITING
from collect.storage import jobs, locks, organisations, outbox, parts
from collect.storage.database import Again, Transaction, now

REST_KEPT = timedelta(seconds=10)
"""How long a job keeps its place under the organisation's cap after its rest has ended.

Its parts are published again within that time, or another job takes the place.
"""


def publish(tx: Transaction, part: Part, *, traceparent: str | None) -> None:
    """Publish an idle part: give it a new ticket, and put its message into the outbox."""
    document = tx.db.parts.find_one_and_update(
        {"_id": part.id, "status": "idle"},
        [
            {
                "$set": {
                    "status": "queued",
                    "epoch": {"$add": ["$epoch", 1]},
                    "ticket": {"$add": ["$epoch", 1]},
                    "owner": None,
                    "cut_lsid": None,
                    "published_at": "$$NOW",
                }
            }
        ],
        return_document=ReturnDocument.AFTER,
        session=tx.session,
    )
    if document is None:
        raise Again
    tx.publish(outbox.run_part(Part.model_validate(document), traceparent=tx.traceparent or traceparent))


def publish_parts(tx: Transaction, job: Job, *, after: int = -1) -> int:
    """Publish idle parts up to the job's window. Return the number of parts published.

    The order is by part number, starting after part ``after`` and then from the lowest again. ``job`` must have been
    read or written in this transaction.
    """
    if not may_run(tx, job):
        return 0
    out = tx.db.parts.count_documents({"job_id": job.id, "status": {"$in": OUT}}, session=tx.session)
    free = job.window - out
    if free <= 0:
        return 0
    idle = [
        Part.model_validate(document)
        for document in tx.db.parts.find({"job_id": job.id, "status": "idle"}, session=tx.session)
    ]
    idle.sort(key=lambda part: (part.n <= after, part.n))
    for part in idle[:free]:
        publish(tx, part, traceparent=job.traceparent)
    return min(free, len(idle))


def may_run(tx: Transaction, job: Job) -> bool:
    """Return whether parts of the job may be published. A job that takes back ignores lock, cap and start time."""
    if job.state not in ACTIVE:
        return False
    if job.state not in WRITING:
        return True
    if job.start_at is not None and job.started_at is None and job.start_at > datetime.now(UTC):
        return False
    if job.rests(now()):
        return False
    if job.lock is not None and locks.queue(tx, job.lock)[:1] != [job.id]:
        return False
    return not _cap_reached(tx, job)


def rest(tx: Transaction, job: Job, owed: Rest) -> Job:
    """Make the whole job rest until ``owed.until``, and return the job. Its queued parts become idle.

    Owners of leased parts read the job each second and give their parts back. The rest ends early if the job's limit
    of rows a second is changed.
    """
    if job.rests(owed.until):  # the job already rests longer, because of another part
        return job
    tx.db.parts.update_many(
        {"job_id": job.id, "status": "queued"},
        [{"$set": {"status": "idle", "epoch": {"$add": ["$epoch", 1]}}}],
        session=tx.session,
    )
    return jobs.update(tx, job, {"rest": owed.model_dump()})


def resting(*, at: datetime) -> dict[str, Any]:
    """Return a query for jobs that rest, or whose rest ended less than ``REST_KEPT`` ago.

    They count against the organisation's cap like jobs that have parts out.
    """
    return {"state": {"$in": [state.value for state in WRITING]}, "rest.until": {"$gt": at - REST_KEPT}}


def _cap_reached(tx: Transaction, job: Job) -> bool:
    """Return whether the organisation's cap of concurrent jobs leaves no room for this job.

    The cap is soft: two transactions that publish at once may pass it. Nothing depends on it.
    """
    cap = organisations.get(tx.db, org_id=job.org_id).limits.concurrent_jobs
    out = set(tx.db.parts.distinct("job_id", {"org_id": job.org_id, "status": {"$in": OUT}}, session=tx.session))
    out.update(tx.db.jobs.distinct("_id", {"org_id": job.org_id, **resting(at=now())}, session=tx.session))
    return job.id not in out and len(out) >= cap


def cut(tx: Transaction, job_id: str) -> None:
    """Make every ticket and every owner of the job void. After the commit no old owner can write its part.

    The sessions of leased parts are added to ``tx.cut_sessions``, to be killed after the commit. The job is entered
    there before the first write: if that write conflicts with a dead owner, the retry knows whose sessions to kill.
    """
    sessions = tx.cut_sessions.setdefault(job_id, [])
    tx.db.parts.update_many(
        {"job_id": job_id, "status": {"$in": OUT}},
        [
            {
                "$set": {
                    "status": "idle",
                    "owner": None,
                    "epoch": {"$add": ["$epoch", 1]},
                    "cut_lsid": {"$cond": [{"$eq": ["$status", "leased"]}, "$lsid", None]},
                    "writers": parts.LEFT_WRITING,
                }
            }
        ],
        session=tx.session,
    )
    held = tx.db.parts.find(
        {"job_id": job_id, "status": "idle", "cut_lsid": {"$ne": None}}, {"cut_lsid": 1}, session=tx.session
    )
    sessions.extend(found for part in held if (found := part["cut_lsid"]) not in sessions)


def dequeue(tx: Transaction, job: Job) -> None:
    """Take the job out of its lock's queue, and publish parts of the job that becomes the head.

    No other code takes a job out of that queue. The document of the new head is written in every state: a verb on it
    that runs on an older snapshot, in which it was not the head, must conflict and run again.
    """
    if job.lock is None:
        return
    head = locks.leave(tx, job.lock, job.id)
    if head is None:
        return
    document = tx.db.jobs.find_one_and_update(
        {"_id": head}, {"$inc": {"v": 1}}, return_document=ReturnDocument.AFTER, session=tx.session
    )
    if document is not None:
        publish_parts(tx, Job.model_validate(document))
