"""The verbs: what people ask of a job. Each verb is one transaction, and it is in effect when that is committed.

`cut` is a verb's first statement, and the compare-and-set on the job comes after it. If the verb is then refused or is
a repeat, the transaction aborts, so no other transaction ever sees that cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import ReturnDocument

from collect.errors import IllegalTransition, PreconditionFailed
from collect.jobs.model import Action, Job, MaxRejected, Reason
from collect.jobs.states import REPEATS, State, Trigger, Verb, sources
from collect.protocol import admission, corrections, scheduling, transitions, undo
from collect.protocol.corrections import Corrected
from collect.protocol.transitions import Request
from collect.storage import jobs, locks, parts
from collect.storage.database import Database, Transaction, now, stored, transact
from collect.storage.outbox import OutboxEntry

__all__ = ["OVER_LIMIT", "Options", "Outcome", "Request", "apply", "perform"]

OVER_LIMIT = "rejections_over_limit"
"""The reason code of a job that paused itself because of too many rejects. Resuming it accepts the rejects so far."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a verb: ``until`` of pause, ``max_rejected`` of resume, ``corrected`` (corrected rows) of correct.

    ``why``: the reason that is stored on the job when the system itself pauses or stops it.
    """

    until: datetime | None = None
    max_rejected: MaxRejected | None = None
    why: Reason | None = None
    corrected: Corrected | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a verb that is in effect.

    ``repeated``: it had already happened before this call, and nothing was written. ``outbox``: messages that the
    caller has to send.
    """

    job: Job
    repeated: bool
    outbox: tuple[OutboxEntry, ...] = ()


class _Repeated(Exception):
    """A signal that aborts the transaction of a verb that has already happened."""

    def __init__(self, job: Job) -> None:
        self.job = job


def perform(
    db: Database,
    *,
    org_id: str,
    job_id: str,
    verb: Verb,
    request: Request,
    options: Options | None = None,
    along: Callable[[Transaction, Job], None] | None = None,
) -> Outcome:
    """Do ``verb`` to a job and return the job after it. Blocks for some milliseconds. Idempotent.

    ``along`` writes something more in the same transaction. It is not called when the verb is a repeat.

    Raises:
        NotFound: the organisation has no such job.
        IllegalTransition: the job's state does not allow the verb.
        Conflict: some of the rows cannot be corrected.
        DatasetHeld: resume, undo or correct needs a lock that another job holds.
        PreconditionFailed: ``request.if_match`` is not the job's ``audit_seq``.
        Transient: the database did not commit in time.
    """
    jobs.get(db, org_id=org_id, job_id=job_id)

    def work(tx: Transaction) -> Job:
        job = apply(tx, job_id=job_id, verb=verb, request=request, options=options or Options())
        if along is not None:
            along(tx, job)
        return job

    try:
        committed = transact(db, work, job_id=job_id)
    except _Repeated as repeated:
        if not _is_ours(repeated.job, verb, request):
            return Outcome(job=repeated.job, repeated=True)
        at = now()
        transitions.in_effect(db, repeated.job, at=at)
        return Outcome(job=transitions.noted(repeated.job, at=at), repeated=False)
    job = transitions.noted(committed.value, at=committed.at)
    return Outcome(job=job, repeated=False, outbox=tuple(committed.outbox))


def apply(tx: Transaction, *, job_id: str, verb: Verb, request: Request, options: Options | None = None) -> Job:
    """Do ``verb`` inside the transaction ``tx`` and return the job after it.

    Raises what :func:`perform` raises, and the private ``_Repeated`` if the verb is a repeat.
    """
    if verb in _CUTS:
        scheduling.cut(tx, job_id)
    job = jobs.read(tx, job_id)
    if _is_ours(job, verb, request) or _has_begun(tx, job, options):
        raise _Repeated(job)
    if request.if_match is not None and request.if_match != job.audit_seq:
        raise PreconditionFailed(f"The job has moved on: it is at {job.audit_seq}, not {request.if_match}.")
    chosen = options or Options()
    if repeats(job, verb):
        if verb is Verb.PAUSE and job.until != (chosen.until and stored(chosen.until)):
            return _set_until(tx, job, request, chosen)
        raise _Repeated(job)
    check(job, verb)
    return _VERBS[verb](tx, job, request, chosen)


def check(job: Job, verb: Verb) -> None:
    """Raise if the job's state does not allow the verb.

    Of ``correct`` only the state is checked. Which rows can be corrected is checked row by row, in ``corrections``.

    Raises:
        IllegalTransition: the state does not allow the verb.
    """
    asked = job.model_copy(update={"correctable": True}) if verb is Verb.CORRECT else job
    if verb not in asked.allowed_verbs(datetime.now(UTC)):
        raise _refusal(job, verb)


def repeats(job: Job, verb: Verb) -> bool:
    """Return whether ``verb`` was the job's last verb and has already happened. A repeat writes nothing.

    An undo that left conflicts is not a repeat: asking again tries the conflicts again.
    """
    last = job.last_action
    if job.state not in REPEATS[verb] or last is None:
        return False
    if verb is Verb.PAUSE and last.verb is Verb.CORRECT:  # `correct` leaves a paused job paused
        return True
    if last.verb != verb:
        return False
    return not (verb is Verb.UNDO and job.conflicts and job.state is not State.UNDOING)


def freed(db: Database, *, part_id: str, job_id: str, session_id: dict[str, Any], quiet: bool = True) -> Action | None:
    """Record that a slot process has let go of a part that was cut, so that its slot is free. Idempotent.

    Removes the session from the ``holding`` of the job's last action. Returns that action, or ``None`` if it did not
    wait for this session. ``quiet``: the process reported the end itself, so it writes no more objects. A process that
    was killed may have a last write still on its way to the blob store.
    """
    if quiet:
        parts.writes_no_more(db, part_id=part_id, session_id=session_id)
    db.parts.update_one({"_id": part_id, "cut_lsid": session_id}, {"$set": {"cut_lsid": None}})
    action = _held_no_more(db, job_id, session_id)
    if action is None:
        # A verb in an open transaction may have read that this slot is held. This write makes it conflict and run
        # again, unless it commits first; then the second try below finds it.
        db.jobs.update_one({"_id": job_id}, {"$inc": {"v": 1}})
        action = _held_no_more(db, job_id, session_id)
    return action


def _held_no_more(db: Database, job_id: str, session_id: dict[str, Any]) -> Action | None:
    job = db.jobs.find_one_and_update(
        {"_id": job_id, "last_action.holding": session_id},
        {"$pull": {"last_action.holding": session_id}, "$max": {"last_action.slots_free_at": datetime.now(UTC)}},
        return_document=ReturnDocument.AFTER,
    )
    return None if job is None else Job.model_validate(job).last_action


def _is_ours(job: Job, verb: Verb, request: Request) -> bool:
    """Return whether this very request is the job's last action: an earlier try of it was committed.

    That happens when the outcome of a commit was unknown. A caller may use a request id twice, so the id alone is not
    enough: verb, actor and time are compared too.
    """
    last = job.last_action
    this = (verb, request.actor.id, request.request_id, stored(request.requested_at))
    return last is not None and (last.verb, last.actor.id, last.request_id, last.requested_at) == this


def _has_begun(tx: Transaction, job: Job, options: Options | None) -> bool:
    """Return whether an earlier try of this correction was committed: a part of the job reads its text.

    Unlike ``_is_ours``, this also finds the correction when other verbs came after it.
    """
    if options is None or options.corrected is None:
        return False
    this = {"job_id": job.id, "source.blob": options.corrected.source["blob"]}
    return tx.db.parts.find_one(this, {"_id": 1}, session=tx.session) is not None


def _refusal(job: Job, verb: Verb) -> IllegalTransition:
    refusal = transitions.illegal(job, verb.value)
    if verb in (Verb.UNDO, Verb.CORRECT) and job.state in sources(verb) and job.undo_until is not None:
        return IllegalTransition(
            f"{verb.value.capitalize()} was possible until {job.undo_until:%Y-%m-%d %H:%M} UTC; what it needs may be "
            "gone.",
            state=refusal.state,
            allowed_verbs=refusal.allowed_verbs,
        )
    return refusal


def _confirm(tx: Transaction, job: Job, request: Request, options: Options) -> Job:
    changes = {"confirm_by": None, "reason": None}
    job = transitions.move(tx, job, trigger=Trigger.CONFIRM, target=State.QUEUED, request=request, changes=changes)
    if job.start_at is None:
        admission.enter(tx, job, request)
    return job


def _pause(tx: Transaction, job: Job, request: Request, options: Options) -> Job:
    changes: dict[str, Any] = {"until": options.until, "until_seq": job.audit_seq + 1 if options.until else None}
    changes["reason"] = options.why.model_dump() if options.why else None
    return transitions.move(tx, job, trigger=Trigger.PAUSE, target=State.PAUSED, request=request, changes=changes)


def _set_until(tx: Transaction, job: Job, request: Request, options: Options) -> Job:
    """Give a paused job another ``until``. Writes the job and an audit entry; the state stays."""
    seq = job.audit_seq + 1
    changes = {
        "until": options.until,
        "until_seq": seq if options.until else None,
        "audit_seq": seq,
        "last_action": transitions.action(Trigger.PAUSE, request, tx.cut_sessions.get(job.id, [])),
    }
    job = jobs.update(tx, job, changes)
    transitions.record(tx, job, source=State.PAUSED, verb=Verb.PAUSE.value, request=request)
    tx.after_commit.append(lambda at: transitions.in_effect(tx.db, job, at=at))
    return job


def _resume(tx: Transaction, job: Job, request: Request, options: Options) -> Job:
    if job.state is State.FAILED:
        tx.db.parts.update_many({"job_id": job.id}, {"$set": {"losses": 0}}, session=tx.session)
        if job.lock is not None:
            locks.take_free(tx, job.lock, job.id)
    elif job.lock is not None and not _starts_later(job):
        locks.join(tx, job.lock, job.id)
    accepted = parts.rejected_first(tx.db, job_id=job.id, session=tx.session)
    changes: dict[str, Any] = {"until": None, "until_seq": None, "reason": None, "rejected_before": accepted}
    if options.max_rejected is not None:
        changes["max_rejected"] = options.max_rejected.model_dump(exclude_none=True)
    job = transitions.move(tx, job, trigger=Trigger.RESUME, target=State.QUEUED, request=request, changes=changes)
    scheduling.publish_parts(tx, job)
    return job


def _stop(tx: Transaction, job: Job, request: Request, options: Options) -> Job:
    changes = {"until": None, "reason": options.why.model_dump() if options.why else None}
    job = transitions.move(tx, job, trigger=Trigger.STOP, target=State.STOPPED, request=request, changes=changes)
    scheduling.dequeue(tx, job)
    return job


def _terminate(tx: Transaction, job: Job, request: Request, options: Options) -> Job:
    return undo.terminate(tx, job, request)


def _undo(tx: Transaction, job: Job, request: Request, options: Options) -> Job:
    if job.state is State.UNDO_FAILED:
        return undo.undo_again(tx, job, request)
    if job.lock is not None:
        locks.take_free(tx, job.lock, job.id)
    return undo.undo(tx, job, request)


def _correct(tx: Transaction, job: Job, request: Request, options: Options) -> Job:
    if options.corrected is None:
        raise ValueError("which rows are corrected")
    return corrections.start(tx, job, options.corrected, request)


def _starts_later(job: Job) -> bool:
    return job.start_at is not None and job.started_at is None and job.start_at > datetime.now(UTC)


_CUTS = frozenset({Verb.PAUSE, Verb.STOP, Verb.TERMINATE})
_VERBS: dict[Verb, Callable[[Transaction, Job, Request, Options], Job]] = {
    Verb.CONFIRM: _confirm,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.STOP: _stop,
    Verb.TERMINATE: _terminate,
    Verb.UNDO: _undo,
    Verb.CORRECT: _correct,
}
