"""What the monitor does so that nothing stays lost and nothing waits for ever. Every act is a compare-and-set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from collect.errors import CollectError
from collect.jobs.model import OUT, Job, Part, Priority, Reason
from collect.jobs.states import ACTIVE, State, Verb
from collect.storage import feeding, jobs, locks, transitions, verbs
from collect.storage.database import Committed, Database, Transaction, transact
from collect.storage.outbox import OutboxEntry, run_part

_PRIORITIES: dict[Priority, int] = {"high": 0, "normal": 1, "low": 2}


def waiting(db: Database, *, older_than_seconds: float, limit: int = 100) -> list[Part]:
    """Parts that were published that long ago and that nobody has claimed, the longest first."""
    before = {"$subtract": ["$$NOW", round(older_than_seconds * 1000)]}
    query = {"status": "queued", "$expr": {"$lt": ["$published_at", before]}}
    return [Part.model_validate(document) for document in db.parts.find(query).sort("published_at", 1).limit(limit)]


def publish_again(db: Database, part: Part) -> OutboxEntry | None:
    """The same ticket once more, in case its message was lost. ``None``: the part has moved on since."""
    job = db.jobs.find_one({"_id": part.job_id}, {"traceparent": 1}) or {}
    done = db.parts.update_one(
        {"_id": part.id, "ticket": part.ticket, "status": "queued"}, [{"$set": {"published_at": "$$NOW"}}]
    )
    return run_part(part, traceparent=job.get("traceparent")) if done.matched_count else None


def hungry(db: Database) -> list[Job]:
    """Jobs that could run and have idle parts below their window, by priority, then age."""
    active = [Job.model_validate(found) for found in db.jobs.find({"state": {"$in": [s.value for s in ACTIVE]}})]
    active.sort(key=lambda job: (_PRIORITIES[job.priority], job.id))
    return [job for job in active if _below_window(db, job)]


def _below_window(db: Database, job: Job) -> bool:
    out = db.parts.count_documents({"job_id": job.id, "status": {"$in": OUT}}, limit=job.window)
    return out < job.window and db.parts.find_one({"job_id": job.id, "status": "idle"}, {"_id": 1}) is not None


def feed_again(db: Database, job_id: str) -> Committed[int]:
    """Publish what the job's window allows. Writes the job's document, so that a verb under way notices."""

    def work(tx: Transaction) -> int:
        job = jobs.read(tx, job_id)
        if not feeding.may_run(tx, job):
            return 0
        return feeding.feed(tx, jobs.update(tx, job, {}))

    return transact(db, work)


def set_windows(db: Database, *, kind: str, slots: int) -> int:
    """Give each active job of the kind its share of the slots, and one part more to wait. Returns jobs changed."""
    query: dict[str, Any] = {"kind": kind, "state": {"$in": [s.value for s in ACTIVE]}}
    active = len(db.parts.distinct("job_id", {"kind": kind, "status": {"$in": OUT}}))
    window = max(1, math.ceil(slots / max(1, active))) + 1
    return db.jobs.update_many({**query, "window": {"$ne": window}}, {"$set": {"window": window}}).modified_count


def due(db: Database, now: datetime) -> Iterator[Callable[[], list[OutboxEntry]]]:
    """What is due by the clock: each value, called, does one of them and returns what has to be sent."""
    for job in _found(db, {"state": State.PAUSED.value, "until": {"$ne": None, "$lte": now}}):
        if job.until_seq == job.audit_seq:
            yield _verb(db, job, Verb.RESUME, "The time until which it was paused has come.")
    for job in _found(db, {"state": State.AWAITING_CONFIRMATION.value, "confirm_by": {"$lte": now}}):
        yield _verb(db, job, Verb.STOP, "Nobody confirmed it in time.", code="confirmation_expired")
    for job in _found(db, {"state": State.RUNNING.value, "time_limit_seconds": {"$ne": None}}):
        if job.started_at and job.started_at + timedelta(seconds=job.time_limit_seconds or 0) <= now:
            yield _verb(db, job, Verb.PAUSE, "It has run for as long as it may.", code="time_limit")
    for job in _found(db, {"state": State.QUEUED.value, "start_at": {"$ne": None, "$lte": now}, "started_at": None}):
        yield _start(db, job)


def _found(db: Database, query: dict[str, Any]) -> list[Job]:
    return [Job.model_validate(document) for document in db.jobs.find(query).limit(200)]


def _verb(
    db: Database, job: Job, verb: Verb, reason: str, *, code: str | None = None
) -> Callable[[], list[OutboxEntry]]:
    def act() -> list[OutboxEntry]:
        request = transitions.by_system(reason).at_version(job.audit_seq)
        try:
            outcome = verbs.perform(db, org_id=job.org_id, job_id=job.id, verb=verb, request=request)
        except CollectError:  # somebody was faster, and what they asked for stands
            return []
        if code is not None:
            because = Reason(code=code, message=reason).model_dump()
            db.jobs.update_one(
                {"_id": job.id, "audit_seq": outcome.job.audit_seq}, {"$set": {"reason": because}, "$inc": {"v": 1}}
            )
        return list(outcome.outbox)

    return act


def _start(db: Database, job: Job) -> Callable[[], list[OutboxEntry]]:
    def work(tx: Transaction) -> None:
        current = jobs.read(tx, job.id)
        if current.state is not State.QUEUED or current.started_at is not None:
            return
        if current.lock is not None:
            locks.join(tx, current.lock, current.id)
        feeding.feed(tx, jobs.update(tx, current, {"start_at": None}))

    return lambda: list(transact(db, work).outbox)
