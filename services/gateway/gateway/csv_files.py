"""CSV files that are made from a job: its rejects, and the rows that it never reached."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from collect.csv.files import Opened, open_file
from collect.csv.layout import Params, parse
from collect.csv.reading import Source
from collect.jobs.model import Job, Part, PartStatus, Phase
from collect.storage import datasets, parts
from collect.storage import rejects as reject_store
from collect.storage.blobs import Blobs
from collect.storage.database import Database

EXTRA = ("row", "code", "field", "message")
LINES_A_PIECE = 1_000


def rejects(db: Database, blobs: Blobs, job: Job) -> Iterator[bytes]:
    """The rejected rows' own columns, then what is wrong with them."""
    opened = _opened(db, blobs, job)
    width = len(opened.header.names)
    held = [_line([*opened.header.names, *EXTRA])]
    for reject in reject_store.stream(db, org_id=job.org_id, job_id=job.id):
        cells = parse(reject["line"].encode(), opened.header.delimiter)
        cells = (cells + [""] * width)[:width]
        held.append(_line([*cells, str(reject["row"]), reject["code"], reject["field"], reject["message"]]))
        if len(held) >= LINES_A_PIECE:
            yield "".join(held).encode()
            held = []
    yield "".join(held).encode()


def unprocessed(db: Database, blobs: Blobs, job: Job) -> Iterator[bytes]:
    """The header and the rows that no chunk has reached, byte for byte as they were sent, in the file's order."""
    opened = _opened(db, blobs, job)
    if opened.header.is_header:
        yield _line(opened.header.cells, delimiter=opened.header.delimiter).encode()
    of_job = parts.of_job(db, job_id=job.id)
    if of_job[0].phase is Phase.PLAN and of_job[0].status is not PartStatus.DONE:
        yield from opened.pieces
        return
    for part in of_job[1:]:
        yield from _rest(blobs, part)


def _rest(blobs: Blobs, part: Part) -> Iterator[bytes]:
    if part.status is PartStatus.DONE:
        return
    last = b""
    for piece in Source.of(part.source).pieces(blobs, part.cursor["offset"]):
        yield piece
        last = piece or last
    if last and not last.endswith(b"\n"):
        yield b"\n"


def _opened(db: Database, blobs: Blobs, job: Job) -> Opened:
    template = datasets.get(db, org_id=job.org_id, name=str(job.params["dataset"]))
    assert job.file is not None
    return open_file(blobs, job.file.blob, template=template, params=Params.of(job.params))


def _line(cells: Sequence[str], *, delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return text.getvalue()
