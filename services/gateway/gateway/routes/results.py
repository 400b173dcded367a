"""Results of exports: the file itself, whole or in part, and what is in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from collect.api.jobs import Manifest
from collect.errors import Conflict, Gone, NotFound
from collect.jobs.model import Job
from collect.storage import jobs
from collect.storage import results as result_store
from gateway import answers
from gateway.http.answering import in_ranges
from gateway.http.auth import caller
from gateway.http.downloads import partial
from gateway.jobs import partial_result
from gateway.schemas import names
from gateway.schemas.requests import JobPath, ResultQuery
from gateway.services import services

blueprint = APIBlueprint("results", __name__, url_prefix="/v1/jobs/<job_id>", abp_tags=[Tag(name="jobs")])

EXPIRED = "result_expired"


@blueprint.get("/result")
@in_ranges
def result(path: JobPath, query: ResultQuery) -> Response:
    """Download an export.

    The file, whole or a range of it (`Range`). `part` gives what one part of the job has written.

    A stopped export gives what it had written. Its file is made on the first request and then stays the same; until
    it is made the answer is 503 `result_pending`. A stopped parquet export has no joined file: ask for its parts.
    """
    job = _made(path)
    made = job.result or {}
    if result_store.is_expired(made, services().clock.now()):
        raise Gone("The result was kept for its time, which is over. The manifest is there still.", code=EXPIRED)
    if query.part is not None:
        return _part(job, query.part)
    if made["sha256"] is None:
        raise Conflict(
            f"A {made['format']} file that is not complete cannot be joined; ask for its parts, `?part=n`.",
            code="no_joined_result",
        )
    return _answer(made["objects"], size=made["bytes"], sha256=made["sha256"], name=names.of_result(job))


@blueprint.get("/manifest")
def manifest(path: JobPath) -> Manifest:
    """Show what an export has written.

    Rows, bytes and checksums, part by part. It stays when the result has expired.
    """
    return answers.manifest(_made(path), now=services().clock.now())


def _made(path: JobPath) -> Job:
    job = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    return partial_result.made(services().db, services().blobs, job)


def _part(job: Job, n: int) -> Response:
    found = next((part for part in (job.result or {})["parts"] if part["n"] == n), None)
    if found is None:
        raise NotFound(f"The result has no part {n}.")
    objects = result_store.objects_of_part(services().db, job, n)
    return _answer(objects, size=found["bytes"], sha256=found["sha256"], name=names.of_part(job, n))


def _answer(objects: Iterable[Mapping[str, Any]], *, size: int, sha256: str, name: str) -> Response:
    blobs = services().blobs
    return partial(
        size=size, read=lambda start, end: result_store.read(blobs, objects, start, end), name=name, sha256=sha256
    )
