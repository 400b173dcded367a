"""Joins a job's Parquet objects, in their order and in flat memory, to one Parquet file."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from collect.errors import TaskRefused
from collect.exporting import formats
from collect.exporting.selection import Selection
from collect.jobs.model import Job
from collect.storage import ledger, results
from collect.storage.database import Database
from collect.storage.object_store import Blobs

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

OBJECT_BYTES = 16 * 1024 * 1024
GROUP_ROWS = 100_000
GROUP_BYTES = 32 * 1024 * 1024
"""Bytes with which a row group of the whole file is full. Readers are faster with larger groups than a block makes."""


def assemble(db: Database, blobs: Blobs, job: Job, selection: Selection) -> Iterator[dict[str, Any] | None]:
    """Yield ``None`` after each step, and the job's result at last.

    The result is like that of :func:`collect.storage.results.assemble` for the other formats. The file is written to
    new objects, whose names no other attempt has. It blocks on the stores.
    """
    result: dict[str, Any] = {}
    for step in results.assemble(db, blobs, job, complete=True):
        result = step or result
        yield None
    whole, objects = hashlib.sha256(), list[dict[str, Any]]()
    token = secrets.token_hex(4)
    for data in _file(db, blobs, job, selection):
        if data:
            name = f"{results.prefix_of(job.id)}whole-{token}-{len(objects)}"
            blobs.write(name, [data])
            whole.update(data)
            objects.append({"name": name, "bytes": len(data)})
        yield None
    total = sum(found["bytes"] for found in objects)
    yield {**result, "objects": objects, "bytes": total, "sha256": whole.hexdigest()}


def _file(db: Database, blobs: Blobs, job: Job, selection: Selection) -> Iterator[bytes]:
    """Yield the file's bytes in pieces of the size of an object, and empty pieces in between."""
    sink, group = _Sink(), list[pa.Table]()
    with formats.parquet_writer(sink, selection) as writer:
        for _, stored in ledger.objects(db, org_id=job.org_id, job_id=job.id):
            part = pq.ParquetFile(pa.BufferReader(results.read_object(blobs, stored)))
            if part.schema_arrow.names != writer.schema.names or part.schema_arrow.types != writer.schema.types:
                raise TaskRefused("The form has other fields than when this export began.", code="form_changed")
            for n in range(part.num_row_groups):
                group.append(part.read_row_group(n))
                if sum(table.num_rows for table in group) >= GROUP_ROWS or sum(map(_size, group)) >= GROUP_BYTES:
                    writer.write_table(pa.concat_tables(group))
                    group = []
                yield sink.taken() if sink.held() >= OBJECT_BYTES else b""
        if group:
            writer.write_table(pa.concat_tables(group))
    yield sink.taken()


def _size(table: pa.Table) -> int:
    return int(table.nbytes)


class _Sink(io.RawIOBase):
    """A file in memory that is written from beginning to end, and from which the written bytes are taken in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._before = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._before + len(self._held)

    def write(self, data: ReadableBuffer, /) -> int:
        self._held += data
        return memoryview(data).nbytes

    def held(self) -> int:
        """Return how many bytes are written and not taken yet."""
        return len(self._held)

    def taken(self) -> bytes:
        """Return the bytes that were written since the last call."""
        data, self._held = bytes(self._held), bytearray()
        self._before += len(data)
        return data
