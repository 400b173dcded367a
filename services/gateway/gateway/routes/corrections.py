"""Corrections: rejected rows that are corrected in the same job, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, g, request
from flask_openapi3 import APIBlueprint, Tag
from pymongo.errors import PyMongoError

from collect.api import jobs as api
from collect.api.answers import Page
from collect.csv import corrections
from collect.csv.cells import CellRules
from collect.errors import FieldError, InvalidInput, Transient
from collect.jobs.model import Job
from collect.jobs.states import Verb
from collect.observability import metrics
from collect.protocol import corrections as history
from collect.protocol import transitions, verbs
from collect.protocol.verbs import Options, Outcome, Request
from collect.storage import jobs, parts
from collect.storage.database import Transaction, now
from collect.storage.idempotency import Answer
from gateway import answers
from gateway.http import json_body, uploads
from gateway.http.answering import CSV, JSON, answer, answering
from gateway.http.auth import caller, needs
from gateway.http.json_body import checked
from gateway.http.preconditions import check_unmoved, if_match
from gateway.http.uploads import Sent
from gateway.jobs import correct as jobs_correct
from gateway.jobs import correction_preview, create
from gateway.jobs.correct import Wanted
from gateway.jobs.create import Keep, etag
from gateway.jobs.sheet_lines import SheetLines
from gateway.routes.jobs import answered, waited
from gateway.routes.verbs import rests
from gateway.schemas.pages import page, place_of_two, two
from gateway.schemas.requests import (
    CorrectedCells,
    CorrectionsBody,
    CorrectionsForm,
    CorrectionsQuery,
    CorrectQuery,
    JobPath,
)
from gateway.services import services

FILE_NAME = "corrections.csv"

blueprint = APIBlueprint("corrections", __name__, url_prefix="/v1/jobs/<job_id>", abp_tags=[Tag(name="control")])


@blueprint.post("/corrections")
@needs("operator")
@answering({JSON: api.Job}, 202, preview=api.CorrectionPreview, creates=True, conditional=True, waits=True)
def correct(path: JobPath, query: CorrectQuery) -> Response:
    """Correct rejected rows.

    The rows run once more in the same job. Send them as JSON, or as the CSV that `rejects` gives.

    In JSON `values` has the columns that change, by the names of the dataset; `value_map` corrects every stored
    reject that has one of its values in a column that is wrong. In the CSV (the body itself, or the part `file` of
    a multipart one) the column `row` says which row each line is; `code`, `field` and `message` are passed over,
    and columns that are missing stay as they are; `encoding` and `delimiter` are those of its text. All rows are
    taken, or none.

    A row that would get another key, though its key was not what was wrong, is 409 unless `change_keys` is true.
    """
    if uploads.is_multipart():
        with uploads.multipart(*CorrectionsForm.model_fields, most_bytes=jobs_correct.MAX_BYTES) as sent:
            return _from_file(path, query, sent, checked(CorrectionsForm, _of_form(sent.fields)))
    if request.mimetype == CSV:
        with uploads.raw(FILE_NAME, most_bytes=jobs_correct.MAX_BYTES) as sent:
            return _from_file(path, query, sent, _of_query(query))
    body = checked(CorrectionsBody, request.get_json())
    fingerprint = create.fingerprint_of(body.model_dump(include={"reason", "rows"} | body.model_fields_set))
    return _answer(path, query, fingerprint, body.reason, _of_json(body))


def _of_form(fields: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a form; lists and maps are JSON, and one format of dates may stand by itself."""
    given: dict[str, Any] = dict(fields)
    if "value_map" in given:
        given["value_map"] = json_body.parse(given["value_map"])
    if (formats := given.get("date_formats")) is not None:
        listed = (
            json_body.parse(f'{{"date_formats": {formats}}}')
            if formats.startswith("[")
            else {"date_formats": [formats]}
        )
        given |= listed
    return given


def _of_query(query: CorrectQuery) -> CorrectionsForm:
    """The same fields, from a query."""
    given = query.model_dump(exclude_unset=True)
    return checked(CorrectionsForm, {name: given[name] for name in given.keys() & CorrectionsForm.model_fields.keys()})


def _rules(given: CorrectedCells) -> CellRules | None:
    """How cells are written, if that is said."""
    if not (given.trim or given.decimal or given.date_formats):
        return None
    return CellRules.of(given.model_dump(include={"trim", "decimal", "date_formats"}))


def _of_json(body: CorrectionsBody) -> Wanted:
    """What a body asks for.

    Raises:
        InvalidInput: for nothing.
    """
    if body.rows is None and body.value_map is None:
        said = "Give the rows to correct, or a value_map."
        raise InvalidInput(said, errors=[FieldError("rows", "missing", said)])
    rows = [(one.row, one.values) for one in body.rows or ()]
    return Wanted(
        read=(lambda sheet, _: corrections.from_values(rows, sheet)) if rows else None,
        cells=_rules(body),
        value_map=body.value_map or {},
        changes_keys=body.change_keys,
    )


@blueprint.get("/corrections")
def show_corrections(path: JobPath, query: CorrectionsQuery) -> Page[api.CorrectedRow]:
    """List corrections.

    Every revision of a row that was rejected and corrected since, by row, with its outcome. A row that is still
    rejected is listed in `rejects`, with its present revision.
    """
    job = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    revisions, following = history.page(
        services().db, org_id=job.org_id, job_id=job.id, limit=query.limit, row=query.row, after=place_of_two(query)
    )
    shown = [api.CorrectedRow.model_validate(revision) for revision in revisions]
    return page(shown, None if following is None else two(following))


def _from_file(path: JobPath, query: CorrectQuery, sent: Sent, said: CorrectionsForm) -> Response:
    file = sent.file
    if file is None:
        raise InvalidInput("A multipart body has the part `file`: the corrected rows as CSV.", code="no_file")
    given = said.model_dump(
        include={"reason", "encoding"} | said.model_fields_set & CorrectionsForm.model_fields.keys()
    )
    fingerprint = create.fingerprint_of({**given, "sha256": file.sha256})
    lines = SheetLines()

    def read(sheet: corrections.Sheet, template: Any) -> list[corrections.Given]:
        return corrections.from_csv(
            services().blobs, file.blob, sheet=sheet, template=template, encoding=said.encoding,
            delimiter=said.delimiter, has_header=said.has_header, skip_lines=said.skip_lines,
            keeps_blanks=said.blank == "keep", most_bytes=jobs_correct.MAX_BYTES, look=lines.look,
        )  # fmt: skip

    wanted = Wanted(
        read=read, cells=_rules(said), value_map=said.value_map or {}, changes_keys=said.change_keys, lines=lines
    )
    return _answer(path, query, fingerprint, said.reason, wanted)


def _answer(path: JobPath, query: CorrectQuery, fingerprint: str, reason: str, wanted: Wanted) -> Response:
    if not query.validate_only:
        return _correct(path, query, fingerprint, reason, wanted)
    job = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
    check_unmoved(job)
    verbs.check(job, Verb.CORRECT)
    return answer(correction_preview.preview(job, wanted))


def _correct(path: JobPath, query: CorrectQuery, fingerprint: str, reason: str, wanted: Wanted) -> Response:
    made: list[Job] = []

    def do(keep: Keep) -> None:
        job = jobs.get(services().db, org_id=caller().org_id, job_id=path.job_id)
        check_unmoved(job)
        verbs.check(job, Verb.CORRECT)
        outcome = _perform(job, reason, wanted, keep)
        made.append(outcome.job)
        services().sender.send(outcome.outbox)
        if outcome.job.last_action is not None and outcome.job.last_action.latency_ms is not None:
            seconds = outcome.job.last_action.latency_ms / 1000
            metrics.VERB_SECONDS.labels(kind=job.kind, verb=Verb.CORRECT.value).observe(seconds)

    created = create.once(fingerprint, do)
    if query.wait_seconds and made:
        return answered(waited(made[0], rests, query.wait_seconds), status=202)
    return created


def _perform(job: Job, reason: str, wanted: Wanted, keep: Keep) -> Outcome:
    asked = Request(
        actor=caller().actor,
        reason=reason,
        requested_at=g.requested_at,
        request_id=g.request_id,
        if_match=if_match(),
    )
    counts = parts.counted(services().db, job_ids=[job.id])[job.id]

    def along(tx: Transaction, corrected: Job) -> None:
        at = now()
        shown = answers.of_values(
            transitions.noted(corrected, at=at), counts, now=at, waiting_for=None, blank_rows=counts.blank_rows
        )
        keep(tx, Answer(status=202, body=shown.body(), headers={"ETag": etag(corrected)}))

    corrected = jobs_correct.prepare(job, wanted)
    try:
        return verbs.perform(
            services().db, org_id=job.org_id, job_id=job.id, verb=Verb.CORRECT, request=asked,
            options=Options(corrected=corrected), along=along,
        )  # fmt: skip
    except (Transient, PyMongoError):  # it may have begun after all, and then needs its rows
        raise
    except Exception:  # whatever it was passes on
        jobs_correct.discard(job, corrected)
        raise
