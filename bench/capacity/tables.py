"""The tables of docs/scaling.md, by name. Each function returns one table as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from capacity import arithmetic
from capacity.constants import CONSTANTS, seconds, value
from collect.protocol.creation import DEFAULT_WINDOW
from upload_worker.task import UploadTask

CORES = 16  # of the primary
OPLOG_GB = 50
SLOTS = 100
WORKERS = SLOTS // 2
UPLOAD_CHUNK_ROWS = UploadTask.rows.most
EXPORT_CHUNK_ROWS = 25_000
"""A chunk of the demo's form: the block's bytes end it before its rows do."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def number(amount: float) -> str:
    """Return three significant digits."""
    return f"{round(amount, 3 - len(str(int(amount)))):,.0f}" if amount >= 1_000 else f"{amount:.3g}"


def a_million() -> str:
    """Return what a million rows cost; a chunk has at most 10,000 rows of an upload and 25,000 of an export."""

    def line(what: str, unit: str, *amounts: str | float) -> list[str]:
        numbers = (value(each) if isinstance(each, str) else each for each in amounts)
        return [what, *(f"{number(each)} {unit}".strip() for each in numbers)]

    parts, file = 1e6 / arithmetic.part_rows("UPLOAD"), "UPLOAD_FILE_BYTES"
    rows = [
        line("slots, core-seconds", "s", "UPLOAD_SLOT_US", "UPSERT_SLOT_US", "EXPORT_SLOT_US"),
        line("primary, core-seconds", "s", "UPLOAD_DATABASE_US", "UPSERT_DATABASE_US", "EXPORT_DATABASE_US"),
        line("oplog", "MB", "UPLOAD_OPLOG_BYTES", "UPSERT_OPLOG_BYTES", "EXPORT_OPLOG_BYTES"),
        line("chunks, a transaction each, at least", "", 100, 100, 40),
        line("parts of full size, a message each", "", parts, parts, 1e6 / arithmetic.part_rows("EXPORT")),
        line("rows and ledger on disk", "MB", "UPLOAD_DISK_BYTES", "UPSERT_LEDGER_BYTES", 0.1),
        line("file store", "MB", file, file, "EXPORT_RESULT_BYTES"),
    ]
    return table(["1,000,000 rows", "upload, new rows", "upload, all rows exist (upsert)", "export to CSV"], rows)


def per(name: str, cores: int = 1) -> tuple[float, str]:
    """Return how many rows or jobs a second so many cores do, and the formula."""
    return cores / seconds(name), f"{cores} s / `{name}`"


def each(name: str, many: int) -> tuple[float, str]:
    """Return what so many slots or workers cost, and the formula."""
    return many * value(name), f"{many} × `{name}`"


def limits() -> str:
    slots, primary = f"{SLOTS} slots", f"primary, {CORES} cores"
    part = "1 s / (`{0}_{1}_US` + `{0}_CHANGE_SECONDS` per part of `{0}_PART_{2}`)".format
    oplog = OPLOG_GB * arithmetic.GB / arithmetic.DAY_SECONDS / value("UPLOAD_OPLOG_BYTES")
    rows: list[tuple[str, str, float, str]] = [
        ("one slot that uploads", "rows/s", arithmetic.slot_rows("UPLOAD"), part("UPLOAD", "COMMIT", "MB")),
        ("one slot that exports", "rows/s", arithmetic.slot_rows("EXPORT"), part("EXPORT", "SLOT", "ROWS")),
        (f"{primary}, uploads, if it needs nothing but cores", "rows/s", *per("UPLOAD_DATABASE_US", CORES)),
        (f"{primary}, exports (they do not read secondaries yet)", "rows/s", *per("EXPORT_DATABASE_US", CORES)),
        (f"oplog of {OPLOG_GB} GB that covers 24 h", "rows/s", oplog, "bytes / `UPLOAD_OPLOG_BYTES` / 24 h"),
        ("gateway, one core", "jobs/s", *per("JOB_GATEWAY_MS")),
        (f"{primary}, small jobs", "jobs/s", *per("JOB_DATABASE_MS", CORES)),
        ("broker, one core, small jobs", "jobs/s", *per("JOB_BROKER_MS")),
        ("monitor, waiting jobs: one query takes a second", "jobs", *per("RUNNABLE_US")),
        (f"cost, not a limit: looks of {slots}", "reads/s", *each("LOOK_READS", SLOTS)),
        (f"cost, not a limit: connections of {slots}", "connections", *each("SLOT_CONNECTIONS", SLOTS)),
        (f"cost, not a limit: connections of {WORKERS} workers", "connections", *each("WORKER_CONNECTIONS", WORKERS)),
        (f"cost, not a limit: heartbeats of {WORKERS} workers", "messages/s", *each("HEARTBEATS", WORKERS)),
    ]
    return table(["part", "ends at", "how"], [(name, f"{number(most)} {unit}", how) for name, unit, most, how in rows])


def loads(columns: dict[str, arithmetic.Load]) -> str:
    each = [arithmetic.needs(load) for load in columns.values()]
    return table(["", *columns], [[name, *(number(one[name]) for one in each)] for name in each[0]])


def examples() -> str:
    return loads(
        {load.name: load for load in (arithmetic.DESK, arithmetic.PIPELINE, arithmetic.TWENTY, arithmetic.CENSUS)}
    )


def factors() -> str:
    return loads({f"{factor:,} ×": arithmetic.PIPELINE.times(factor) for factor in (1, 10, 100, 1_000)})


def rates() -> str:
    primary = CORES / seconds("UPLOAD_DATABASE_US")
    rows = [
        [
            f"{n}",
            number(arithmetic.rate(n, cores=CORES)),
            "slots" if n * arithmetic.slot_rows("UPLOAD") < primary else "primary",
        ]
        for n in (1, 2, 4, 8, 16, 32)
    ]
    return table(["slots", "rows/s, at most", "limited by"], rows)


def upload_wait(slots: int, jobs: int, *, spare: int = 1) -> str:
    out = arithmetic.parts_out(jobs, slots=slots, spare=spare)
    return f"{arithmetic.longest_wait(out, slots=slots, kind='UPLOAD', chunk_rows=UPLOAD_CHUNK_ROWS):.1f} s"


def waits() -> str:
    rows = [[f"{n}", *(upload_wait(n, jobs) for jobs in (1, 4, 16)), upload_wait(n, 16, spare=0)] for n in (2, 4, 8)]
    return table(["slots", "behind 1 big job", "behind 4", "behind 16", "behind 16, without spare parts"], rows)


def mornings() -> str:
    """Return what slots do when all jobs of a support desk's day arrive within five minutes."""
    work, within = arithmetic.DESK.uploads * arithmetic.upload_seconds(arithmetic.DESK.upload_rows), 300.0
    rows = [[f"{n}", f"{work / n / within:.0%}", f"{max(within, work / n):.0f} s"] for n in (1, 2, 4)]
    return table(["slots", "busy", "all done after, at least"], rows)


def measured_waits() -> str:
    """Return the longest waits by arithmetic beside those of docs/figures.md."""

    def model(out: int) -> str:
        return f"{arithmetic.longest_wait(out, slots=2, kind='EXPORT', chunk_rows=EXPORT_CHUNK_ROWS):.1f} s"

    rows = [
        [
            "a small export behind a huge one, first chunk, the longest of 10",
            "1.9 s",
            model(arithmetic.parts_out(1, slots=2)),
        ],
        [
            "an export beside three others, first chunk, windows settled",
            "4.9 s",
            model(arithmetic.parts_out(3, slots=2)),
        ],
        ["… windows as at the start of a job", "", model(3 * DEFAULT_WINDOW)],
    ]
    return table(["docs/figures.md, Exports, two slots", "measured", "at most, by arithmetic"], rows)


def constants() -> str:
    rows = [[f"`{name}`", f"{one.value:,g}", one.unit, one.source] for name, one in CONSTANTS.items()]
    return table(["name", "value", "unit", "from"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "a million rows": a_million,
    "limits": limits,
    "rates": rates,
    "waits": waits,
    "mornings": mornings,
    "factors": factors,
    "examples": examples,
    "measured waits": measured_waits,
    "constants": constants,
}
