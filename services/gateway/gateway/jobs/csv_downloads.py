"""The CSV files of a job: its rejects, and the rows that it never reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collect.csv.blocks import MAX_RECORD_BYTES
from collect.csv.corrections import record
from collect.csv.files import Opened, open_file
from collect.csv.grammar import Grammar
from collect.csv.layout import REJECT_COLUMNS, Params, cells_of
from collect.csv.reading import Source
from collect.errors import Conflict, TaskRefused
from collect.jobs.model import Job, Part, PartStatus, Phase
from collect.jobs.template import Template
from collect.storage import parts
from collect.storage import rejects as reject_store
from collect.storage.database import Database
from collect.storage.object_store import Blobs
from gateway.kinds import table

LINES_A_PIECE = 1_000
NOT_STORED = "more_not_stored"
"""The code in the last line of a CSV of rejects when not all rejects are stored. A correction skips that line."""


def rejects(db: Database, blobs: Blobs, job: Job) -> Iterator[bytes]:
    """Return the rejects as a CSV, piece by piece: the row's own columns, then its error. The delimiter is the file's.

    Raises:
        Conflict: the job has no file, or the file cannot be read. Raised before the first piece.
    """
    template = template_of(db, job)
    opened = open_input(blobs, job, template)
    return _rejects(db, job, opened, header_names(opened, template))


def unprocessed(db: Database, blobs: Blobs, job: Job) -> Iterator[bytes]:
    """Return the header and the rows that no chunk has reached, piece by piece, in the file's order and in UTF-8.

    When the file has to be unpacked or decoded and a place in it cannot be, the answer ends with the last whole record
    before that place.

    Raises:
        Conflict: the job has no file, or the file's header cannot be read. Raised before the first piece.
    """
    template = template_of(db, job)
    return _unprocessed(blobs, open_input(blobs, job, template), parts.of_job(db, job_id=job.id))


def _rejects(db: Database, job: Job, opened: Opened, names: Sequence[str]) -> Iterator[bytes]:
    delimiter = opened.header.delimiter
    held = [_line([*names, *REJECT_COLUMNS], delimiter=delimiter)]
    stored = 0
    for reject in reject_store.stream(db, org_id=job.org_id, job_id=job.id):
        cells = [*cells_of(reject["line"].encode(), delimiter, len(names)), *[""] * len(names)][: len(names)]
        said = [str(reject["row"]), reject["code"], reject["field"], reject["message"]]
        held.append(_line([*cells, *said], delimiter=delimiter))
        stored += 1
        if len(held) >= LINES_A_PIECE:
            yield "".join(held).encode()
            held = []
    # Counted after the rejects were read: a correction that runs meanwhile makes rejects fewer.
    counted = parts.counted(db, job_ids=[job.id])[job.id].rejected
    if stored < counted:
        more = counted - stored
        are = "1 more row was rejected. It is" if more == 1 else f"{more:,} more rows were rejected. They are"
        said = ["", NOT_STORED, "", f"{are} counted, and not stored."]
        held.append(_line([""] * len(names) + said, delimiter=delimiter))
    yield "".join(held).encode()


def _unprocessed(blobs: Blobs, opened: Opened, of_job: Sequence[Part]) -> Iterator[bytes]:
    if opened.header.is_header:
        yield _line(opened.header.cells, delimiter=opened.header.delimiter).encode()
    planned = [part for part in of_job if part.source and part.correction is None]
    for part in planned:
        yield from _rest(blobs, part)
    if of_job[0].phase is Phase.PLAN and of_job[0].status is not PartStatus.DONE:
        left = opened.from_(planned[-1].source["end"]) if planned else opened.pieces
        yield from left if opened.text.is_plain else _readable(left, opened.grammar)


def _readable(pieces: Iterator[bytes], grammar: Grammar) -> Iterator[bytes]:
    """Yield the whole records before the first place that cannot be read; the whole text if there is no such place."""
    held = b""
    try:
        for piece in pieces:
            held += piece
            end = grammar.end(held) if len(held) <= MAX_RECORD_BYTES else len(held)
            yield held[:end]
            held = held[end:]
    except TaskRefused:
        return
    yield held


def _rest(blobs: Blobs, part: Part) -> Iterator[bytes]:
    if part.status is PartStatus.DONE:
        return
    last = b""
    for piece in Source.of(part.source).pieces(blobs, part.cursor["offset"]):
        yield piece
        last = piece or last
    if last and not last.endswith(b"\n"):
        yield b"\n"


def template_of(db: Database, job: Job) -> Template:
    """Return the template of the rows of the job's file.

    Raises:
        Conflict: jobs of this kind read no file.
    """
    found = table.kind(job.kind).template
    if found is None:
        raise Conflict(f"A job of kind {job.kind} reads no file, so it has no rows of one to give.", code="no_file")
    return found(db, job)


def header_names(opened: Opened, template: Template) -> Sequence[str]:
    """Return the names of the columns for a CSV that may be sent again: those of the file's header.

    The template's names are used when the file has no header and has as many columns as the template.
    """
    if opened.header.is_header or len(opened.header.cells) != len(template.names):
        return opened.header.names
    return template.names


def open_input(blobs: Blobs, job: Job, template: Template) -> Opened:
    """Return the job's file, opened.

    Raises:
        Conflict: the file cannot be read.
    """
    assert job.file is not None
    try:
        return open_file(blobs, job.file.blob, template=template, params=Params.of(job.params))
    except TaskRefused as refused:
        raise Conflict(f"The file of this job cannot be read: {refused.detail}", code="unreadable_file") from refused


def _line(cells: Sequence[str], *, delimiter: str) -> str:
    return record(cells, delimiter) + "\n"
