"""From a request to a job: its params checked, its file found, its answer kept for a request that comes again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, g, jsonify, request

from collect.errors import DatasetHeld, InvalidInput
from collect.jobs.model import Confirm, Counts, Job
from collect.observability import traces
from collect.protocol import creation
from collect.protocol.creation import NewJob
from collect.storage import files, idempotency, locks
from collect.storage.database import Transaction, transact
from collect.storage.files import InputFile
from collect.storage.idempotency import Answer, Claim
from gateway.http.auth import caller
from gateway.http.uploads import Sent
from gateway.kinds import table
from gateway.kinds.kind import Asker, Wanted
from gateway.schemas import views
from gateway.schemas.requests import NewJobBody, until
from gateway.schemas.times import check_ahead
from gateway.services import services

MAX_KEY_CHARACTERS = 255

Keep = Callable[[Transaction, Answer], None]
"""Keeps the answer within the transaction that makes what it tells of."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A job that has been asked for and is right in itself, with the rest of the request."""

    wanted: Wanted
    new: NewJob
    confirm: Confirm


def choose(body: NewJobBody, *, sent: InputFile | None = None, parent_id: str | None = None) -> Chosen:
    """Check everything that can be checked without beginning. ``sent``: the file came along with the request.

    Raises:
        InvalidInput: the kind, its params or the time to start are not right.
        NotFound: what they name is not there.
    """
    check_ahead(body.start_at, field="start_at", now=g.requested_at)
    found = table.kind(body.kind, with_file=sent is not None)
    wanted = found.check(_asker(), body.params, sent)
    new = NewJob(
        org_id=caller().org_id,
        kind=found.name,
        params=wanted.params,
        actor=caller().actor,
        reason=body.reason,
        requested_at=g.requested_at,
        request_id=g.request_id,
        priority=body.priority,
        confirm_rule=body.confirm,
        lock=wanted.lock,
        on_conflict=wanted.on_conflict,
        supersedes=wanted.supersedes,
        start_at=until(body.start_at),
        time_limit_seconds=body.time_limit_seconds,
        max_rows_per_second=body.max_rows_per_second,
        max_rejected=wanted.max_rejected,
        file=wanted.file,
        choices=wanted.choices,
        detected=wanted.detected,
        parent_id=parent_id,
        traceparent=traces.current_traceparent(),
    )
    return Chosen(wanted=wanted, new=new, confirm=body.confirm)


def _asker() -> Asker:
    who, here = caller(), services()
    return Asker(db=here.db, blobs=here.blobs, organisation=who.organisation, key_id=who.actor.id, at=here.clock.now())


def preview(chosen: Chosen) -> dict[str, Any]:
    """What the job would do; refused as the job itself would be."""
    if chosen.new.on_conflict == "supersede":
        _try_out(chosen.new)
    return chosen.wanted.preview(chosen.confirm)


def _gated(chosen: Chosen) -> NewJob:
    """The job, waiting for a confirmation when somebody wants to be asked or its kind finds that somebody should."""
    why = chosen.wanted.gate(chosen.confirm)
    return replace(chosen.new, confirm=chosen.confirm == "always" or why is not None, why=why)


class _WouldDo(Exception):
    """Ends a transaction that was only to show whether it would be refused."""


def _try_out(new: NewJob) -> None:
    """Raises what creating the job would raise, and makes nothing. A held dataset is told, not refused."""

    def work(tx: Transaction) -> None:
        creation.create(tx, new)
        raise _WouldDo

    try:
        transact(services().db, work)
    except (_WouldDo, DatasetHeld):
        return


def create(chosen: Chosen, keep: Keep, *, sent: Sent | None = None) -> Job:
    """Make the job, and with it the file that came along; publish what it left. ``keep`` gets the answer: 202."""
    new = _gated(chosen)

    def work(tx: Transaction) -> Job:
        job = creation.create(tx, new)
        if sent is not None and sent.file is not None:
            files.insert(tx, sent.file)
        line = locks.queue(tx, job.lock) if job.lock else []
        waiting = line[0] if line and line[0] != job.id else None
        body = views.rendered(job, Counts(), now=services().clock.now(), waiting_for=waiting)
        headers = {"Location": f"/v1/jobs/{job.id}", "ETag": etag(job)}
        keep(tx, Answer(status=202, body=body, headers=headers))
        return job

    committed = transact(services().db, work, job_id=new.supersedes)
    if sent is not None:
        sent.keep()
    services().sender.send(committed.outbox)
    if new.on_conflict == "supersede":
        _poke_superseded(committed.value)
    return committed.value


def _poke_superseded(job: Job) -> None:
    """Whoever works on what was superseded may hear of it now."""
    line = services().db.locks.find_one({"_id": job.lock}) or {"queue": []}
    for other in line["queue"]:
        if other != job.id:
            services().sender.poke(job.kind, other)


def fingerprint_of(content: Any) -> str:
    """What makes two requests equal: method, path, query, and what they carry."""
    text = json.dumps(content, sort_keys=True, default=str)
    whole = "\n".join((request.method, request.full_path, text))
    return hashlib.sha256(whole.encode()).hexdigest()


def once(fingerprint: str, do: Callable[[Keep], Any], *, shown: dict[str, Any] | None = None) -> Response:
    """Do something that creates, once for each idempotency key; ``do`` keeps its answer, which is given here.

    Only 2xx are kept: after a failure the key is free again. ``shown`` is added to the first answer and not kept.
    """
    record_id = _record_id()
    claim = idempotency.begin(services().db, record_id=record_id, fingerprint=fingerprint) if record_id else None
    if isinstance(claim, Answer):
        response = _responded(claim)
        response.headers["Idempotency-Replayed"] = "true"
        return response
    kept: list[Answer] = []

    def keep(tx: Transaction, answer: Answer) -> None:
        if claim is not None:
            idempotency.complete(tx, claim=claim, answer=answer)
        kept.append(answer)

    try:
        do(keep)
    except Exception:  # whatever it was passes on; the key is free again, since only 2xx answers are kept
        _abandon(claim)
        raise
    last = kept[-1]
    return _responded(Answer(status=last.status, body={**last.body, **(shown or {})}, headers=last.headers))


def _abandon(claim: Claim | None) -> None:
    if claim is not None:
        idempotency.abandon(services().db, claim=claim)


def _record_id() -> str | None:
    """The name under which this request's answer is kept, if it has a key.

    Raises:
        InvalidInput: malformed.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not key or len(key) > MAX_KEY_CHARACTERS or not key.isprintable():
        raise InvalidInput(
            f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} printable characters.", code="bad_key", malformed=True
        )
    return f"{caller().org_id}|{caller().key.id}|{key}"


def _responded(answer: Answer) -> Response:
    response = jsonify(answer.body)
    response.status_code = answer.status
    response.headers.update(answer.headers)
    return response


def etag(job: Job) -> str:
    """The number of the job's last audit entry."""
    return f'"{job.audit_seq}"'
