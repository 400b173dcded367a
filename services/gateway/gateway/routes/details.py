"""What there is to know of one job: its audit, parts, rejects, conflicts, and the rows that it never reached."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from collect.api import jobs as api
from collect.api.answers import Page
from collect.errors import Conflict
from collect.jobs.model import Job
from collect.jobs.restarts import LEFT_ROWS
from collect.storage import audit as audit_log
from collect.storage import jobs, ledger, parts, rejects
from gateway import answers
from gateway.http.answering import CSV, JSON, answering
from gateway.http.auth import caller
from gateway.http.downloads import csv_download
from gateway.jobs import csv_downloads, reject_summary
from gateway.schemas.pages import PageQuery, cursor, one_of_all, page, place
from gateway.schemas.requests import JobPath, RejectsQuery, UnprocessedQuery
from gateway.services import services

blueprint = APIBlueprint("details", __name__, url_prefix="/v1/jobs/<job_id>", abp_tags=[Tag(name="jobs")])


@blueprint.get("/audit")
def audit(path: JobPath, query: PageQuery) -> Page[api.AuditEntry]:
    """List a job's moves.

    Each with its number, who asked for it, why, and when it was in effect.
    """
    job = _job(path)
    entries, following = audit_log.page(
        services().db, org_id=job.org_id, job_id=job.id, limit=query.limit, after=place(query, int) or 0
    )
    return page([api.AuditEntry.model_validate(entry) for entry in entries], following)


@blueprint.get("/parts")
def show_parts(path: JobPath, query: PageQuery) -> Page[api.Part]:
    """List a job's parts.

    The ranges that workers run one by one.
    """
    job = _job(path)
    shown, following = one_of_all(query, parts.of_job(services().db, job_id=job.id), int, lambda part: part.n)
    return page([answers.part(part) for part in shown], following)


@blueprint.get("/rejects")
@answering({JSON: api.RejectsSummary | api.RejectsPage, CSV: None})
def show_rejects(path: JobPath, query: RejectsQuery) -> Response | api.RejectsSummary | api.RejectsPage:
    """List rejected rows.

    Rows that were not written, and why. As CSV they have their own columns, ready to be corrected and sent again.

    All `rejected` rows are counted; of very many only the first that were found are `stored`. `summary` gives what
    is wrong by column and code with the distinct values, as the start of a `value_map` for corrections; as CSV it
    has a column `replacement` to fill in.
    """
    job = _job(path)
    if query.summary:
        return _summary(job, query)
    if query.format == "csv":
        lines = csv_downloads.rejects(services().db, services().blobs, job)
        return csv_download(lines, name=f"rejects-{job.id}.csv")
    stored, following = rejects.page(
        services().db, org_id=job.org_id, job_id=job.id, limit=query.limit, after=place(query, int) or 0
    )
    return api.RejectsPage(
        items=[answers.reject(reject, job) for reject in stored],
        next_cursor=cursor(following),
        rejected=parts.counted(services().db, job_ids=[job.id])[job.id].rejected,
        stored=rejects.count(services().db, job_id=job.id),
    )


def _summary(job: Job, query: RejectsQuery) -> Response | api.RejectsSummary:
    summary = reject_summary.summary(services().db, job)
    if query.format == "csv":
        return csv_download(reject_summary.table(summary), name=f"values-{job.id}.csv")
    return summary


@blueprint.get("/unprocessed")
@answering({CSV: None})
def unprocessed(path: JobPath, query: UnprocessedQuery) -> Response:
    """Download the rows that were not reached.

    Of a stopped, failed or paused job, as it would have read them. Of a file that cannot be read to its end, the
    rows before that place.
    """
    job = _job(path)
    if job.state not in LEFT_ROWS:
        raise Conflict(
            f"A job that is {job.state.value} has no unprocessed rows to give; a stopped, failed or paused one has.",
            code="no_unprocessed_rows",
        )
    lines = csv_downloads.unprocessed(services().db, services().blobs, job)
    return csv_download(lines, name=f"unprocessed-{job.id}.csv")


@blueprint.get("/conflicts")
def conflicts(path: JobPath, query: PageQuery) -> Page[api.Conflict]:
    """List conflicts.

    What undo left alone, and why.
    """
    job = _job(path)
    listed, following = ledger.conflicts(
        services().db, org_id=job.org_id, job_id=job.id, limit=query.limit, skip=place(query, int) or 0
    )
    return page([api.Conflict.model_validate(conflict) for conflict in listed], following)


def _job(path: JobPath) -> Job:
    return jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
