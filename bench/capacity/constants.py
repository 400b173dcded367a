"""The constants of the capacity model, each with its unit and its source.

One machine of two cores measured them, with a fresh database and one slot. The absolute numbers are that machine's; the
ratios between them hold more widely.
"""

from __future__ import annotations

from typing import NamedTuple

BENCH = "`make bench ONLY=capacity`"


class Constant(NamedTuple):
    """A number, its unit, and where it comes from."""

    value: float
    unit: str
    source: str = BENCH


CONSTANTS = {
    "UPLOAD_SLOT_US": Constant(5.5, "µs of a slot's core per row"),
    "UPLOAD_DATABASE_US": Constant(11.8, "µs of the primary's cores per row"),
    "UPLOAD_COMMIT_US": Constant(9.5, "µs of commit per row", "figures, Uploads: 105,000 rows/s by one connection"),
    "UPLOAD_CHANGE_SECONDS": Constant(0.1, "s of a slot per part", "figures, Uploads"),
    "UPLOAD_FILE_BYTES": Constant(154, "bytes of the file per row"),
    "UPLOAD_ROW_BYTES": Constant(541, "bytes of BSON per row"),
    "UPLOAD_DISK_BYTES": Constant(199, "bytes on disk per row, with ids, ledger and 1 % rejects"),
    "UPLOAD_OPLOG_BYTES": Constant(663, "bytes of oplog per row"),
    "UPLOAD_JOURNAL_BYTES": Constant(140, "bytes of journal per row"),
    "UPSERT_SLOT_US": Constant(33.4, "µs of a slot's core per row"),
    "UPSERT_DATABASE_US": Constant(43.5, "µs of the primary's cores per row"),
    "UPSERT_OPLOG_BYTES": Constant(869, "bytes of oplog per row"),
    "UPSERT_LEDGER_BYTES": Constant(100, "bytes of before-images on disk per row"),
    "EXPORT_SLOT_US": Constant(13.5, "µs of a slot's core per row"),
    "EXPORT_DATABASE_US": Constant(7.5, "µs of the primary's cores per row"),
    "EXPORT_OPLOG_BYTES": Constant(264, "bytes of oplog per row, results in GridFS"),
    "EXPORT_CHANGE_SECONDS": Constant(0.5, "s of a slot per part", "figures, What made exports faster"),
    "EXPORT_RESULT_BYTES": Constant(264, "bytes of CSV per row"),
    "UPLOAD_PART_MB": Constant(64, "MiB of file per part of a big job", "`collect.rows.planning`"),
    "EXPORT_PART_ROWS": Constant(300_000, "rows per part of a big job", "`export_worker.planning`"),
    "HEARTBEATS": Constant(1, "messages a second per worker", "`collect.runtime.worker`"),
    "LOOK_READS": Constant(4, "reads a second per busy slot", "`collect.runtime.part_run`, `look`"),
    "SLOT_CONNECTIONS": Constant(4, "database connections per slot that has worked"),
    "WORKER_CONNECTIONS": Constant(3, "database connections per worker's parent process"),
    "RUNNABLE_US": Constant(40, "µs of a monitor's round per waiting job"),
    "BUSY": Constant(0.7, "of a slot's time at the peak", "a choice: queues grow without bound at 1"),
    "CONTENTION": Constant(
        0.09, "of its speed that each of n takes from each other", "fitted to two runs at load 4 to 5"
    ),
    "JOB_GATEWAY_MS": Constant(17.2, "ms of a gateway's core per job of 50 rows, with its file"),
    "JOB_SLOT_MS": Constant(24.0, "ms of a slot's core per job of 50 rows"),
    "JOB_PARENT_MS": Constant(5.0, "ms of the worker's parent process per job of 50 rows"),
    "JOB_DATABASE_MS": Constant(32.5, "ms of the primary's cores per job of 50 rows"),
    "JOB_BROKER_MS": Constant(3.5, "ms of the broker's cores per job of 50 rows"),
    "JOB_MESSAGES": Constant(3, "messages through the outbox per job of one part"),
    "JOB_OPLOG_BYTES": Constant(26_900, "bytes of oplog per job of 50 rows"),
}


def value(name: str) -> float:
    """Return a constant in its own unit."""
    return CONSTANTS[name].value


def seconds(name: str) -> float:
    """Return a constant of µs or ms in seconds."""
    return value(name) / {"US": 1e6, "MS": 1e3}[name.rsplit("_", 1)[1]]
