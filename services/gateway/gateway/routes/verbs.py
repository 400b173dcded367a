"""The verbs. Each is in effect when it is answered: from then on nothing of the job is written that it forbids."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, g, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from collect.errors import InvalidInput
from collect.jobs.model import MaxRejected
from collect.jobs.states import RESTARTABLE, RESTING, Verb
from collect.observability import metrics
from collect.storage import jobs, transitions, verbs
from collect.storage.verbs import Options, Request
from gateway import bodies, creating, undo_preview
from gateway.auth import caller, needs
from gateway.models import (
    JobPath,
    NewJobBody,
    PauseBody,
    RestartBody,
    ResumeBody,
    UndoQuery,
    VerbBody,
    VerbQuery,
    until,
)
from gateway.routes.files import received
from gateway.routes.jobs import answered, waited
from gateway.services import services

NEVER = -1
_TAG = re.compile(r'(W/)?"((?P<seq>[0-9]{1,15})|[^"]*)"')

blueprint = APIBlueprint("verbs", __name__, url_prefix="/v1/jobs/<job_id>", abp_tags=[Tag(name="control")])


@blueprint.post("/pause")
@needs("operator")
def pause(path: JobPath, query: VerbQuery, body: PauseBody) -> Response:
    """Nothing more is written until it is resumed, by somebody or by `until`."""
    return _perform(path, query, body, Verb.PAUSE, Options(until=until(body.until)))


@blueprint.post("/resume")
@needs("operator")
def resume(path: JobPath, query: VerbQuery, body: ResumeBody) -> Response:
    """It goes on from where it was."""
    limit = MaxRejected.model_validate(body.max_rejected.model_dump()) if body.max_rejected else None
    return _perform(path, query, body, Verb.RESUME, Options(max_rejected=limit))


@blueprint.post("/stop")
@needs("operator")
def stop(path: JobPath, query: VerbQuery, body: VerbBody) -> Response:
    """It ends here, and what it has written stays."""
    return _perform(path, query, body, Verb.STOP)


@blueprint.post("/confirm")
@needs("operator")
def confirm(path: JobPath, query: VerbQuery, body: VerbBody) -> Response:
    """It may run."""
    return _perform(path, query, body, Verb.CONFIRM)


@blueprint.post("/terminate")
@needs("operator")
def terminate(path: JobPath, query: UndoQuery, body: VerbBody) -> Response:
    """It ends here, and everything that it has written is taken back."""
    if query.validate_only:
        return _would_undo(path, Verb.TERMINATE)
    return _perform(path, query, body, Verb.TERMINATE)


@blueprint.post("/undo")
@needs("operator")
def undo(path: JobPath, query: UndoQuery, body: VerbBody) -> Response:
    """Everything that a job at rest has written is taken back."""
    if query.validate_only:
        return _would_undo(path, Verb.UNDO)
    return _perform(path, query, body, Verb.UNDO)


@blueprint.post("/restart")
@needs("operator")
def restart(path: JobPath, query: VerbQuery) -> Response:
    """A new job like this one, or with other params, or (`file_id`, or multipart with `file`) another file."""
    body = _restart_body()
    parent = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    if parent.state not in RESTARTABLE:
        raise transitions.illegal(parent, Verb.RESTART.value)
    inherited = {name: value for name, value in parent.params.items() if name not in {"on_conflict", "supersedes"}}
    params: dict[str, Any] = {**inherited, **(body.params or {})}
    if body.file_id is not None:
        params["file_id"] = body.file_id
    new = NewJobBody(kind=parent.kind, params=params, reason=body.reason, priority=parent.priority)
    chosen = creating.wanted(new, parent_id=parent.id)
    return creating.create(chosen.new, fingerprint=creating.fingerprint_of(body.model_dump()))


def _perform(path: JobPath, query: VerbQuery, body: VerbBody, verb: Verb, options: Options | None = None) -> Response:
    asked = Request(
        actor=caller().actor,
        reason=body.reason,
        requested_at=g.requested_at,
        request_id=g.request_id,
        if_match=_if_match(),
    )
    outcome = verbs.perform(
        services().db, org_id=caller().org_id, job_id=path.job_id, verb=verb, request=asked, options=options
    )
    job = outcome.job
    if not outcome.repeated:
        services().sender.send(outcome.outbox)
        services().sender.poke(job.kind, job.id)
        if job.last_action is not None and job.last_action.latency_ms is not None:
            metrics.VERB_SECONDS.labels(kind=job.kind, verb=verb.value).observe(job.last_action.latency_ms / 1000)
    if query.wait_seconds:
        job = waited(job, lambda now: now.state in RESTING, query.wait_seconds)
    return answered(job, status=202)


def _would_undo(path: JobPath, verb: Verb) -> Response:
    job = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    if verb not in job.allowed_verbs(services().clock.now()):
        raise transitions.illegal(job, verb.value)
    return jsonify(undo_preview.would_undo(services().db, job))


def _if_match() -> int | None:
    """The audit number that the caller has seen; one that no job has, when it is another server's tag.

    Raises:
        InvalidInput: malformed.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    tag = _TAG.fullmatch(header.strip())
    if tag is None:
        raise InvalidInput("If-Match is the ETag of a job.", code="bad_etag", malformed=True)
    return int(tag["seq"]) if tag["seq"] else NEVER


def _restart_body() -> RestartBody:
    if request.mimetype != "multipart/form-data":
        return RestartBody.model_validate(request.get_json())
    form = request.form
    given: dict[str, Any] = {name: form[name] for name in form if name != "params"}
    if "params" in form:
        given["params"] = bodies.parse(form["params"])
    body = RestartBody.model_validate(given)
    if "file" not in request.files:
        return body
    if body.file_id is not None:
        raise InvalidInput("Either name a file by its id or send it along, not both.", code="two_files")
    return body.model_copy(update={"file_id": received(None).id})
