"""A baseline upload: the rows of a CSV into a dataset, by its template. It knows nothing of control."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pymongo.client_session import ClientSession

from collect.csv.layout import is_upsert, keeps_blanks
from collect.errors import NotFound, TaskRefused
from collect.jobs.model import Job, Part
from collect.jobs.template import Template
from collect.rows import batch, chunks, diagnosis, planning
from collect.rows.table import Table
from collect.runtime.task import Applied, Chunk, ChunkRows, ChunkSize, PlannedPart, TakenBack
from collect.storage import datasets
from collect.storage.database import Database
from collect.storage.object_store import Blobs


class UploadTask:
    """The upload as the runtime runs it (see :class:`collect.runtime.task.Task`)."""

    kind = "upload"
    rows = ChunkRows(first=2_000, fewest=2_000, most=10_000)
    """Many small transactions keep verbs waiting longer than few big ones (docs/figures.md)."""

    def __init__(self, *, db: Database, blobs: Blobs) -> None:
        self._db = db
        self._blobs = blobs
        self._rows = Table(db=db, blobs=blobs, name="rows")

    def plan(self, job: Job, after: Part | None) -> Iterator[PlannedPart | None]:
        """The parts of the file, or those behind ``after``."""
        yield from planning.plan(self._blobs, job, template=self._template(job), after=after)

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        """The rows of the part, validated and encoded."""
        template = self._template(job)
        for lot, valid, rejects in chunks.read(self._blobs, part, template, size, params=job.params):
            made = batch.make(
                valid,
                lot,
                org_id=job.org_id,
                dataset=job.params["dataset"],
                template=template,
                upsert=is_upsert(job.params),
                keeps=keeps_blanks(job.params),
            )
            yield chunks.chunk(lot, made, rejects)

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        """Write the chunk's rows."""
        applied, _ = self._rows.write(job, chunk.payload, rejects=chunk.rejects, entry_id=entry_id, session=session)
        return applied

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        """Delete what was made and restore what was changed, as far as the mark still stands."""
        return self._rows.take_back(record, entry_id=entry_id, session=session)

    def sweep(self, job: Job) -> Iterator[None]:
        """An upload has no objects."""
        yield None

    def diagnose(self, job: Job) -> str | None:
        """Whether two columns of its file look exchanged."""
        return diagnosis.at_rows(self._db, self._blobs, job, template=self._template(job))

    def finish(self, job: Job) -> Iterator[dict[str, Any] | None]:
        """Nothing is left to do."""
        yield None

    def _template(self, job: Job) -> Template:
        try:
            return datasets.get(self._db, org_id=job.org_id, name=job.params["dataset"])
        except NotFound as error:
            raise TaskRefused(error.detail, code="unknown_dataset") from error
