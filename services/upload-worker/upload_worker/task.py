"""The task of a baseline upload: it writes the rows of a CSV into a dataset, by the dataset's template.

It does not handle pause, cancel or retries: the runtime does.
"""

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
    """The task of an upload, as the runtime calls it (see :class:`collect.runtime.task.Task`)."""

    kind = "upload"
    rows = ChunkRows(first=2_000, fewest=2_000, most=10_000)
    """Rows of a chunk. Chunks are large, since many small transactions delay verbs longer than few big ones do
    (docs/figures.md)."""

    def __init__(self, *, db: Database, blobs: Blobs) -> None:
        self._db = db
        self._blobs = blobs
        self._rows = Table(db=db, blobs=blobs, name="rows")

    def plan(self, job: Job, after: Part | None) -> Iterator[PlannedPart | None]:
        """Yield the parts of the file, or those that follow ``after``."""
        yield from planning.plan(self._blobs, job, template=self._template(job), after=after)

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        """Yield the rows of the part in chunks, validated and encoded."""
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
        """Delete the created documents and restore the changed ones, if they still have the entry's mark."""
        return self._rows.take_back(record, entry_id=entry_id, session=session)

    def sweep(self, job: Job) -> Iterator[None]:
        """Do nothing: an upload has no objects in the blob store."""
        yield None

    def diagnose(self, job: Job) -> str | None:
        """Return a text if two columns of the job's file look exchanged, else ``None``."""
        return diagnosis.at_rows(self._db, self._blobs, job, template=self._template(job))

    def finish(self, job: Job) -> Iterator[dict[str, Any] | None]:
        """Do nothing: an upload is complete when its rows are written."""
        yield None

    def _template(self, job: Job) -> Template:
        try:
            return datasets.get(self._db, org_id=job.org_id, name=job.params["dataset"])
        except NotFound as error:
            raise TaskRefused(error.detail, code="unknown_dataset") from error
