"""The one function that moves a job's state: compare-and-set, numbered audit entry, event, all in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ReturnDocument

from collect.errors import IllegalTransition
from collect.jobs.model import SYSTEM, Actor, Job
from collect.jobs.states import CORRECTED, ENDED, LEGAL, RESTING, TAKING_BACK, State, Trigger, Verb
from collect.storage import organisations, outbox, rejects
from collect.storage.database import Again, Database, Transaction, stored

_VERBS = frozenset(verb.value for verb in Verb)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asked for a move, why, and when the request was there. ``if_match``: the audit number it was made on."""

    actor: Actor
    reason: str
    requested_at: datetime
    request_id: str | None = None
    if_match: int | None = None

    def at_version(self, audit_seq: int) -> Request:
        """The same, valid only while the job's last audit entry is ``audit_seq``."""
        return replace(self, if_match=audit_seq)


def by_system(reason: str) -> Request:
    """A move that nobody asked for."""
    return Request(actor=SYSTEM, reason=reason, requested_at=datetime.now(UTC))


def move(
    tx: Transaction,
    job: Job,
    *,
    trigger: Trigger,
    target: State,
    request: Request,
    changes: dict[str, Any] | None = None,
) -> Job:
    """Move ``job``, as this transaction has read it, to ``target``; returns it as it is now.

    ``changes`` are further fields to set. Verbs leave themselves as the job's last action, with the sessions that they
    have cut as what still holds slots.

    Raises:
        IllegalTransition: the table has no such move.
    """
    if (trigger, job.state, target) not in LEGAL:
        raise illegal(job, trigger.value)
    now = datetime.now(UTC)
    fields: dict[str, Any] = {"state": target.value, **_ended(tx, job, target, now), **(changes or {})}
    if target in CORRECTED:  # nobody writes any more: what was cut fails, what was committed is seen here
        is_whole = job.file is not None and job.total_rows is not None
        fields["correctable"] = is_whole and rejects.can_be_mended(tx, job_id=job.id)
    if trigger.value in _VERBS:
        fields["last_action"] = action(trigger, request, tx.cut_sessions.get(job.id, []))
    document = tx.db.jobs.find_one_and_update(
        {"_id": job.id, "state": job.state.value},
        {"$set": fields, "$inc": {"audit_seq": 1, "v": 1}},
        return_document=ReturnDocument.AFTER,
        session=tx.session,
    )
    if document is None:
        raise Again
    moved = Job.model_validate(document)
    record(tx, moved, source=job.state, verb=trigger.value, request=request)
    if trigger.value in _VERBS:
        tx.after_commit.append(lambda at: in_effect(tx.db, moved, at=at))
    return moved


def record(tx: Transaction, job: Job, *, source: State | None, verb: str, request: Request) -> None:
    """The numbered audit entry of what has just been done to ``job``, and the event for whoever listens.

    When it was in effect is written down after the commit: here, but for verbs, of which the job tells it too.
    """
    tx.db.audit.insert_one(
        {
            "_id": f"{job.id}:{job.audit_seq}",
            "job_id": job.id,
            "org_id": job.org_id,
            "seq": job.audit_seq,
            "at": datetime.now(UTC),
            "actor": request.actor.model_dump(),
            "verb": verb,
            "reason": request.reason,
            "from": source.value if source else None,
            "to": job.state.value,
            "requested_at": request.requested_at,
            "effective_at": None,
            "latency_ms": None,
            "request_id": request.request_id,
        },
        session=tx.session,
    )
    tx.publish(outbox.job_event(job, source=source, reason=request.reason))
    if verb not in _VERBS:
        note_effect(tx, job_id=job.id, seq=job.audit_seq, request=request)


def note_effect(tx: Transaction, *, job_id: str, seq: int, request: Request) -> None:
    """Write down in an audit entry when its transaction was known to be committed."""
    entry = {"_id": f"{job_id}:{seq}", "effective_at": None}

    def note(at: datetime) -> None:
        tx.db.audit.update_one(entry, {"$set": _effect(request.requested_at, at)})

    tx.after_commit.append(note)


def _effect(requested_at: datetime, at: datetime) -> dict[str, Any]:
    milliseconds = (at - stored(requested_at)).total_seconds() * 1000
    return {"effective_at": at, "latency_ms": round(milliseconds)}


def noted(job: Job, *, at: datetime) -> Job:
    """``job`` with its last action in effect since ``at``. With no slot to wait for, slots are free then, too."""
    action = job.last_action
    if action is None or action.effective_at is not None:
        return job
    times = {"effective_at": at} if action.holding else {"effective_at": at, "slots_free_at": at}
    return job.model_copy(update={"last_action": action.model_copy(update=times)})


def in_effect(db: Database, job: Job, *, at: datetime) -> None:
    """Write down when the job's last action was known to be in effect, on the job and in the audit."""
    before, after = job.last_action, noted(job, at=at).last_action
    if before is None or after is None or before is after:
        return
    ours = {"verb": str(before.verb), "requested_at": before.requested_at, "request_id": before.request_id}
    effect = _effect(before.requested_at, at)
    db.audit.update_one({"job_id": job.id, **ours, "effective_at": None}, {"$set": effect})
    times = {"effective_at": at} if before.holding else {"effective_at": at, "slots_free_at": at}
    this = {f"last_action.{name}": value for name, value in ours.items()}
    fields = {f"last_action.{name}": value for name, value in times.items()}
    db.jobs.update_one({"_id": job.id, **this, "last_action.effective_at": None}, {"$set": fields})


def illegal(job: Job, verb: str) -> IllegalTransition:
    """The refusal of ``verb``, with what is allowed instead."""
    allowed = [allowed.value for allowed in job.allowed_verbs(datetime.now(UTC))]
    instead = f" It allows: {', '.join(allowed)}." if allowed else " Nothing can be done to it."
    return IllegalTransition(
        f"A job that is {job.state.value} cannot {verb}.{instead}", state=job.state, allowed_verbs=allowed
    )


def action(trigger: Trigger, request: Request, holding: list[dict[str, Any]]) -> dict[str, Any]:
    """The job's ``last_action``: who asked for what, when it was in effect, and which sessions still hold slots."""
    return {
        "verb": trigger.value,
        "actor": request.actor.model_dump(),
        "reason": request.reason,
        "requested_at": request.requested_at,
        "effective_at": None,
        "slots_free_at": None,
        "holding": holding,
        "request_id": request.request_id,
    }


def _ended(tx: Transaction, job: Job, target: State, now: datetime) -> dict[str, Any]:
    """The times that follow from the move. Taking back again does not prolong the time for it."""
    if target in ENDED and job.state in TAKING_BACK and job.undo_until is not None:
        return {"ended_at": now}
    if target in ENDED:
        days = organisations.get(tx.db, org_id=job.org_id).limits.undo_days
        return {"ended_at": now, "undo_until": now + timedelta(days=days)}
    if job.state in RESTING:
        return {"ended_at": None}
    return {}
