"""The verbs. Each is in effect when it is answered: from then on nothing of the job is written that it forbids."""

from __future__ import annotations

from datetime import datetime

from flask import Response, g, request
from flask_openapi3 import APIBlueprint, Tag

from collect.api import jobs as api
from collect.api.previews import AnyPreview
from collect.errors import NotFound
from collect.jobs.model import Job, MaxRejected
from collect.jobs.states import RESTARTABLE, RESTING, State, Verb
from collect.observability import metrics
from collect.protocol import transitions, verbs
from collect.protocol.verbs import Options, Request
from collect.storage import jobs
from gateway.http import uploads
from gateway.http.answering import JSON, answer, answering
from gateway.http.auth import caller, needs
from gateway.http.json_body import checked
from gateway.http.preconditions import check_unmoved, if_match
from gateway.http.uploads import Sent
from gateway.jobs import create, undo_preview
from gateway.jobs import restart as jobs_restart
from gateway.jobs.create import Keep
from gateway.routes.jobs import answered, waited
from gateway.schemas.requests import (
    JobPath,
    PauseBody,
    RestartBody,
    RestartQuery,
    ResumeBody,
    UndoQuery,
    VerbBody,
    VerbQuery,
    until,
)
from gateway.schemas.times import check_ahead
from gateway.services import services

blueprint = APIBlueprint("verbs", __name__, url_prefix="/v1/jobs/<job_id>", abp_tags=[Tag(name="control")])


@blueprint.post("/pause")
@needs("operator")
@answering({JSON: api.Job}, 202, conditional=True, waits=True)
def pause(path: JobPath, query: VerbQuery, body: PauseBody) -> Response:
    """Pause a job.

    In effect when it is answered: nothing more is written until the job is resumed, by a person or at `until`.
    """
    at = until(body.until)
    if not _is_paused_until(path, at):
        check_ahead(at, field="until", now=g.requested_at)
    return _perform(path, query, body, Verb.PAUSE, Options(until=at))


def _is_paused_until(path: JobPath, at: datetime | None) -> bool:
    """Whether the job is paused until just then. The same pause again is answered alike, even after that time."""
    try:
        job = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    except NotFound:
        return False
    return job.state is State.PAUSED and job.until == at


@blueprint.post("/resume")
@needs("operator")
@answering({JSON: api.Job}, 202, conditional=True, waits=True)
def resume(path: JobPath, query: VerbQuery, body: ResumeBody) -> Response:
    """Resume a job.

    The job goes on from where it was. Rejected rows are counted anew from here; `max_rejected` sets another limit
    for them.
    """
    limit = MaxRejected.model_validate(body.max_rejected.model_dump()) if body.max_rejected else None
    return _perform(path, query, body, Verb.RESUME, Options(max_rejected=limit))


@blueprint.post("/stop")
@needs("operator")
@answering({JSON: api.Job}, 202, conditional=True, waits=True)
def stop(path: JobPath, query: VerbQuery, body: VerbBody) -> Response:
    """Stop a job.

    In effect when it is answered: the job ends, and what it has written stays.
    """
    return _perform(path, query, body, Verb.STOP)


@blueprint.post("/confirm")
@needs("operator")
@answering({JSON: api.Job}, 202, conditional=True, waits=True)
def confirm(path: JobPath, query: VerbQuery, body: VerbBody) -> Response:
    """Confirm a job.

    A job that waits for confirmation starts.
    """
    return _perform(path, query, body, Verb.CONFIRM)


@blueprint.post("/terminate")
@needs("operator")
@answering({JSON: api.Job}, 202, preview=api.UndoPreview, conditional=True, waits=True)
def terminate(path: JobPath, query: UndoQuery, body: VerbBody) -> Response:
    """Terminate a job.

    In effect when it is answered: nothing more is written, and what the job has written is taken back.

    `validate_only=true` answers what would be taken back.
    """
    if query.validate_only:
        return _would_undo(path, Verb.TERMINATE)
    return _perform(path, query, body, Verb.TERMINATE)


@blueprint.post("/undo")
@needs("operator")
@answering({JSON: api.Job}, 202, preview=api.UndoPreview, conditional=True, waits=True)
def undo(path: JobPath, query: UndoQuery, body: VerbBody) -> Response:
    """Undo a job.

    Everything that a job at rest has written is taken back. What others have changed since is left alone and listed
    as a conflict.

    `validate_only=true` answers what would be taken back.
    """
    if query.validate_only:
        return _would_undo(path, Verb.UNDO)
    return _perform(path, query, body, Verb.UNDO)


@blueprint.post("/restart")
@needs("operator")
@answering({JSON: api.Job}, 202, preview=AnyPreview, creates=True, conditional=True, waits=True)
def restart(path: JobPath, query: RestartQuery) -> Response:
    """Restart a job.

    Create a new job like this one. `params` are merged over its own; `file_id`, or a multipart body with the part
    `file`, gives another file. The new job has the speed, limit of rejects, priority, time limit and rule of
    confirmation that this one had last.

    `validate_only=true` answers a preview. Its warning `rows_of_parent` tells of rows that this job has written.
    """
    if not uploads.is_multipart():
        body = checked(RestartBody, request.get_json())
        return _restart(path, query, body, create.fingerprint_of(jobs_restart.known_before(body)))
    with uploads.multipart(*jobs_restart.FORM_FIELDS) as sent:
        body = jobs_restart.of_form(sent)
        given = {**sent.fields, "sha256": sent.file.sha256 if sent.file else None}
        return _restart(path, query, body, create.fingerprint_of(given), sent)


def _restart(
    path: JobPath, query: RestartQuery, body: RestartBody, fingerprint: str, sent: Sent | None = None
) -> Response:
    made: list[Job] = []
    if query.validate_only:
        parent = _restartable(path)
        return answer(jobs_restart.preview(parent, jobs_restart.chosen(parent, body, sent), sent))

    def do(keep: Keep) -> None:
        parent = _restartable(path)
        made.append(create.create(jobs_restart.chosen(parent, body, sent), keep, sent=sent))

    created = create.once(fingerprint, do)
    if not query.wait_seconds or not made:
        return created
    rested = answered(waited(made[0], rests, query.wait_seconds), status=202)
    rested.headers["Location"] = created.headers["Location"]
    return rested


def _restartable(path: JobPath) -> Job:
    parent = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    check_unmoved(parent)
    if parent.state not in RESTARTABLE:
        raise transitions.illegal(parent, Verb.RESTART.value)
    return parent


def _perform(path: JobPath, query: VerbQuery, body: VerbBody, verb: Verb, options: Options | None = None) -> Response:
    asked = Request(
        actor=caller().actor,
        reason=body.reason,
        requested_at=g.requested_at,
        request_id=g.request_id,
        if_match=if_match(),
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
        job = waited(job, rests, query.wait_seconds)
    return answered(job, status=202)


def _would_undo(path: JobPath, verb: Verb) -> Response:
    """Refused as the verb itself is, but for a dataset that another job holds, which is told."""
    job = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    check_unmoved(job)
    repeats = verbs.repeats(job, verb)
    if not repeats:
        verbs.check(job, verb)
    return answer(undo_preview.preview(services().db, job, None if repeats else verb))


def rests(job: Job) -> bool:
    """Nothing runs and nothing will until somebody asks."""
    return job.state in RESTING
