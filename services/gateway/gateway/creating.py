"""From a request to a job: its params checked, its file found, its answer kept for a request that comes again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, g, jsonify, request
from pydantic import ValidationError

from collect.errors import FieldError, InvalidInput
from collect.jobs.model import Job
from collect.observability import traces
from collect.storage import creation, datasets, idempotency, jobs, locks
from collect.storage.creation import NewJob
from collect.storage.database import Transaction, transact
from collect.storage.idempotency import Answer
from gateway import kinds, views
from gateway.auth import caller
from gateway.kinds import UploadParams
from gateway.models import NewJobBody, until
from gateway.services import services

MAX_KEY_CHARACTERS = 255


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A job that has been asked for and is right in itself."""

    body: NewJobBody
    params: UploadParams
    new: NewJob


def wanted(body: NewJobBody, *, parent_id: str | None = None) -> Wanted:
    """Check everything that can be checked without beginning.

    Raises:
        InvalidInput: the kind or its params are not right.
        NotFound: the file, the dataset or the job to be superseded is not there.
    """
    found = kinds.kind(body.kind)
    params = checked_params(found.params, body.params)
    org_id = caller().org_id
    db = services().db
    file = kinds.input_file(db, org_id=org_id, file_id=params.file_id)
    datasets.get(db, org_id=org_id, name=params.dataset)
    if params.supersedes is not None:
        jobs.get(db, org_id=org_id, job_id=params.supersedes)
    new = NewJob(
        org_id=org_id,
        kind=found.name,
        params=params.model_dump(exclude_unset=True) | {"mode": params.mode},
        actor=caller().actor,
        reason=body.reason,
        requested_at=g.requested_at,
        request_id=g.request_id,
        priority=body.priority,
        lock=found.lock(org_id, params),
        on_conflict=params.on_conflict,
        supersedes=params.supersedes,
        confirm=body.confirm == "always",
        start_at=until(body.start_at),
        time_limit_seconds=body.time_limit_seconds,
        max_rows_per_second=body.max_rows_per_second,
        max_rejected=params.reject_limit(),
        file=file.ref,
        parent_id=parent_id,
        traceparent=traces.current_traceparent(),
    )
    return Wanted(body=body, params=params, new=new)


def checked_params(model: type[UploadParams], given: dict[str, Any]) -> UploadParams:
    """``params`` as the kind's model; its errors name them as ``params.…``."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = [
            FieldError(".".join(["params", *(str(step) for step in one["loc"])]), one["type"], one["msg"])
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        names = ", ".join(sorted({one.field for one in found}))
        raise InvalidInput(f"These are not as they must be: {names}.", errors=found) from error


def preview(chosen: Wanted) -> dict[str, Any]:
    """What the job would do."""
    found = kinds.kind(chosen.body.kind)
    file = kinds.input_file(services().db, org_id=caller().org_id, file_id=chosen.params.file_id)
    return found.preview(services().db, services().blobs, caller().org_id, chosen.params, file)


def create(new: NewJob, *, fingerprint: str) -> Response:
    """Make the job, once for each idempotency key; publish what it left; answer 202."""
    record = record_id()
    kept = idempotency.begin(services().db, record_id=record, fingerprint=fingerprint) if record else None
    if kept is not None:
        return replayed(kept)

    def work(tx: Transaction) -> tuple[Job, Answer]:
        job = creation.create(tx, new)
        line = locks.queue(tx, job.lock) if job.lock else []
        waiting = line[0] if line and line[0] != job.id else None
        body = views.rendered(job, [], now=services().clock.now(), waiting_for=waiting)
        answer = Answer(status=202, body=body, headers={"Location": f"/v1/jobs/{job.id}", "ETag": etag(job)})
        if record:
            idempotency.complete(tx.db, record_id=record, answer=answer, tx=tx)
        return job, answer

    with released_on_failure(record):
        committed = transact(services().db, work, job_id=new.supersedes)
    job, answer = committed.value
    services().sender.send(committed.outbox)
    if new.on_conflict == "supersede":
        _poke_superseded(job)
    return responded(answer)


def _poke_superseded(job: Job) -> None:
    """Whoever works on what was superseded may hear of it now."""
    line = services().db.locks.find_one({"_id": job.lock}) or {"queue": []}
    for other in line["queue"]:
        if other != job.id:
            services().sender.poke(job.kind, other)


def record_id() -> str | None:
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


def fingerprint_of(content: Any) -> str:
    """What makes two requests equal: method, path, query, and what they carry."""
    text = json.dumps(content, sort_keys=True, default=str)
    whole = "\n".join((request.method, request.full_path, text))
    return hashlib.sha256(whole.encode()).hexdigest()


class released_on_failure:  # noqa: N801 - used as a word: `with released_on_failure(record):`
    """Only answers that are 2xx are kept: after a failure the key is free again."""

    def __init__(self, record: str | None) -> None:
        self._record = record

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._record is not None and issubclass(kind, Exception):
            idempotency.abandon(services().db, record_id=self._record)


def once(fingerprint: str, do: Callable[[], Answer], *, secret: str | None = None) -> Response:
    """Do something that creates, once for each idempotency key. A field ``secret`` of the answer is shown, not kept."""
    record = record_id()
    kept = idempotency.begin(services().db, record_id=record, fingerprint=fingerprint) if record else None
    if kept is not None:
        return replayed(kept)
    with released_on_failure(record):
        answer = do()
    if record:
        remembered = replace(answer, body={**answer.body, secret: None}) if secret else answer
        idempotency.complete(services().db, record_id=record, answer=remembered)
    return responded(answer)


def replayed(answer: Answer) -> Response:
    """The first answer, once more."""
    response = responded(answer)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def responded(answer: Answer) -> Response:
    """An answer as a response."""
    response = jsonify(answer.body)
    response.status_code = answer.status
    response.headers.update(answer.headers)
    return response


def etag(job: Job) -> str:
    """The number of the job's last audit entry."""
    return f'"{job.audit_seq}"'
