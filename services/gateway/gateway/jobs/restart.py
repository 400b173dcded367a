"""Restarts a job: which params and limits the new job takes over, and which rows of the first job are in its way."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from collect.api.answers import Warning
from collect.api.previews import AnyPreview
from collect.csv.layout import is_upsert
from collect.errors import InvalidInput
from collect.jobs import restarts
from collect.jobs.model import Job, MaxRejected
from collect.storage import jobs
from gateway.http import json_body
from gateway.http.json_body import checked
from gateway.http.uploads import Sent
from gateway.jobs import create
from gateway.jobs.create import Chosen
from gateway.kinds import table
from gateway.kinds.csv_kinds import DEFAULT_MAX_REJECTED
from gateway.schemas.requests import NewJobBody, RestartBody
from gateway.services import services

LIMIT = "max_rejected"
FORM_FIELDS = ("reason", "params", "priority", "confirm", "time_limit_seconds", "max_rows_per_second")
_NUMBERS = ("time_limit_seconds", "max_rows_per_second")
_SINCE = frozenset(FORM_FIELDS) - {"reason", "params"}
"""The fields of a body that an older release does not know."""


def of_form(sent: Sent) -> RestartBody:
    """Return the body of a restart from the fields of a form.

    Raises:
        InvalidInput: a field is invalid, or the params name a file although one was sent.
    """
    given: dict[str, Any] = dict(sent.fields)
    if "params" in given:
        given["params"] = json_body.parse(given["params"])
    for name in _NUMBERS:
        if name in given:
            given[name] = _number(given[name])
    body = checked(RestartBody, given)
    if sent.file is not None and body.params and "file_id" in body.params:
        raise InvalidInput("Either name a file by its id or send it along, not both.", code="two_files")
    return body


def known_before(body: RestartBody) -> dict[str, Any]:
    """Return the body as content for a fingerprint.

    A body without new fields gets the fingerprint that an older release gave it, so that a repeated request is known.
    """
    left_out = _SINCE - body.model_fields_set
    return body.model_dump(exclude=set(left_out))


def chosen(parent: Job, body: RestartBody, sent: Sent | None) -> Chosen:
    """Return the new job: the parent's params with those of ``body`` merged over them, and the parent's present limits.

    Raises:
        InvalidInput: the params are invalid.
        NotFound: the params name a thing that does not exist.
    """
    file = sent.file if sent else None
    given = {**(body.params or {}), **({"file_id": body.file_id} if body.file_id else {})}
    other_file = restarts.reads_other_file(parent.params, given, with_file=file is not None)
    params = restarts.params(parent.params, given, other_file=other_file, detected=parent.detected)
    keeps_limit = LIMIT not in given
    if keeps_limit and LIMIT in table.kind(parent.kind).params.model_fields:
        params = _with_limit(params, parent.max_rejected)
    new = NewJobBody(
        kind=parent.kind,
        params=params,
        reason=body.reason,
        priority=body.priority or parent.priority,
        confirm=body.confirm or parent.confirm,
        time_limit_seconds=_kept(body, "time_limit_seconds", parent.time_limit_seconds),
        max_rows_per_second=_kept(body, "max_rows_per_second", parent.max_rows_per_second),
    )
    made = create.choose(new, sent=file, parent_id=parent.id)
    if keeps_limit:
        made = replace(made, new=replace(made.new, max_rejected=parent.max_rejected))
    if other_file:
        return made
    detected = (*made.new.detected, *(name for name in parent.detected if name not in given))
    return replace(made, new=replace(made.new, detected=detected))


def preview(parent: Job, made: Chosen, sent: Sent | None) -> AnyPreview:
    """Return what the new job would do, with a warning of rows that the parent has written. Keeps a sent file."""
    seen = create.preview(made)
    if sent is not None and sent.file is not None:
        create.keep_file(sent, sent.file)
    return seen.model_copy(update={"warnings": [*_rows_of_parent(parent, made), *seen.warnings]})


def _with_limit(params: dict[str, Any], limit: MaxRejected | None) -> dict[str, Any]:
    """Return the params with ``limit`` as their limit of rejects, if they ask for another."""
    asked = params.get(LIMIT)
    if limit == (DEFAULT_MAX_REJECTED if asked is None else MaxRejected.model_validate(asked)):
        return params
    others = {name: value for name, value in params.items() if name != LIMIT}
    return others if limit is None else {**others, LIMIT: limit.model_dump(exclude_none=True)}


def _kept(body: RestartBody, name: str, of_parent: float | None) -> float | None:
    given: float | None = getattr(body, name)
    return given if name in body.model_fields_set else of_parent


def _number(text: str) -> Any:
    """Return a form's text as a number, or unchanged if it is none: the model then refuses it."""
    try:
        value = json.loads(text, parse_int=float)
    except ValueError:
        return text
    return value if isinstance(value, float) else text


def _rows_of_parent(parent: Job, made: Chosen) -> list[Warning]:
    """Return a warning for the parent, and for each of its own parents, whose rows are still stored."""
    count = table.kind(parent.kind).marked
    if count is None or is_upsert(made.new.params):
        return []
    warnings: list[Warning] = []
    for job in (parent, *jobs.ancestors(services().db, parent)):
        rows = count(services().db, job)
        if rows:
            warnings.append(
                Warning(
                    code="rows_of_parent",
                    message=f"{restarts.rows_are_there(job.id, rows)} Rows with the same keys would be rejected. "
                    f"{restarts.way_out(job, services().clock.now())}",
                    columns=[],
                    evidence={"job_id": job.id, "rows": rows, "unprocessed": restarts.unprocessed_link(job)},
                )
            )
    return warnings
