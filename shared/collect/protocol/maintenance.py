"""The monitor's rounds: publish lost messages again, publish parts that may run, and do what timers ask for.

Every act is a compare-and-set, so several monitors may run side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from pymongo import DESCENDING

from collect.errors import Conflict, NotFound, PreconditionFailed
from collect.jobs.model import OUT, Job, Part, Priority, Reason
from collect.jobs.states import ACTIVE, TAKING_BACK, State, Trigger, Verb
from collect.protocol import admission, scheduling, transitions, verbs
from collect.protocol.transitions import Request
from collect.storage import jobs, locks, organisations
from collect.storage.database import Committed, Database, Transaction, now, transact
from collect.storage.outbox import OutboxEntry, run_part

_PRIORITIES: dict[Priority, int] = {"high": 0, "normal": 1, "low": 2}
_ACTIVE = [state.value for state in ACTIVE]
MAX_DOUBLINGS = 6
"""Most times that the wait before a ticket is published again doubles: after n times it is 2**n times as long."""


def waiting(db: Database, *, older_than_seconds: float, limit: int = 100) -> list[Part]:
    """Return parts that were published longer ago than that and were not claimed, the oldest first.

    The time doubles each time the same ticket is published again. So a lost message is replaced soon, and a part that
    only waits for a slot does not fill the queue with copies of its message.
    """
    milliseconds = round(older_than_seconds * 1000)
    times = {"$cond": [{"$eq": ["$swept.ticket", "$ticket"]}, {"$min": ["$swept.times", MAX_DOUBLINGS]}, 0]}
    before = {"$subtract": ["$$NOW", {"$multiply": [milliseconds, {"$pow": [2, times]}]}]}
    query = {"status": "queued", "$expr": {"$lt": ["$published_at", before]}}
    return [Part.model_validate(document) for document in db.parts.find(query).sort("published_at", 1).limit(limit)]


def publish_again(db: Database, part: Part) -> Committed[bool]:
    """Publish the same ticket of a part again, since its message may be lost. The value is whether it was published.

    It is not published if the part has changed since ``part`` was read. The condition includes ``published_at``, so
    only one of two monitors that read the same part publishes it.
    """

    def work(tx: Transaction) -> bool:
        done = tx.db.parts.update_one(
            {"_id": part.id, "ticket": part.ticket, "status": "queued", "published_at": part.published_at},
            [{"$set": {"published_at": "$$NOW", "swept": {"ticket": "$ticket", "times": _TIMES_SWEPT}}}],
            session=tx.session,
        )
        if done.matched_count:
            job = tx.db.jobs.find_one({"_id": part.job_id}, {"traceparent": 1}, session=tx.session) or {}
            tx.publish(run_part(part, traceparent=job.get("traceparent")))
        return bool(done.matched_count)

    return transact(db, work)


_TIMES_SWEPT = {"$cond": [{"$eq": ["$swept.ticket", "$ticket"]}, {"$add": ["$swept.times", 1]}, 1]}


def runnable_jobs(db: Database) -> list[Job]:
    """Return jobs that may run, have idle parts and room in their window: by priority, then age, up to each cap.

    Jobs that rest, or wait for a lock or the organisation's cap, are left out here, because :func:`publish_runnable`
    needs a transaction for each job to find that out.
    """
    found = map(Job.model_validate, db.jobs.find({"state": {"$in": _ACTIVE}}))
    active = [job for job in found if not job.rests(now())]
    active.sort(key=lambda job: (_PRIORITIES[job.priority], job.id))
    heads = locks.holders(db, {job.lock for job in active if job.lock is not None})
    caps = _Caps(db)
    return [job for job in active if _at_head(job, heads) and caps.leave_room(job) and _below_window(db, job)]


class _Caps:
    """The jobs of each organisation that have parts out, rest, or are about to have parts out, against its cap."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._out: dict[str, set[str]] = {}
        self._caps: dict[str, int] = {}
        pipeline: list[dict[str, Any]] = [
            {"$match": {"status": {"$in": OUT}}},
            {"$group": {"_id": {"org_id": "$org_id", "job_id": "$job_id"}}},
        ]
        for found in db.parts.aggregate(pipeline):
            self._out.setdefault(found["_id"]["org_id"], set()).add(found["_id"]["job_id"])
        for job in db.jobs.find(scheduling.resting(at=now()), {"org_id": 1}):
            self._out.setdefault(job["org_id"], set()).add(job["_id"])

    def leave_room(self, job: Job) -> bool:
        """Return whether the cap lets the job have parts out. If it does, the job counts against the cap from now on.

        A job that takes back is always allowed, and is not counted here.
        """
        out = self._out.setdefault(job.org_id, set())
        if job.state in TAKING_BACK or job.id in out:
            return True
        if job.org_id not in self._caps:
            self._caps[job.org_id] = organisations.get(self._db, org_id=job.org_id).limits.concurrent_jobs
        if len(out) >= self._caps[job.org_id]:
            return False
        out.add(job.id)
        return True


def _at_head(job: Job, heads: dict[str, str]) -> bool:
    return job.state in TAKING_BACK or job.lock is None or heads.get(job.lock) == job.id


def _below_window(db: Database, job: Job) -> bool:
    out = db.parts.count_documents({"job_id": job.id, "status": {"$in": OUT}}, limit=job.window)
    return out < job.window and db.parts.find_one({"job_id": job.id, "status": "idle"}, {"_id": 1}) is not None


def publish_runnable(db: Database, job_id: str) -> Committed[int]:
    """Publish as many idle parts as the job's window allows, if it may run. The value is the number published.

    Writes the job's document, so that a verb in an open transaction conflicts and runs again (rule A).
    """

    def work(tx: Transaction) -> int:
        job = jobs.read(tx, job_id)
        if not scheduling.may_run(tx, job):
            return 0
        return scheduling.publish_parts(tx, jobs.update(tx, job, {}))

    return transact(db, work)


def set_windows(db: Database, *, kind: str, slots: int) -> int:
    """Set the window of each active job of the kind. Return the number of jobs changed.

    The window is the job's equal share of the slots, plus one part that waits in the queue.
    """
    query: dict[str, Any] = {"kind": kind, "state": {"$in": _ACTIVE}}
    active = len(db.parts.distinct("job_id", {"kind": kind, "status": {"$in": OUT}}))
    window = max(1, math.ceil(slots / max(1, active))) + 1
    return db.jobs.update_many({**query, "window": {"$ne": window}}, {"$set": {"window": window}}).modified_count


def due(db: Database, now: datetime) -> Iterator[tuple[Job, Callable[[], list[OutboxEntry]]]]:
    """Yield each timed act that is due: the job as it was read, and a function that does the act.

    The function returns the outbox entries that the caller has to send. The acts are: resume at ``until``, stop at
    ``confirm_by``, pause at the time limit, start at ``start_at``.
    """
    until = {"state": State.PAUSED.value, "until": {"$ne": None, "$lte": now}}
    for job in _found(db, {**until, "$expr": {"$eq": ["$until_seq", "$audit_seq"]}}):
        yield job, _verb(db, job, Verb.RESUME, "The time until which it was paused has come.")
    for job in _found(db, {"state": State.AWAITING_CONFIRMATION.value, "confirm_by": {"$ne": None, "$lte": now}}):
        yield job, _verb(db, job, Verb.STOP, "Nobody confirmed it in time.", code="confirmation_expired")
    for job in _found(db, {"state": State.RUNNING.value, "time_limit_seconds": {"$ne": None}}):
        if _runs_too_long(db, job, now):
            yield job, _verb(db, job, Verb.PAUSE, "It has run for as long as it may.", code="time_limit")
    for job in _found(db, {"state": State.QUEUED.value, "start_at": {"$ne": None, "$lte": now}, "started_at": None}):
        yield job, _start(db, job)


def _found(db: Database, query: dict[str, Any]) -> list[Job]:
    return [Job.model_validate(document) for document in db.jobs.find(query)]


def _runs_too_long(db: Database, job: Job, now: datetime) -> bool:
    """Return whether the job has run for its time limit, counted from when it last began to run.

    A job that is resumed at its limit may run for the whole limit again.
    """
    limit = job.time_limit_seconds
    if limit is None or job.started_at is None or (now - job.started_at).total_seconds() < limit:
        return False
    last = db.audit.find_one(
        {"job_id": job.id, "verb": Trigger.BEGIN.value, "seq": {"$lte": job.audit_seq}}, sort=[("seq", DESCENDING)]
    )
    return last is None or (now - last["at"]).total_seconds() >= limit


def _verb(
    db: Database, job: Job, verb: Verb, reason: str, *, code: str | None = None
) -> Callable[[], list[OutboxEntry]]:
    """Return a function that does ``verb`` as the system, if the job is still as it was read.

    With ``code``, ``reason`` is stored as the job's reason as well. The function returns the outbox entries to send.
    """
    request = transitions.by_system(reason).at_version(job.audit_seq)
    options = verbs.Options(why=Reason(code=code, message=reason) if code else None)

    def act() -> list[OutboxEntry]:
        try:
            outcome = verbs.perform(db, org_id=job.org_id, job_id=job.id, verb=verb, request=request, options=options)
        except (Conflict, PreconditionFailed, NotFound):  # another request changed the job first, and that one counts
            return []
        return list(outcome.outbox)

    return act


def _start(db: Database, job: Job) -> Callable[[], list[OutboxEntry]]:
    """Return a function that starts a job whose ``start_at`` has come, as if it were created now.

    A job started by a timer has no caller to answer 409 to, so where a new job would be refused, this one queues. A job
    that was paused, and resumed after its time, is in the queue already, and keeps its place. The function returns the
    outbox entries to send.
    """
    request = Request(actor=job.created_by, reason="The time at which it was to start has come.", requested_at=now())

    def work(tx: Transaction, enter: Callable[[Transaction, Job], None]) -> None:
        current = jobs.read(tx, job.id)
        if current.state is State.QUEUED and current.started_at is None and current.start_at == job.start_at:
            enter(tx, jobs.update(tx, current, {"start_at": None}))

    def enter(tx: Transaction, job: Job) -> None:
        if job.lock is not None and job.id in locks.queue(tx, job.lock):
            admission.stand_in_line(tx, job)
        else:
            admission.enter(tx, job, request)

    def act() -> list[OutboxEntry]:
        try:
            return list(transact(db, lambda tx: work(tx, enter)).outbox)
        except (Conflict, NotFound):
            return list(transact(db, lambda tx: work(tx, admission.stand_in_line)).outbox)

    return act
