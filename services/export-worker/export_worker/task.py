"""The task of an export: it writes the responses of a form to a file.

It does not handle pause, cancel or retries: the runtime does.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pymongo.client_session import ClientSession

from collect.errors import CollectError, InvalidInput, NotFound, ResultDamaged, TaskRefused
from collect.exporting import formats
from collect.exporting.formats import Rendered
from collect.exporting.selection import Selection, select
from collect.jobs.model import Job, Part, entry_id
from collect.runtime.prefetch import Unwanted, ahead, is_unwanted
from collect.runtime.task import (
    Applied,
    Chunk,
    ChunkRows,
    ChunkSize,
    PlannedPart,
    StoredChunks,
    StoredObject,
    TakenBack,
)
from collect.storage import forms, ledger, responses, results, retention
from collect.storage.database import Database, now
from collect.storage.object_store import Blobs
from collect.storage.responses import Block, BlockSize, Key
from export_worker import parquet, planning
from export_worker.chunks import Taken, Written, chunk_of, none_left

PIECE_BYTES = 1024 * 1024
"""Bytes of an object after which a slot checks whether the object is still needed."""
MOST_UNCOMMITTED = 8
"""Most objects that are remembered for removal. A slice has at most three that are written and not committed: one is
ready, one waits, one is being written."""
BLOCK = BlockSize(rows=5_000, bytes=4 * 1024 * 1024)


class ExportTask:
    """The task of an export, as the runtime calls it (see :class:`collect.runtime.task.Task`)."""

    kind = "export"
    rows = ChunkRows(first=BLOCK.rows, fewest=BLOCK.rows, most=10 * BLOCK.rows)

    def __init__(
        self,
        *,
        db: Database,
        blobs: Blobs,
        block: BlockSize = BLOCK,
        part_rows: Callable[[int], int] = planning.part_rows,
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._block = block
        self._part_rows = part_rows

    def plan(self, job: Job, after: Part | None) -> Iterator[PlannedPart | None]:
        """Yield the parts of the selection, which are ranges of keys, or those that follow ``after``."""
        _refuse_expired(job)
        selection = self._selection(job, after)
        if after is None and (header := formats.header(selection)):
            self._blobs.write(results.header_name(job.id), [header])
        yield from planning.plan(self._db, selection, after, rows_of=self._part_rows)

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> StoredChunks:
        """Return the chunks of the part. Each has some blocks, and is written to an object of this attempt alone."""
        began: deque[tuple[str, str]] = deque(maxlen=MOST_UNCOMMITTED)
        return StoredChunks(self._chunks(job, part, size, began), forget=lambda: self._forget(job, began))

    def _chunks(
        self, job: Job, part: Part, size: ChunkSize, began: deque[tuple[str, str]]
    ) -> Generator[Chunk, None, None]:
        """Yield the chunks. Before an object is written, its ledger entry and its name are added to ``began``."""
        _refuse_expired(job)
        selection, end, seq = self._selection(job, part), Key.of(part.source["end"]), part.seq
        to_go = part.total - part.counts.looked_at
        with self._blocks(selection, part, end) as blocks:
            for block in blocks:
                taken = Taken(block, blocks, size, formats.least_bytes(selection))
                made = formats.render(selection, taken)
                name = f"{results.prefix_of(job.id)}part-{part.n}-{part.epoch}-{seq}"
                began.append((entry_id(job.id, part.n, seq), name))
                stored = self._stored(name, made, taken)
                to_go, seq = to_go - taken.looked, seq + 1
                over = taken.last.following == end
                yield chunk_of(taken, stored, made, more=to_go if over else 0)
                to_go = 0 if over else to_go
        if to_go:
            yield none_left(part, to_go)

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        """Return what the ledger entry records. That entry alone makes the object part of the result."""
        written: Written = chunk.payload
        return Applied(
            succeeded=written.rows,
            rejected=0,
            created=written.rows,
            changed=0,
            rejects=(),
            undo={
                "objects": [stored.name for stored in written.stored],
                "rows": written.rows,
                "misfits": written.misfits,
                "noted": ledger.noted(written.noted),
            },
            left_out=written.left_out,
            objects=written.stored,
        )

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        """Delete the chunk's objects. The verb that takes the job back has already hidden them from readers."""
        for name in record["objects"]:
            self._blobs.delete(name)
        return TakenBack(deleted=record["rows"], restored=0)

    def sweep(self, job: Job) -> Iterator[None]:
        """Delete all that the store has of the job: the header, the whole file, and objects that no commit names."""
        for name, _ in list(self._blobs.stored(results.prefix_of(job.id))):
            self._blobs.delete(name)
            yield None
        self._blobs.delete_prefix(results.prefix_of(job.id))

    def _forget(self, job: Job, began: Collection[tuple[str, str]]) -> None:
        """Remove the objects of uncommitted chunks if the job is being taken back, since its sweep may be over already.

        The monitor removes them later for all other jobs, and when the store does not answer now.
        """
        if not retention.is_taken_back(self._db, job_id=job.id):
            return
        entries = self._db.ledger.find({"_id": {"$in": [entry for entry, _ in began]}}, {"undo.objects": 1})
        committed = {name for entry in entries for name in entry["undo"]["objects"]}
        with suppress(CollectError):
            for name in [name for _, name in began if name not in committed]:
                self._blobs.delete(name)

    def diagnose(self, job: Job) -> str | None:
        """Return ``None``: an export rejects nothing, so there is nothing to explain."""
        return None

    def finish(self, job: Job) -> Iterator[dict[str, Any] | None]:
        """Yield the result with its checksums at last. The objects of a Parquet export are joined to one file here."""
        _refuse_expired(job)
        try:
            if not results.is_joined(job):
                yield from parquet.assemble(self._db, self._blobs, job, self._selection(job))
            else:
                yield from results.assemble(self._db, self._blobs, job, complete=True)
        except ResultDamaged as damaged:  # asking again at once would change nothing
            raise TaskRefused(damaged.detail, code=damaged.code) from damaged

    def _selection(self, job: Job, part: Part | None = None) -> Selection:
        """Return what the job selects. ``part``: check that the form is still as it was when this part was planned.

        Raises:
            TaskRefused: the form does not exist, or it was changed.
        """
        try:
            form = forms.get(self._db, org_id=job.org_id, form_id=job.params["form_id"])
            found = select(job.params, form, created_at=job.created_at, choices=dict(job.choices))
        except NotFound as error:
            raise TaskRefused(error.detail, code="unknown_form") from error
        except InvalidInput as error:  # the form has changed since
            raise TaskRefused(error.detail, code="form_changed", where=error.errors[0].field) from error
        if part is not None and part.source["shape"] != found.shape:
            raise TaskRefused("The form has other fields than when this export began.", code="form_changed")
        return found

    def _block_size(self, selection: Selection) -> BlockSize:
        """Return the size of a block for the selection.

        A document of few fields may become a row of many columns, so the number of rows is limited by the bytes of the
        shortest possible row.
        """
        rows = max(1, min(self._block.rows, self._block.bytes // formats.least_bytes(selection)))
        return BlockSize(rows=rows, bytes=self._block.bytes)

    @contextmanager
    def _blocks(self, selection: Selection, part: Part, end: Key) -> Iterator[Iterator[Block]]:
        """Yield an iterator over the part's blocks, which reads ahead in a thread.

        If the caller stops early or fails, the query that is running is ended on the server.
        """
        session = self._db.client.start_session(causal_consistency=False)
        try:
            with ahead(self._read(selection, part, end, session), hear=lambda: None) as blocks:
                yield blocks
        except BaseException:
            self._db.kill_sessions([self._db.session_id(session)])
            raise  # without end_session: that would return the killed session to the driver's pool
        session.end_session()

    def _read(self, selection: Selection, part: Part, end: Key, session: ClientSession) -> Iterator[Block]:
        window = part.cursor.get("window")
        window = None if window is None else Key.of(window)
        left = part.cursor.get("left", 0)
        yield from responses.blocks(
            self._db,
            selection,
            Key.of(part.cursor),
            end,
            size=self._block_size(selection),
            window=window,
            left=left,
            session=session,
        )

    def _stored(self, name: str, made: Rendered, taken: Taken) -> tuple[StoredObject, ...]:
        """Write the chunk's object and return its description; an empty tuple if no response matched."""
        if not taken.rows:
            return ()
        self._blobs.write(name, _while_wanted(made.data))
        digest = hashlib.sha256(made.data).hexdigest()
        return (StoredObject(name=name, bytes=len(made.data), rows=taken.rows, sha256=digest),)


def _while_wanted(data: bytes) -> Iterator[bytes]:
    """Yield ``data`` in pieces, as long as the slot still needs the object.

    Raises:
        Unwanted: the object is not needed any more. The store drops the pieces that it has.
    """
    for begin in range(0, len(data), PIECE_BYTES):
        if is_unwanted():
            raise Unwanted
        yield data[begin : begin + PIECE_BYTES]
    if is_unwanted():
        raise Unwanted


def _refuse_expired(job: Job) -> None:
    """Raise if the job's objects have expired. A failed job may be resumed at any time, even after they are deleted.

    Raises:
        TaskRefused: the objects have expired.
    """
    if job.result is not None and results.is_expired(job.result, now()):
        over = "What it had written was kept for its time, which is over. Restart it."
        raise TaskRefused(over, code="result_expired")
