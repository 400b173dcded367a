"""The numbers that everything here is calculated from, each with its source.

Processor times were counted on a machine of two cores, in a fresh database, with one slot: absolute numbers are that
machine's, the ratios between them less so.
"""

from __future__ import annotations

from dataclasses import dataclass

COUNTED = "`make bench ONLY=capacity`"


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A number, its unit, and where it is from."""

    value: float
    unit: str
    source: str


CONSTANTS = {
    # uploads
    "UPLOAD_SLOT_US": Constant(value=5.5, unit="µs of a slot's core a row", source=COUNTED),
    "UPLOAD_DATABASE_US": Constant(value=11.8, unit="µs of the primary's cores a row", source=COUNTED),
    "UPLOAD_COMMIT_US": Constant(
        value=9.5, unit="µs a row of a commit, waited for", source="figures, Uploads: 105,000 rows/s by one connection"
    ),
    "UPLOAD_CHANGE_SECONDS": Constant(value=0.1, unit="s of a slot a part", source="figures, Uploads"),
    "UPLOAD_FILE_BYTES": Constant(value=154, unit="bytes a row of the file", source=COUNTED),
    "UPLOAD_ROW_BYTES": Constant(value=541, unit="bytes a row as BSON", source=COUNTED),
    "UPLOAD_DISK_BYTES": Constant(
        value=199, unit="bytes a row on disk, ids, ledger and 1 % rejects included", source=COUNTED
    ),
    "UPLOAD_OPLOG_BYTES": Constant(value=663, unit="bytes of oplog a row", source=COUNTED),
    "UPLOAD_JOURNAL_BYTES": Constant(value=140, unit="bytes of journal a row", source=COUNTED),
    "UPSERT_SLOT_US": Constant(value=33.4, unit="µs of a slot's core a row", source=COUNTED),
    "UPSERT_DATABASE_US": Constant(value=43.5, unit="µs of the primary's cores a row", source=COUNTED),
    "UPSERT_OPLOG_BYTES": Constant(value=869, unit="bytes of oplog a row", source=COUNTED),
    "UPSERT_LEDGER_BYTES": Constant(value=100, unit="bytes a row of before-images on disk", source=COUNTED),
    # exports
    "EXPORT_SLOT_US": Constant(value=13.5, unit="µs of a slot's core a row", source=COUNTED),
    "EXPORT_DATABASE_US": Constant(value=7.5, unit="µs of the primary's cores a row", source=COUNTED),
    "EXPORT_OPLOG_BYTES": Constant(value=264, unit="bytes of oplog a row, results in GridFS", source=COUNTED),
    "EXPORT_CHANGE_SECONDS": Constant(value=0.5, unit="s of a slot a part", source="figures, What made exports faster"),
    "EXPORT_RESULT_BYTES": Constant(value=264, unit="bytes of CSV a row", source=COUNTED),
    "UPLOAD_PART_MB": Constant(value=64, unit="MiB of file a part of a big job", source="`collect.rows.planning`"),
    "EXPORT_PART_ROWS": Constant(value=300_000, unit="rows a part of a big job", source="`export_worker.planning`"),
    # whatever is asked
    "HEARTBEATS": Constant(value=1, unit="messages a second a worker", source="`collect.runtime.worker`"),
    "LOOK_READS": Constant(value=4, unit="reads a second a busy slot", source="`collect.runtime.slice`, `look`"),
    "SLOT_CONNECTIONS": Constant(value=4, unit="connections to the database a slot that has worked", source=COUNTED),
    "WORKER_CONNECTIONS": Constant(value=3, unit="connections to the database a worker's parent", source=COUNTED),
    "HUNGRY_US": Constant(value=40, unit="µs of a monitor's round a job that waits", source=COUNTED),
    "BUSY": Constant(value=0.7, unit="of a slot's time at the peak", source="a choice: queues grow without bound at 1"),
    "CONTENTION": Constant(
        value=0.09,
        unit="of its speed that each of n takes from each other",
        source="fitted to two runs at loads of 4 to 5",
    ),
    "JOB_GATEWAY_MS": Constant(
        value=17.2, unit="ms of a gateway's core a job of 50 rows, its file included", source=COUNTED
    ),
    "JOB_SLOT_MS": Constant(value=24.0, unit="ms of a slot's core a job of 50 rows", source=COUNTED),
    "JOB_PARENT_MS": Constant(value=5.0, unit="ms of the worker's parent a job of 50 rows", source=COUNTED),
    "JOB_DATABASE_MS": Constant(value=32.5, unit="ms of the primary's cores a job of 50 rows", source=COUNTED),
    "JOB_BROKER_MS": Constant(value=3.5, unit="ms of the broker's cores a job of 50 rows", source=COUNTED),
    "JOB_MESSAGES": Constant(value=3, unit="messages through the outbox a job of one part", source=COUNTED),
    "JOB_OPLOG_BYTES": Constant(value=26_900, unit="bytes of oplog a job of 50 rows", source=COUNTED),
}


def value(name: str) -> float:
    return CONSTANTS[name].value


def micro(name: str) -> float:
    """A constant in microseconds, in seconds."""
    return value(name) / 1e6
