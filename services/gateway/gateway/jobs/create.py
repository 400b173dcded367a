"""Creates a job from a request: checks its params, finds its file, and keeps the answer under the idempotency key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, g, jsonify, request

from collect.api.previews import AnyPreview
from collect.errors import DatasetHeld, InvalidInput
from collect.jobs.model import Confirm, Counts, Job
from collect.observability import traces
from collect.protocol import creation
from collect.protocol.creation import NewJob
from collect.storage import files, idempotency, locks
from collect.storage.database import Transaction, transact
from collect.storage.files import InputFile
from collect.storage.idempotency import Answer, Claim
from gateway import answers
from gateway.http.auth import caller
from gateway.http.uploads import Sent
from gateway.kinds import table
from gateway.kinds.kind import Asker, Wanted
from gateway.schemas.requests import NewJobBody, until
from gateway.schemas.times import check_ahead
from gateway.services import services

MAX_KEY_CHARACTERS = 255

Keep = Callable[[Transaction, Answer], None]
"""A function that keeps the answer of a request, in the transaction that does what the answer says."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A job that a request asks for and whose params are valid, with the request's rule of confirmation."""

    wanted: Wanted
    new: NewJob
    confirm: Confirm


def choose(body: NewJobBody, *, sent: InputFile | None = None, parent_id: str | None = None) -> Chosen:
    """Return the job that ``body`` asks for, after every check that needs no write. ``sent``: the request's own file.

    Raises:
        InvalidInput: the kind, its params or the start time are invalid.
        NotFound: the params name a thing that does not exist.
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


def preview(chosen: Chosen) -> AnyPreview:
    """Return what the job would do. Raises the same errors as creating the job would."""
    if chosen.new.on_conflict == "supersede":
        _try_out(chosen.new)
    return chosen.wanted.preview(chosen.confirm)


def _gated(chosen: Chosen) -> NewJob:
    """Return the job, which waits for a confirmation if the request or the job's kind asks for one."""
    why = chosen.wanted.gate(chosen.confirm)
    return replace(chosen.new, confirm=chosen.confirm == "always" or why is not None, why=why)


class _WouldDo(Exception):
    """An exception that rolls back a transaction which only tests whether the job would be refused."""


def _try_out(new: NewJob) -> None:
    """Raise what creating the job would raise, and create nothing. Does not raise for a dataset that another job holds.

    The preview itself names the holder.
    """

    def work(tx: Transaction) -> None:
        creation.create(tx, new)
        raise _WouldDo

    try:
        transact(services().db, work)
    except (_WouldDo, DatasetHeld):
        return


def create(chosen: Chosen, keep: Keep, *, sent: Sent | None = None) -> Job:
    """Create the job and its file in one transaction, then send its outbox messages. Returns the job.

    ``keep`` gets the answer (202) within the transaction.
    """
    new = _gated(chosen)

    def work(tx: Transaction) -> Job:
        job = creation.create(tx, new)
        if sent is not None and sent.file is not None:
            files.insert(tx, sent.file)
        line = locks.queue(tx, job.lock) if job.lock else []
        waiting = line[0] if line and line[0] != job.id else None
        body = answers.of_values(job, Counts(), now=services().clock.now(), waiting_for=waiting).body()
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


def keep_file(sent: Sent, file: InputFile, keep: Keep | None = None) -> None:
    """Store the document of a file that was sent, so that the organisation can use the file."""
    headers = {"Location": f"/v1/files/{file.id}"}

    def work(tx: Transaction) -> None:
        files.insert(tx, file)
        if keep is not None:
            keep(tx, Answer(status=201, body=answers.file(file).body(), headers=headers))

    transact(services().db, work)
    sent.keep()


def _poke_superseded(job: Job) -> None:
    """Poke the workers of the jobs that were superseded, so that they stop soon."""
    line = services().db.locks.find_one({"_id": job.lock}) or {"queue": []}
    for other in line["queue"]:
        if other != job.id:
            services().sender.poke(job.kind, other)


def fingerprint_of(content: Any) -> str:
    """Return a hash by which two requests are equal: of method, path, query and ``content``."""
    text = json.dumps(content, sort_keys=True, default=str)
    whole = "\n".join((request.method, request.full_path, text))
    return hashlib.sha256(whole.encode()).hexdigest()


def once(fingerprint: str, do: Callable[[Keep], Any], *, shown: dict[str, Any] | None = None) -> Response:
    """Call ``do`` once for each idempotency key, and return its answer; a repeated request gets the kept answer.

    ``do`` creates something, and passes its answer to the function that it gets. Only 2xx answers are kept: after a
    failure the key is free again. ``shown`` is added to the first answer and is not kept.

    Raises:
        InvalidInput: the request's Idempotency-Key is malformed.
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
    except Exception:  # any error is raised again; the key is free again, since only 2xx answers are kept
        _abandon(claim)
        raise
    last = kept[-1]
    return _responded(Answer(status=last.status, body={**last.body, **(shown or {})}, headers=last.headers))


def _abandon(claim: Claim | None) -> None:
    if claim is not None:
        idempotency.abandon(services().db, claim=claim)


def _record_id() -> str | None:
    """Return the id under which this request's answer is kept, or ``None`` if it has no Idempotency-Key.

    Raises:
        InvalidInput: the key is malformed.
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
    """Return the job's ETag: the number of its last audit entry, in quotes."""
    return f'"{job.audit_seq}"'
