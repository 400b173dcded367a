"""The types and options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

MOMENT_HELP = "Without a zone (Z, +05:30) it is UTC."

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Command = Callable[..., Any]
Option = Callable[[Any], Any]


class Share(click.ParamType[dict[str, float]]):
    """A number of rows or a share of all rows, typed as ``100`` or ``20%``."""

    name = "N|N%"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        if isinstance(value, dict):
            return value
        try:
            return {"percent": float(value[:-1])} if value.endswith("%") else {"rows": int(value)}
        except ValueError:
            self.fail(f"{value!r} is neither a number of rows nor a share like 20%.", param, ctx)


class Mapping(click.ParamType[tuple[str, str | None]]):
    """A header and the column that it is read as, typed as ``HEADER=COLUMN``. An empty column leaves the header out."""

    name = "HEADER=COLUMN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str | None]:
        if isinstance(value, tuple):
            return value
        header, equals, column = value.rpartition("=")
        if not equals:
            self.fail(f"{value!r} is not of the form HEADER=COLUMN.", param, ctx)
        return header, column or None


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601. Without a zone it is UTC."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value) if _DAY.match(value) else None
        except ValueError:
            at = None
        if at is None:
            self.fail(f"{value!r} is no time like 2030-01-31T09:30:00Z, 2030-01-31T09:30 or 2030-01-31.", param, ctx)
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


class Shift(click.ParamType[tuple[str, int]]):
    """A column and by how many rows its cells move, typed as ``COLUMN=ROWS``: down if positive, up if negative."""

    name = "COLUMN=ROWS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        column, _, rows = value.rpartition("=")
        try:
            return column, int(rows)
        except ValueError:
            self.fail(f"{value!r} is not of the form COLUMN=ROWS, as in manager_phone=-10.", param, ctx)


def together(*options: Option) -> Callable[[Command], Command]:
    """Return one decorator for several options. ``--help`` lists them in the given order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def mode(*modes: str) -> Option:
    """Return the option ``--mode``: what a row does if its key is stored already. The first is the API's default."""
    return click.option("--mode", type=click.Choice(modes), help=f"Default: {modes[0]}.")


column_map = click.option("--column-map", type=Mapping(), multiple=True, help="Read a header as another column.")
column_shift = click.option(
    "--column-shift", type=Shift(), multiple=True, help="Move a column's cells: up when negative, down when positive."
)


class _Renamed(click.Option):
    """An option whose further names still work, but are not shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return self.opts[0], self.help or ""


apply_suggestions = click.option(
    "--apply-suggestions",
    "--mend",
    cls=_Renamed,
    is_flag=True,
    help="Run the preview first, and apply its suggestions for shifted or exchanged columns.",
)
max_rejected = click.option("--max-rejected", type=Share(), help="Pause above so many rejected rows: 100, or 20%.")
contended = together(
    click.option(
        "--on-conflict",
        type=click.Choice(["reject", "queue", "supersede"]),
        help="If another job holds what this one needs. Default: reject.",
    ),
    click.option("--supersedes", metavar="ID", help="The job that this one replaces; implies --on-conflict supersede."),
)
max_rows_per_second = click.option(
    "--max-rows-per-second", type=click.FloatRange(min=0, min_open=True), help="Write no faster than this."
)
starting = together(
    click.option("--priority", type=click.Choice(["low", "normal", "high"])),
    click.option("--reason", help="Why; shown with the job."),
    click.option("--idempotency-key", metavar="KEY", help="Running this again with the same key starts nothing twice."),
    click.option(
        "--wait", "--watch", "wait", is_flag=True, help="Follow the job until it rests; 0 only if it succeeded."
    ),
)
