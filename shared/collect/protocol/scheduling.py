"""Who may run: parts are published, and that right is taken away.

These are `publish`, `publish_parts`, `cut` and `dequeue` of docs/protocol.md.

Whoever publishes a part either changes, in the same transaction, a part of that job that was queued or leased, or
writes the job's document: else two snapshots would not notice each other, and a paused job would hold a live ticket.
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
"""Whoever has rested is fed within that, or has somebody else in its place."""


def publish(tx: Transaction, part: Part, *, traceparent: str | None) -> None:
    """Give out a new ticket for an idle part."""
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
    """Publish idle parts up to the job's window, round and round by number, starting behind ``after``.

    ``job`` is as this transaction has written or read it. Returns the number of parts published.
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
    """Whether parts of the job may be out. What takes back is never held up by lock, cap or time."""
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
    """Let the job rest as a whole, for as long as it keeps the limit by which this is owed: its parts wait no more.

    Those that are held are let go by their owners, who look at the job each second.
    """
    if job.rests(owed.until):  # somebody else owes more
        return job
    tx.db.parts.update_many(
        {"job_id": job.id, "status": "queued"},
        [{"$set": {"status": "idle", "epoch": {"$add": ["$epoch", 1]}}}],
        session=tx.session,
    )
    return jobs.update(tx, job, {"rest": owed.model_dump()})


def resting(*, at: datetime) -> dict[str, Any]:
    """Which jobs rest, or were resting until just now: they keep their place among those that have parts out."""
    return {"state": {"$in": [state.value for state in WRITING]}, "rest.until": {"$gt": at - REST_KEPT}}


def _cap_reached(tx: Transaction, job: Job) -> bool:
    """Soft: two feeds at once may overshoot, and nothing depends on it."""
    cap = organisations.get(tx.db, org_id=job.org_id).limits.concurrent_jobs
    out = set(tx.db.parts.distinct("job_id", {"org_id": job.org_id, "status": {"$in": OUT}}, session=tx.session))
    out.update(tx.db.jobs.distinct("_id", {"org_id": job.org_id, **resting(at=now())}, session=tx.session))
    return job.id not in out and len(out) >= cap


def cut(tx: Transaction, job_id: str) -> None:
    """Make every ticket and every owner of the job void. From the commit on, nothing of those parts can be written.

    The sessions of parts that were leased are remembered, to be killed after the commit; and that this job is being
    cut, before anything is tried, for the case that a dead owner stands in the way.
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
    """The only way out of the lock's line; the job that becomes its head is fed.

    The new head's document is always written, whatever its state: a verb on it, under way on an older snapshot in which
    it was not the head, must fail and look again.
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
