"""What a load needs and where each part of the system ends: products and quotients of the constants."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from capacity.constants import seconds, value
from collect.rows.planning import SMALLEST_PART_BYTES
from collect.runtime.pacing import SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS

HOUR_SECONDS = 3_600.0
DAY_SECONDS = 86_400.0
GB = 1e9
LEAST_SLOTS = 2  # one may die


@dataclass(frozen=True, kw_only=True)
class Load:
    """The jobs of one day."""

    name: str
    uploads: int = 0
    upload_rows: int = 0
    """Rows of each upload."""
    exports: int = 0
    export_rows: int = 0
    """Rows of each export."""
    hours: float = 24.0
    """The jobs arrive within so many hours."""
    peak: float = 3.0
    """The busiest minute, as a multiple of the mean of those hours."""

    @property
    def rows_written(self) -> int:
        return self.uploads * self.upload_rows

    @property
    def rows_read(self) -> int:
        return self.exports * self.export_rows

    @property
    def jobs(self) -> int:
        return self.uploads + self.exports

    def at_peak(self, per_day: float) -> float:
        """Return an amount per day as an amount per second in the busiest minute."""
        return per_day * self.peak / (self.hours * HOUR_SECONDS)

    def times(self, factor: int) -> Load:
        """Return the load with so many times as many jobs."""
        return replace(self, uploads=self.uploads * factor, exports=self.exports * factor)


DESK = Load(name="support desk", uploads=200, upload_rows=100_000, hours=8)
PIPELINE = Load(name="pipeline platform", exports=1_000, export_rows=2_000_000)
TWENTY = Load(name="20,000,000 rows, once, in five minutes", exports=1, export_rows=20_000_000, hours=1 / 12, peak=1)
CENSUS = Load(name="national census", uploads=5_000, upload_rows=10_000, hours=10, peak=5)


def part_rows(kind: str) -> float:
    """Return the rows of a part of full size, of an ``UPLOAD`` or an ``EXPORT``."""
    bytes_ = value("UPLOAD_PART_MB") * 2**20
    return bytes_ / value("UPLOAD_FILE_BYTES") if kind == "UPLOAD" else value("EXPORT_PART_ROWS")


def row_seconds(kind: str) -> float:
    """Return the seconds per row of a slot alone: it makes rows while the database works, and the slower one counts."""
    database = seconds("UPLOAD_COMMIT_US" if kind == "UPLOAD" else "EXPORT_DATABASE_US")
    return max(seconds(f"{kind}_SLOT_US"), database)


def slot_rows(kind: str) -> float:
    """Return the rows per second of a slot alone, with its changes of part."""
    return 1 / (row_seconds(kind) + value(f"{kind}_CHANGE_SECONDS") / part_rows(kind))


def core_seconds(load: Load, who: str) -> float:
    """Return the core-seconds per day of ``SLOT`` (all slots together) or of ``DATABASE`` (the primary)."""
    rows = load.rows_written * seconds(f"UPLOAD_{who}_US") + load.rows_read * seconds(f"EXPORT_{who}_US")
    return rows + load.jobs * seconds(f"JOB_{who}_MS")


def slots(load: Load) -> int:
    """Return the slots that keep up at the peak and are then busy for at most `BUSY` of their time."""
    busy = load.at_peak(load.rows_written) / slot_rows("UPLOAD") + load.at_peak(load.rows_read) / slot_rows("EXPORT")
    return max(LEAST_SLOTS, math.ceil(busy / value("BUSY")))


def messages(load: Load) -> float:
    """Return the least messages per day. A slice that ends before its part does sends one more."""
    parts = load.rows_written / part_rows("UPLOAD") + load.rows_read / part_rows("EXPORT")
    return load.jobs * value("JOB_MESSAGES") + parts


def needs(load: Load) -> dict[str, float]:
    """Return all that a load needs. The keys name the amounts and their units."""
    oplog = load.rows_written * value("UPLOAD_OPLOG_BYTES") + load.jobs * value("JOB_OPLOG_BYTES")
    files = load.rows_written * value("UPLOAD_FILE_BYTES") + load.rows_read * value("EXPORT_RESULT_BYTES")
    return {
        "rows a day": load.rows_written + load.rows_read,
        "rows/s at the peak": load.at_peak(load.rows_written + load.rows_read),
        "slots": slots(load),
        "slots, core-hours a day": core_seconds(load, "SLOT") / HOUR_SECONDS,
        "primary, core-hours a day": core_seconds(load, "DATABASE") / HOUR_SECONDS,
        "primary, cores at the peak": load.at_peak(core_seconds(load, "DATABASE")),
        "oplog at the peak, GB an hour, files in an object store": load.at_peak(oplog) * HOUR_SECONDS / GB,
        "database, GB a day, if every row is new": load.rows_written * value("UPLOAD_DISK_BYTES") / GB,
        "file store, GB a day": files / GB,
        "messages/s at the peak, at least": load.at_peak(messages(load)),
    }


def rate(slots: int, *, cores: int) -> float:
    """Return the most rows per second that so many slots upload to a primary of so many cores.

    Each of n slots slows each other one down by its share of `CONTENTION` (Gunther's law of scalability, first term).
    """
    slowdown = 1 + value("CONTENTION") / cores * (slots - 1)
    return min(slots * slot_rows("UPLOAD"), cores / seconds("UPLOAD_DATABASE_US")) / slowdown


def parts_out(jobs: int, *, slots: int, spare: int = 1) -> int:
    """Return the parts that equal jobs have in slots and in the queue (`collect.protocol.maintenance.set_windows`)."""
    return jobs * (max(1, math.ceil(slots / jobs)) + spare)


def longest_wait(out: int, *, slots: int, kind: str, chunk_rows: int) -> float:
    """Return the most seconds until a small job's first row, behind ``out`` parts of other jobs.

    A slot ends its slice, the slots share out the queue, and the small job's change of part follows. A slice ends with
    the first commit after its second: half a chunk later, on average.
    """
    turn = SLICE_SECONDS_WHEN_ANOTHER_JOB_WAITS + chunk_rows * row_seconds(kind) / 2
    return max(0, out - slots) / slots * turn + turn + value(f"{kind}_CHANGE_SECONDS")


def upload_seconds(rows: int) -> float:
    """Return the seconds of a slot that a file of small parts takes: rows, and a change for each part, plan and end."""
    parts = math.ceil(rows * value("UPLOAD_FILE_BYTES") / SMALLEST_PART_BYTES)
    return rows / slot_rows("UPLOAD") + (parts + 2) * value("UPLOAD_CHANGE_SECONDS")
