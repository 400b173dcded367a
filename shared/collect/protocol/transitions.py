"""The only code that changes a job's state. State, numbered audit entry and event are written in one transaction."""

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
    """A request to change a job: who asked, why, and when the request arrived.

    ``if_match``: the job's ``audit_seq`` that the caller has read. With another ``audit_seq`` the verb is refused.
    """

    actor: Actor
    reason: str
    requested_at: datetime
    request_id: str | None = None
    if_match: int | None = None

    def at_version(self, audit_seq: int) -> Request:
        """Return a copy of this request that is valid only while the job's last audit entry is ``audit_seq``."""
        return replace(self, if_match=audit_seq)


def by_system(reason: str) -> Request:
    """Return a request with the system as its actor, made now. For moves that no caller asked for."""
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
    """Move ``job`` to the state ``target`` and return the changed job. ``job`` must come from this same transaction.

    ``changes`` are further fields to set. If the trigger is a verb, it is stored as the job's ``last_action``; the
    sessions that the verb has cut are stored with it as ``holding``, because their processes still hold slots.

    Raises:
        IllegalTransition: the table of moves has no such move.
    """
    if (trigger, job.state, target) not in LEGAL:
        raise illegal(job, trigger.value)
    now = datetime.now(UTC)
    fields: dict[str, Any] = {"state": target.value, **_ended(tx, job, target, now), **(changes or {})}
    if target in CORRECTED:  # no chunk can commit now: cut parts fail, and this snapshot shows all that was committed
        is_whole = job.file is not None and job.total_rows is not None
        fields["correctable"] = is_whole and rejects.can_be_corrected(tx, job_id=job.id)
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
    """Write the numbered audit entry of the last change of ``job``, and publish the job's event.

    The entry's ``effective_at`` is written after the commit. For a verb the caller does that, with :func:`in_effect`,
    because the time must also be stored in the job's ``last_action``.
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
    """Write ``effective_at`` into an audit entry after the commit: the time at which the commit was acknowledged."""
    entry = {"_id": f"{job_id}:{seq}", "effective_at": None}

    def note(at: datetime) -> None:
        tx.db.audit.update_one(entry, {"$set": _effect(request.requested_at, at)})

    tx.after_commit.append(note)


def _effect(requested_at: datetime, at: datetime) -> dict[str, Any]:
    milliseconds = (at - stored(requested_at)).total_seconds() * 1000
    return {"effective_at": at, "latency_ms": round(milliseconds)}


def noted(job: Job, *, at: datetime) -> Job:
    """Return ``job`` with ``at`` as the ``effective_at`` of its last action, if that has none yet.

    If no slot is held by sessions that were cut, ``slots_free_at`` is ``at`` as well. Writes nothing.
    """
    action = job.last_action
    if action is None or action.effective_at is not None:
        return job
    times = {"effective_at": at} if action.holding else {"effective_at": at, "slots_free_at": at}
    return job.model_copy(update={"last_action": action.model_copy(update=times)})


def in_effect(db: Database, job: Job, *, at: datetime) -> None:
    """Write ``effective_at`` of the job's last action into the job and into its audit entry. Idempotent."""
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
    """Return the error that refuses ``verb``. It names the verbs that are allowed instead."""
    allowed = [allowed.value for allowed in job.allowed_verbs(datetime.now(UTC))]
    instead = f" It allows: {', '.join(allowed)}." if allowed else " Nothing can be done to it."
    return IllegalTransition(
        f"A job that is {job.state.value} cannot {verb}.{instead}", state=job.state, allowed_verbs=allowed
    )


def action(trigger: Trigger, request: Request, holding: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the document for the job's ``last_action``. ``holding``: sessions that were cut and still hold slots."""
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
    """Return the fields ``ended_at`` and ``undo_until`` that this move sets.

    When an undo ends, ``undo_until`` stays as it was: an undo does not prolong the time in which undo is possible.
    """
    if target in ENDED and job.state in TAKING_BACK and job.undo_until is not None:
        return {"ended_at": now}
    if target in ENDED:
        days = organisations.get(tx.db, org_id=job.org_id).limits.undo_days
        return {"ended_at": now, "undo_until": now + timedelta(days=days)}
    if job.state in RESTING:
        return {"ended_at": None}
    return {}
