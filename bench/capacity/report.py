"""The tables of `docs/scaling.md`, made from the constants: `python -m capacity` prints them, a test compares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from capacity import arithmetic, scenarios
from capacity.arithmetic import Load
from capacity.constants import CONSTANTS, value

FACTORS = (1, 10, 100, 1_000)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(found: float) -> str:
    """Three digits that count, and no false exactness."""
    if found >= 1_000:
        digits = len(str(int(found)))
        return f"{round(found, 3 - digits):,.0f}"
    return f"{found:.3g}"


def constants() -> str:
    rows = [[f"`{name}`", f"{one.value:,g}", one.unit, one.source] for name, one in CONSTANTS.items()]
    return table(["name", "value", "unit", "from"], rows)


def a_million() -> str:
    """What a million rows cost each part."""

    def line(what: str, upload: float, upsert: float, export: float, unit: str) -> list[str]:
        shown = [number(one) for one in (upload, upsert, export)]
        return [what, *(f"{one} {unit}".strip() for one in shown)]

    parts = 1e6 * value("UPLOAD_FILE_BYTES") / (value("UPLOAD_PART_MB") * 2**20)
    rows = [
        line("slots, core-seconds", value("UPLOAD_SLOT_US"), value("UPSERT_SLOT_US"), value("EXPORT_SLOT_US"), "s"),
        line(
            "primary, core-seconds",
            value("UPLOAD_DATABASE_US"),
            value("UPSERT_DATABASE_US"),
            value("EXPORT_DATABASE_US"),
            "s",
        ),
        line(
            "oplog",
            value("UPLOAD_OPLOG_BYTES"),
            value("UPSERT_OPLOG_BYTES"),
            value("EXPORT_OPLOG_BYTES"),
            "MB",
        ),
        line("chunks, a transaction each, at least", 1e6 / 10_000, 1e6 / 10_000, 1e6 / 25_000, ""),
        line("parts of full size, a message each", parts, parts, 1e6 / value("EXPORT_PART_ROWS"), ""),
        line(
            "rows and ledger on disk",
            value("UPLOAD_DISK_BYTES"),
            value("UPSERT_LEDGER_BYTES"),
            0.1,
            "MB",
        ),
        line("file store", value("UPLOAD_FILE_BYTES"), value("UPLOAD_FILE_BYTES"), value("EXPORT_RESULT_BYTES"), "MB"),
    ]
    return table(["1,000,000 rows", "upload, new rows", "upload, all there (upsert)", "export to CSV"], rows)


def limits() -> str:
    rows = [[limit.part, f"{number(limit.most)} {limit.unit}", limit.how] for limit in arithmetic.limits()]
    return table(["part", "ends at", "how"], rows)


def examples() -> str:
    return _needs(arithmetic.EXAMPLES, lambda load: load.name)


def factors() -> str:
    loads = [arithmetic.times(arithmetic.PIPELINE, factor) for factor in FACTORS]
    return _needs(loads, lambda load: f"{load.exports // arithmetic.PIPELINE.exports:,} ×")


def _needs(loads: Sequence[Load], name: Callable[[Load], str]) -> str:
    found = [arithmetic.needs(load) for load in loads]
    rows = [
        ["rows a day", *(number(load.written + load.read) for load in loads)],
        ["rows/s at the peak", *(number(load.at_peak(load.written + load.read)) for load in loads)],
        ["slots", *(f"{one.slots:,}" for one in found)],
        ["slots, core-hours a day", *(number(one.slot_core_hours) for one in found)],
        ["primary, core-hours a day", *(number(one.database_core_hours) for one in found)],
        ["primary, cores at the peak", *(number(one.database_cores) for one in found)],
        ["oplog at the peak, GB an hour, files in an object store", *(number(one.oplog_gb_an_hour) for one in found)],
        ["database, GB a day", *(number(one.disk_gb_a_day) for one in found)],
        ["file store, GB a day", *(number(one.files_gb_a_day) for one in found)],
        ["messages/s at the peak, at least", *(number(one.messages_a_second) for one in found)],
    ]
    return table(["", *(name(load) for load in loads)], rows)


def rates() -> str:
    found = {slots: scenarios.rate(slots) for slots in (1, 2, 4, 8, 16, 32)}
    rows = [[f"{slots}", number(one.rows_per_second), f"{one.database_use:.0%}"] for slots, one in found.items()]
    return table(["slots", "rows/s", f"use of {scenarios.DATABASE_CORES} cores"], rows)


def waits() -> str:
    rows = []
    for slots in (2, 4, 8):
        found = [scenarios.beside(slots=slots, big=big) for big in (1, 4, 16)]
        found.append(scenarios.beside(slots=slots, big=16, spare=0))
        rows.append([f"{slots}", *(f"{one.p50:.1f} / {one.longest:.1f} s" for one in found)])
    return table(["slots", "beside 1 big job", "beside 4", "beside 16", "beside 16, none of whose parts wait"], rows)


def known() -> str:
    """The model beside figures that were measured before there was a model."""
    p50, longest = scenarios.behind_one()
    three = scenarios.behind_three()
    rows = [
        ["a small export behind a huge one, first chunk, p50", "1.4 s", f"{p50:.1f} s"],
        ["… the longest of 10 (model: of 50)", "1.9 s", f"{longest:.1f} s"],
        ["an export beside three others, first chunk", "4.9 s", f"{three:.1f} s"],
    ]
    return table(["docs/figures.md, Exports", "measured", "model"], rows)


def mornings() -> str:
    rows = []
    for slots in (1, 2, 4):
        jobs, seconds = scenarios.morning(slots=slots)
        waited = sorted(job.waited for job in jobs)
        rows.append([f"{slots}", f"{waited[len(waited) // 2]:.1f} s", f"{waited[-1]:.1f} s", f"{seconds:.0f} s"])
    return table(["slots", "a job waits, p50", "the longest", "all done after"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "a million rows": a_million,
    "limits": limits,
    "examples": examples,
    "factors": factors,
    "rates": rates,
    "waits": waits,
    "known": known,
    "mornings": mornings,
    "constants": constants,
}
