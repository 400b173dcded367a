"""Jobs: asking for one, finding them, watching one, changing its limits."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, g, request
from flask_openapi3 import APIBlueprint, Tag

from collect.api import jobs as api
from collect.api.answers import Page
from collect.api.previews import AnyPreview
from collect.errors import InvalidInput
from collect.jobs.model import Job
from collect.jobs.states import ENDED, RESTING, State
from collect.storage import jobs
from gateway import answers
from gateway.http import json_body, uploads
from gateway.http.answering import JSON, answer, answering
from gateway.http.auth import caller, needs
from gateway.http.json_body import checked
from gateway.http.uploads import Sent
from gateway.jobs import create as jobs_create
from gateway.kinds import table
from gateway.schemas.pages import page, place
from gateway.schemas.requests import CreateQuery, JobPath, JobQuery, JobsQuery, NewJobBody, PatchBody
from gateway.services import services

AGAIN_SECONDS = 1
"""When to ask again for a job that could not be waited for, or not for as long as was asked."""

blueprint = APIBlueprint("jobs", __name__, url_prefix="/v1/jobs", abp_tags=[Tag(name="jobs")])


@blueprint.post("")
@needs("operator")
@answering({JSON: api.Job}, 202, preview=AnyPreview, creates=True)
def create(query: CreateQuery) -> Response:
    """Create a job.

    Send the job as JSON; or in one call with its file, as multipart with the parts `file` and `job` (the JSON
    without `file_id`).

    `validate_only=true` answers a preview: what the job would do, and what looks like a mistake. What would be
    refused is refused alike. A file that came with a preview is kept, and the answer names it, so that it need not
    be sent again.
    """
    if uploads.is_multipart():
        with uploads.multipart("job") as sent:
            return _create_with_file(query, sent)
    given = request.get_json()
    body = checked(NewJobBody, given)
    if query.validate_only:
        return answer(jobs_create.preview(jobs_create.choose(body)))
    return jobs_create.once(
        jobs_create.fingerprint_of(given), lambda keep: jobs_create.create(jobs_create.choose(body), keep)
    )


def _create_with_file(query: CreateQuery, sent: Sent) -> Response:
    """A preview keeps the file, and names it, so that the job can be started without sending it again."""
    if sent.file is None or "job" not in sent.fields:
        raise InvalidInput("A multipart body has the parts `file` and `job`, the job as JSON.", code="no_job")
    file, given = sent.file, json_body.parse(sent.fields["job"])
    body = checked(NewJobBody, given)
    if "file_id" in body.params:
        raise InvalidInput("Either name a file by its id or send it along, not both.", code="two_files")
    if query.validate_only:
        seen = jobs_create.preview(jobs_create.choose(body, sent=file))
        jobs_create.keep_file(sent, file)
        return answer(seen)
    fingerprint = jobs_create.fingerprint_of({"job": given, "sha256": file.sha256})
    return jobs_create.once(
        fingerprint, lambda keep: jobs_create.create(jobs_create.choose(body, sent=file), keep, sent=sent)
    )


@blueprint.get("")
def find(query: JobsQuery) -> Page[api.Job]:
    """List jobs.

    Newest first. `state` may be given several times, or with commas between its values. `q` is looked for in ids,
    names, datasets and reasons.
    """
    if query.kind is not None:
        table.kind(query.kind)
    filters = jobs.Filters(
        states=query.states,
        kind=query.kind,
        created_by=query.created_by,
        q=query.q,
        since=query.since,
        until=query.until,
    )
    found, following = jobs.page(
        services().db, org_id=caller().org_id, filters=filters, limit=query.limit, before=place(query, str)
    )
    return page(answers.jobs(services().db, found, now=services().clock.now()), following)


@blueprint.get("/<job_id>")
@answering({JSON: api.Job}, waits=True)
def show(path: JobPath, query: JobQuery) -> Response:
    """Show a job.

    With `wait_for`, the answer comes as soon as the job is in that state, or after `timeout_seconds` with the job
    as it is then.

    It comes earlier, with `Retry-After`, when `timeout_seconds` is longer than one request may wait (60 s, unless
    set otherwise), and when too many requests wait. It comes at once, without `Retry-After`, when the job has ended
    in another state.
    """
    job = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    if query.wait_for is not None:
        job = waited(job, reached(query.wait_for), query.timeout_seconds)
    return answered(job, status=200)


@blueprint.patch("/<job_id>")
@needs("operator")
@answering({JSON: api.Job})
def patch(path: JobPath, body: PatchBody) -> Response:
    """Change a job's limits.

    In effect within a chunk. Only what is given changes.
    """
    changes = body.model_dump(exclude_unset=True)
    job = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    if changes:
        job = jobs.patch(services().db, org_id=caller().org_id, job_id=path.job_id, changes=changes)
        services().sender.poke(job.kind, job.id)
    return answered(job, status=200)


def answered(job: Job, *, status: int) -> Response:
    """A job as a response, with its ETag."""
    response = answer(answers.job(services().db, job, now=services().clock.now()), status=status)
    response.headers["ETag"] = jobs_create.etag(job)
    if g.get("ask_again"):
        response.headers["Retry-After"] = str(AGAIN_SECONDS)
    return response


def waited(job: Job, until_: Callable[[Job], bool], seconds: float) -> Job:
    """The job once ``until_`` holds, or as it is after ``seconds``, of which the settings allow so many.

    A gateway that has been asked to end answers at once, rather than leaving the caller without an answer. So does one
    in which as many wait as may, since others have to get through. Whoever gets neither the state nor all of the time
    is told when to ask again. A job that has ended is not waited for, nor need anybody ask again: it stays as it is
    unless somebody acts.
    """
    most, closing = min(seconds, services().settings.max_wait_seconds), services().closing
    with services().polls.waiting() as room:
        found = jobs.wait(
            services().db,
            org_id=job.org_id,
            job_id=job.id,
            until=lambda now: closing.is_set() or until_(now) or now.state in ENDED,
            seconds=most if room else 0.0,
        )
    early = not room or closing.is_set() or most < seconds
    g.ask_again = early and not until_(found) and found.state not in ENDED
    return found


def reached(name: str) -> Callable[[Job], bool]:
    """``final`` (failed jobs too), ``rest``, or a state by name."""
    match name:
        case "final":
            return lambda job: job.state in ENDED
        case "rest":
            return lambda job: job.state in RESTING
        case _:
            return lambda job: job.state is State(name)
