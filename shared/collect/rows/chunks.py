"""Reads and validates the rows of a part, one chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from collect.csv.cell_rules import CellRules
from collect.csv.layout import keeps_blanks
from collect.csv.reading import Lot, Source, cursor, lots
from collect.csv.validation import Valid, Validator
from collect.jobs.model import Part
from collect.jobs.outcomes import Reject
from collect.jobs.template import Template
from collect.rows import documents, planning
from collect.runtime.task import Chunk, ChunkSize
from collect.storage.object_store import Blobs

CHUNK_BYTES = 8 * 1024 * 1024


def read(
    blobs: Blobs,
    part: Part,
    template: Template,
    size: ChunkSize,
    *,
    params: Mapping[str, Any],
    most_bytes: int = CHUNK_BYTES,
) -> Iterator[tuple[Lot, Valid, tuple[Reject, ...]]]:
    """Yield each chunk from the part's cursor to its end: its records, the valid rows, and the rejects.

    ``params``: those of the job, which say how texts become values.
    """
    layout = planning.arranged(part.source, template)
    validator = Validator(
        template=template, layout=layout, rules=CellRules.of(params), keeps_blanks=keeps_blanks(params)
    )
    empty = documents.empty_bytes(layout.present)

    def most_rows() -> int:
        return max(1, min(size.rows, most_bytes // empty))

    source = Source.of(part.source)
    for lot in lots(blobs, source, part.cursor, most_rows=most_rows, most_bytes=most_bytes):
        valid, rejects = validator.validate(lot)
        yield lot, valid, rejects


def chunk(lot: Lot, payload: Any, rejects: tuple[Reject, ...]) -> Chunk:
    """Return the chunk of ``lot``, which one transaction will commit."""
    return Chunk(
        cursor=cursor(lot.end, lot.row + lot.rows),
        rows=lot.rows,
        payload=payload,
        rejects=rejects,
        corrected=lot.corrected,
        numbers=lot.numbers,
    )
