"""From rows that somebody has mended to a correction: their text, as an input of its own, and where it is read."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from collect.csv import mending
from collect.csv.mending import Given, Sheet
from collect.csv.reading import Source, cursor
from collect.errors import Conflict
from collect.jobs.model import Job
from collect.jobs.template import Template
from collect.storage import corrections, parts, rejects
from collect.storage.corrections import Mended
from gateway import csv_files
from gateway.services import services

MAX_BYTES = 32 * 1024 * 1024
"""Of a CSV of mended rows, and of their lines together: they are put together in memory."""

Read = Callable[[Sheet, Template], Sequence[Given]]
"""Says which rows are to be corrected, once it is known what the file's columns are called."""


def prepare(job: Job, read: Read) -> Mended:
    """Put the rows together and store their text, which nobody finds until the correction has begun.

    Raises:
        InvalidInput: what was sent is not right in itself.
        Conflict: it does not fit to the job as it is.
        TooLarge: the rows are too much to be put together.
    """
    db, blobs = services().db, services().blobs
    template = csv_files.template_of(db, job)
    planned = _planned(job, template)
    opened = csv_files.open_input(blobs, job, template)
    headers = tuple(csv_files.header_names(opened, template))
    sheet = Sheet(headers=headers, columns=tuple(planned["columns"]), delimiter=planned["delimiter"])
    given = read(sheet, template)
    found = corrections.correctable(db, job, [one.row for one in given], most_bytes=MAX_BYTES)
    lines = {row: reject["line"] for row, reject in found.items()}
    text = mending.text_of(given, lines, sheet, lacking={row: _lacking(reject) for row, reject in found.items()})
    source = Source(
        blob=f"jobs/{job.id}/correction-{secrets.token_hex(6)}",
        start=0,
        end=len(text),
        first_row=1,
        delimiter=sheet.delimiter,
        numbers=tuple(one.row for one in given),
    )
    blobs.write(source.blob, [text])
    document = source.document()
    return Mended(
        revisions={row: rejects.revision_of(reject) for row, reject in found.items()},
        source={
            **document,
            "v": max(document["v"], planned["v"]),
            "columns": planned["columns"],
            "template": planned["template"],
        },
        cursor=cursor(source.start, source.first_row),
    )


def _lacking(reject: Mapping[str, Any]) -> list[str]:
    return [error["field"] for error in reject["errors"] if error["code"] == "no_cell"]


def discard(job: Job, mended: Mended) -> None:
    """Remove the text of rows whose correction has not begun; what may have been begun by a lost commit is kept."""
    blob = mended.source["blob"]
    if not parts.is_read(services().db, job_id=job.id, blob=blob):
        services().blobs.delete(blob)


def _planned(job: Job, template: Template) -> dict[str, Any]:
    """How the file's rows were read.

    Raises:
        Conflict: they were not, or by another template than there is now.
    """
    source = parts.planned(services().db, job_id=job.id)
    if source is None:
        raise Conflict("No row of the file has been read yet.", code="no_plan")
    if source["template"] != template.fingerprint():
        raise Conflict(
            "The template of the dataset has changed since the file was read, so its rows can no longer be mended "
            "one by one. Restart the job with a corrected file.",
            code="template_changed",
        )
    return source
