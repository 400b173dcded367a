"""What one row, one chunk and one slice cost. Every number has its source: a measurement, or the code that sets it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from capacity.constants import micro, value

PartRows = Callable[[int, int], int]
"""How many rows the part has that begins behind so many, of so many."""

CHUNK_SECONDS = 0.25
LOOK_SECONDS = 1.0
SLICE_SECONDS = 60.0
SLICE_SECONDS_WHEN_OWN_PARTS_WAIT = 10.0
PLAN_SECONDS_WHEN_OWN_PARTS_WAIT = 3.0
SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS = 1.0
DEFAULT_WINDOW = 4
MONITOR_TICK_SECONDS = 1.0
READY_CHUNKS = 2
PLAN_STEP_SECONDS = 0.25
"""The rules of `collect.runtime.pacing` and `slice`, `collect.storage.creation` and the monitor, which
`tests/unit/bench/test_costs.py` compares with these: the arithmetic runs where nothing else is installed."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Of one kind of job. Seconds are of one core that nobody else uses."""

    slot_seconds: float
    """A row in its slot: read, validated, encoded."""
    database_seconds: float
    """A row in the database's primary, while its commit waits for it."""
    first_rows: int
    most_rows: int
    """Of a chunk, at first and at most; between them `CHUNK_SECONDS` of work decide."""
    part_rows: PartRows
    later_seconds: float = 0.0
    """A row in the database, after its commit: checkpoints, eviction."""
    commit_seconds: float = 0.003
    """A chunk's commit waits so long for its journal, or for a majority, and nobody works."""
    change_seconds: float = 0.05
    """From a slot that is free to its next part's first row: message, claim, opening of file or cursor."""
    plan_seconds: float = 0.0
    """A row, in the slot that plans."""
    finish_seconds: float = 0.0
    """A row, in the slot that finishes the job."""


def file_part_rows(*, row_bytes: float) -> PartRows:
    """Parts of a file, as `collect.rows.planning` cuts them: of whole blocks, no bigger than what stands before."""
    block, biggest, tail = 4 * 1024 * 1024, 64 * 1024 * 1024, 4

    def rows(before: int, total: int) -> int:
        start, size = before * row_bytes, total * row_bytes
        wanted = max(block, min(start, biggest, (size - start) / tail))
        return min(total - before, max(1, round(math.ceil(wanted / block - 1e-9) * block / row_bytes)))

    return rows


def export_part_rows(before: int, total: int) -> int:
    """Parts of an export, as `export_worker.planning` cuts them: small ones first."""
    bounds = ((40_000, 20_000), (160_000, 60_000), (460_000, 150_000))
    size = next((rows for end, rows in bounds if before < end), 300_000)
    return min(total - before, size)


CONTENTION = value("CONTENTION")
UPLOAD = Costs(
    slot_seconds=micro("UPLOAD_SLOT_US"),
    database_seconds=micro("UPLOAD_COMMIT_US"),
    later_seconds=micro("UPLOAD_DATABASE_US") - micro("UPLOAD_COMMIT_US"),
    first_rows=2_000,
    most_rows=10_000,
    part_rows=file_part_rows(row_bytes=value("UPLOAD_FILE_BYTES")),
    change_seconds=value("UPLOAD_CHANGE_SECONDS"),
)
EXPORT = Costs(
    slot_seconds=micro("EXPORT_SLOT_US"),
    database_seconds=micro("EXPORT_DATABASE_US"),
    first_rows=5_000,
    most_rows=25_000,
    part_rows=export_part_rows,
    change_seconds=value("EXPORT_CHANGE_SECONDS"),
)
