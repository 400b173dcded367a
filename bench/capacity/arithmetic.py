"""What a load needs, in closed form: products and quotients of the constants, which a reader can redo by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from capacity.constants import micro, value

DAY_SECONDS = 86_400.0
HOUR_SECONDS = 3_600.0
GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Load:
    """What people ask for in a day, and within how many hours most of it comes."""

    name: str
    uploads: int = 0
    upload_rows: int = 0
    exports: int = 0
    export_rows: int = 0
    hours: float = 24.0
    """In which the day's work is asked for."""
    peak: float = 3.0
    """The busiest minute, as a multiple of the mean of those hours."""

    @property
    def written(self) -> float:
        """Rows a day that are uploaded."""
        return float(self.uploads * self.upload_rows)

    @property
    def read(self) -> float:
        """Rows a day that are exported."""
        return float(self.exports * self.export_rows)

    @property
    def jobs(self) -> int:
        return self.uploads + self.exports

    def at_peak(self, a_day: float) -> float:
        """So much a day, as so much a second in the busiest minute."""
        return a_day * self.peak / (self.hours * HOUR_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Of one load."""

    slot_core_hours: float
    """A day, of all slots together."""
    database_core_hours: float
    """A day, of the primary."""
    slot_cores: float
    """At the peak."""
    database_cores: float
    """At the peak, of the primary."""
    slots: int
    """That keep up at the peak and are busy for no more than `BUSY` of it; two at least, so that one may die."""
    oplog_gb_an_hour: float
    """At the peak."""
    disk_gb_a_day: float
    """In the database, when every row is new."""
    files_gb_a_day: float
    """In the file store: files that come and results that go."""
    messages_a_second: float
    """At the peak."""


def upload_slot_rows() -> float:
    """Rows a second of one slot that uploads, nobody beside it: it waits for commits, and for each part's beginning."""
    part_rows = value("UPLOAD_PART_MB") * 2**20 / value("UPLOAD_FILE_BYTES")
    return 1 / (max(micro("UPLOAD_COMMIT_US"), micro("UPLOAD_SLOT_US")) + value("UPLOAD_CHANGE_SECONDS") / part_rows)


def export_slot_rows() -> float:
    """Rows a second of one slot that exports: making text is what it waits for."""
    part = value("EXPORT_CHANGE_SECONDS") / value("EXPORT_PART_ROWS")
    return 1 / (max(micro("EXPORT_SLOT_US"), micro("EXPORT_DATABASE_US")) + part)


def needs(load: Load) -> Needs:
    """Everything that a load needs."""
    busy = load.at_peak(load.written) / upload_slot_rows() + load.at_peak(load.read) / export_slot_rows()
    slot = load.written * micro("UPLOAD_SLOT_US") + load.read * micro("EXPORT_SLOT_US")
    slot += load.jobs * value("JOB_SLOT_MS") / 1e3
    database = load.written * micro("UPLOAD_DATABASE_US") + load.read * micro("EXPORT_DATABASE_US")
    database += load.jobs * value("JOB_DATABASE_MS") / 1e3
    oplog = load.written * value("UPLOAD_OPLOG_BYTES") + load.jobs * value("JOB_OPLOG_BYTES")
    return Needs(
        slot_core_hours=slot / HOUR_SECONDS,
        database_core_hours=database / HOUR_SECONDS,
        slot_cores=load.at_peak(slot),
        database_cores=load.at_peak(database),
        slots=max(2, math.ceil(busy / value("BUSY"))),
        oplog_gb_an_hour=load.at_peak(oplog) * HOUR_SECONDS / GB,
        disk_gb_a_day=load.written * value("UPLOAD_DISK_BYTES") / GB,
        files_gb_a_day=(load.written * value("UPLOAD_FILE_BYTES") + load.read * value("EXPORT_RESULT_BYTES")) / GB,
        messages_a_second=load.at_peak(load.jobs * value("JOB_MESSAGES") + messages_of_parts(load)),
    )


def messages_of_parts(load: Load) -> float:
    """A day, at least: a part is published once. A slice that ends before its part does publishes it once more."""
    uploaded = load.written * value("UPLOAD_FILE_BYTES") / (value("UPLOAD_PART_MB") * 2**20)
    return uploaded + load.read / value("EXPORT_PART_ROWS")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What ends first in one part of the system."""

    part: str
    most: float
    unit: str
    how: str


def limits(*, cores: int = 16, oplog_gb: float = 50.0, slots: int = 100) -> Sequence[Limit]:
    """Where each part ends: a primary of so many cores with such an oplog, and so many slots in workers of two."""
    workers = slots / 2
    each = micro("UPLOAD_DATABASE_US")
    return [
        Limit(
            part="one slot that uploads",
            most=upload_slot_rows(),
            unit="rows/s",
            how="1 / (`UPLOAD_COMMIT_US` + `UPLOAD_CHANGE_SECONDS` a part of `UPLOAD_PART_MB`)",
        ),
        Limit(
            part="one slot that exports",
            most=export_slot_rows(),
            unit="rows/s",
            how="1 / (`EXPORT_SLOT_US` + `EXPORT_CHANGE_SECONDS` a part of `EXPORT_PART_ROWS`)",
        ),
        Limit(
            part=f"primary, {cores} cores, uploads",
            most=cores / each,
            unit="rows/s",
            how=f"{cores} / `UPLOAD_DATABASE_US`, if cores were all it needs",
        ),
        Limit(
            part=f"primary, {cores} cores, exports",
            most=cores / micro("EXPORT_DATABASE_US"),
            unit="rows/s",
            how=f"{cores} / `EXPORT_DATABASE_US`; secondaries would add to it, and are not read yet",
        ),
        Limit(
            part=f"oplog of {oplog_gb:.0f} GB",
            most=oplog_gb * GB / (24 * HOUR_SECONDS) / value("UPLOAD_OPLOG_BYTES"),
            unit="rows/s",
            how="bytes / `UPLOAD_OPLOG_BYTES` / 24 h: a secondary may be away for a day",
        ),
        Limit(
            part="gateway, one core",
            most=1e3 / value("JOB_GATEWAY_MS"),
            unit="jobs/s",
            how="1,000 / `JOB_GATEWAY_MS`",
        ),
        Limit(
            part=f"primary, {cores} cores, small jobs",
            most=cores * 1e3 / value("JOB_DATABASE_MS"),
            unit="jobs/s",
            how=f"{cores} × 1,000 / `JOB_DATABASE_MS`",
        ),
        Limit(
            part="broker, one core, small jobs",
            most=1e3 / value("JOB_BROKER_MS"),
            unit="jobs/s",
            how="1,000 / `JOB_BROKER_MS`",
        ),
        Limit(
            part=f"primary, looks of {slots} slots",
            most=slots * value("LOOK_READS"),
            unit="reads/s",
            how="slots × `LOOK_READS`: a cost, not a limit",
        ),
        Limit(
            part="monitor, jobs that wait",
            most=1 / micro("HUNGRY_US"),
            unit="jobs",
            how="1 s / `HUNGRY_US`: then one question of its round takes a second",
        ),
        Limit(
            part=f"primary, connections of {slots} slots",
            most=slots * value("SLOT_CONNECTIONS") + workers * value("WORKER_CONNECTIONS"),
            unit="connections",
            how="slots × `SLOT_CONNECTIONS` + workers × `WORKER_CONNECTIONS`: a cost, not a limit",
        ),
        Limit(
            part=f"monitor, heartbeats of {workers:.0f} workers",
            most=workers * value("HEARTBEATS"),
            unit="messages/s",
            how="workers × `HEARTBEATS`: a cost, not a limit",
        ),
    ]


DESK = Load(name="support desk", uploads=200, upload_rows=100_000, hours=8)
PIPELINE = Load(name="pipeline platform", exports=1_000, export_rows=2_000_000)
TWENTY = Load(name="20,000,000 rows, once, in five minutes", exports=1, export_rows=20_000_000, hours=1 / 12, peak=1)
CENSUS = Load(name="national census", uploads=5_000, upload_rows=10_000, hours=10, peak=5)
EXAMPLES = (DESK, PIPELINE, TWENTY, CENSUS)


def times(load: Load, factor: int) -> Load:
    """The same load so many times over."""
    return Load(
        name=f"{factor:,} × {load.name}",
        uploads=load.uploads * factor,
        upload_rows=load.upload_rows,
        exports=load.exports * factor,
        export_rows=load.export_rows,
        hours=load.hours,
        peak=load.peak,
    )
