"""The creation of a job, its part 0, its place in its lock's queue and its first audit entry, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ulid import ULID

from collect.jobs.model import Actor, Confirm, FileRef, Job, MaxRejected, OnConflict, Part, Priority, Reason, part_id
from collect.jobs.states import RESTARTABLE, State, Verb
from collect.protocol import admission, transitions
from collect.protocol.transitions import Request
from collect.storage import jobs
from collect.storage.database import Transaction

CONFIRM_WITHIN = timedelta(hours=24)
DEFAULT_WINDOW = 4
FIRST_SEQ = 1
"""The number of a job's first audit entry, which records its creation."""


def new_job_id() -> str:
    """Return a new job id: a ULID in lower case. Ids sort by the time of creation."""
    return str(ULID()).lower()


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """The values that a job is created from.

    ``id`` is chosen before the transaction, so that a retry of the transaction finds the job if it was created.
    ``confirm``: the job waits for a confirmation, and ``why`` is the reason. ``confirm_rule``: the ``confirm`` that the
    request asked for.
    """

    id: str = field(default_factory=new_job_id)
    org_id: str
    kind: str
    params: dict[str, Any]
    actor: Actor
    reason: str
    requested_at: datetime
    request_id: str | None = None
    priority: Priority = "normal"
    lock: str | None = None
    on_conflict: OnConflict = "reject"
    supersedes: str | None = None
    confirm: bool = False
    confirm_rule: Confirm = "auto"
    why: Reason | None = None
    start_at: datetime | None = None
    time_limit_seconds: float | None = None
    max_rows_per_second: float | None = None
    max_rejected: MaxRejected | None = None
    file: FileRef | None = None
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    detected: tuple[str, ...] = ()
    parent_id: str | None = None
    callback: dict[str, Any] | None = None
    traceparent: str | None = None

    @property
    def request(self) -> Request:
        """Return the creation of the job as a :class:`Request`, for its audit entry."""
        return Request(actor=self.actor, reason=self.reason, requested_at=self.requested_at, request_id=self.request_id)


def create(tx: Transaction, new: NewJob) -> Job:
    """Create the job and return it. It is queued, or waits for confirmation. Idempotent by ``new.id``.

    If it is queued and the head of its lock, its part 0 is published.

    Raises:
        DatasetHeld: the lock is held and ``on_conflict`` is ``reject``, or another job is already right behind the job
            to be superseded.
        IllegalTransition: the parent of a restart, or the job to be superseded, is in a state that does not allow it.
        NotFound: the organisation has no such parent, or no such job to supersede.
    """
    if new.on_conflict == "supersede" and new.lock is not None and not new.confirm:
        admission.cut_first(tx, lock=new.lock, supersedes=new.supersedes)
    existing = tx.db.jobs.find_one({"_id": new.id}, session=tx.session)
    if existing is not None:  # an earlier try, whose outcome was unknown, was committed
        transitions.note_effect(tx, job_id=new.id, seq=FIRST_SEQ, request=new.request)
        return Job.model_validate(existing)
    if new.parent_id is not None:
        _check_parent(tx, new)
    job = _insert(tx, new)
    if job.state is not State.AWAITING_CONFIRMATION and job.start_at is None:
        admission.enter(tx, job, new.request)
    return jobs.read(tx, job.id)


def _insert(tx: Transaction, new: NewJob) -> Job:
    now = datetime.now(UTC)
    state = State.AWAITING_CONFIRMATION if new.confirm else State.QUEUED
    job = Job(
        id=new.id,
        org_id=new.org_id,
        kind=new.kind,
        params=new.params,
        state=state,
        reason=new.why,
        priority=new.priority,
        parent_id=new.parent_id,
        created_at=now,
        created_by=new.actor,
        start_at=new.start_at if new.start_at is not None and new.start_at > now else None,
        confirm=new.confirm_rule,
        confirm_by=now + CONFIRM_WITHIN if new.confirm else None,
        time_limit_seconds=new.time_limit_seconds,
        lock=new.lock,
        on_conflict=new.on_conflict,
        supersedes=new.supersedes,
        file=new.file,
        choices=new.choices,
        detected=new.detected,
        parts_left=1,
        window=DEFAULT_WINDOW,
        audit_seq=FIRST_SEQ,
        max_rows_per_second=new.max_rows_per_second,
        max_rejected=new.max_rejected,
        callback=new.callback,
        request_id=new.request_id,
        traceparent=new.traceparent,
    )
    tx.db.jobs.insert_one(job.model_dump(by_alias=True), session=tx.session)
    plan = Part(
        id=part_id(job.id, 0), job_id=job.id, org_id=job.org_id, kind=job.kind, n=0, phase="plan", status="idle"
    )
    tx.db.parts.insert_one(plan.model_dump(by_alias=True), session=tx.session)
    transitions.record(tx, job, source=None, verb="create", request=new.request)
    return job


def _check_parent(tx: Transaction, new: NewJob) -> None:
    parent = jobs.get_in(tx, org_id=new.org_id, job_id=str(new.parent_id))
    if parent.state not in RESTARTABLE:
        raise transitions.illegal(parent, Verb.RESTART.value)
