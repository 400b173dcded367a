"""The chunk of an export: the blocks that go into it, and what it reports to the runtime."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from collect.exporting.formats import Rendered
from collect.jobs.model import Part
from collect.runtime.task import Chunk, ChunkSize, StoredObject
from collect.storage.responses import Block

CHUNK_BYTES = 16 * 1024 * 1024
"""Bytes of documents with which a chunk is full: about a quarter of a second's work."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A chunk that is written to the blob store. It becomes part of the result only when it is committed."""

    rows: int
    left_out: int
    stored: tuple[StoredObject, ...]
    misfits: dict[str, int]
    noted: dict[str, dict[str, int]]
    """Name of a count in the manifest (:data:`collect.storage.ledger.NOTED`) → field → count."""


class Taken:
    """An iterator over the blocks of one chunk: ``first``, then blocks of ``others`` until the chunk is full.

    It takes a block only when the caller asks for it, and counts rows and bytes on the way.
    """

    def __init__(self, first: Block, others: Iterator[Block], size: ChunkSize, row_bytes: int) -> None:
        self.rows = self.looked = self.bytes = 0
        self.last = first
        self._others = others
        self._size = size
        self._row_bytes = row_bytes

    def __iter__(self) -> Iterator[bytes]:
        block: Block | None = self.last
        while block is not None:
            self.last = block
            self.rows += block.rows
            self.looked += block.looked
            self.bytes += max(len(block.raw), block.rows * self._row_bytes)
            if block.rows:
                yield block.raw
            full = self.looked >= self._size.rows or self.bytes >= CHUNK_BYTES
            block = None if full else next(self._others, None)


def chunk_of(taken: Taken, stored: tuple[StoredObject, ...], made: Rendered, *, more: int) -> Chunk:
    """Return the chunk of the blocks in ``taken``.

    ``more``: how many responses fewer there are than when the part was planned; below 0 if there are more.
    """
    last = taken.last
    window = None if last.window is None else last.window.stored()
    return Chunk(
        cursor={"version": 1, **last.following.stored(), "window": window, "left": last.left},
        rows=taken.looked + more,
        payload=Written(
            rows=taken.rows,
            left_out=taken.looked + more - taken.rows,
            stored=stored,
            misfits=made.misfits,
            noted={
                "fields_left_out": made.left_out,
                "choices_left_out": made.choices_left_out,
                "texts_like_null": made.like_null,
            },
        ),
    )


def none_left(part: Part, gone: int) -> Chunk:
    """Return the chunk that counts ``gone`` responses as left out: they were planned and do not exist any more."""
    written = Written(rows=0, left_out=gone, stored=(), misfits={}, noted={})
    return Chunk(cursor={"version": 1, **part.source["end"]}, rows=gone, payload=written)
