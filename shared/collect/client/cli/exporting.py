"""The commands that start an export and download its result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from collect.client.cli import exits, parameters, words
from collect.client.cli.console import Shell, json_option, pass_shell
from collect.client.cli.file_options import Delimiter
from collect.client.cli.starting import create, started
from collect.jobs.export_formats import FORMATS

EXISTS = "exists"


class Filter(click.ParamType[dict[str, Any]]):
    """A filter, typed as ``FIELD OP VALUE``. The value is read as JSON, or as text if it is not JSON."""

    name = "'FIELD OP VALUE'"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        field, op, text = (*value.split(maxsplit=2), "", "", "")[:3]
        if not op or (not text and op != EXISTS):
            self.fail(f"{value!r} is not of the form 'FIELD OP VALUE', as in 'age gte 18'.", param, ctx)
        return {"field": field, "op": op, "value": _values(text) if op == "in" else _value(text or "true")}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _values(text: str) -> list[Any]:
    """Return a list of values from a JSON array, or from text with commas."""
    found = _value(text)
    return found if isinstance(found, list) else [_value(one.strip()) for one in text.split(",")]


class Names(click.ParamType[list[str]]):
    """A list of names, typed as ``a,b``."""

    name = "A,B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        return value if isinstance(value, list) else [name.strip() for name in value.split(",") if name.strip()]


@create.command("export")
@click.option("--form", "form_id", metavar="ID", required=True, help="The form whose responses are wanted.")
@click.option("--from", "from_date", metavar="DATE", help="A date, or a time with its zone. Default: the beginning.")
@click.option("--to", "to_date", metavar="DATE", help="Exclusive. Default: until now.")
@click.option(
    "--filter",
    "filters",
    type=Filter(),
    multiple=True,
    help="'age gte 18', 'district in Pune,Nashik', 'flag_reason exists'. eq ne in lt lte gt gte exists; all must hold.",
)
@click.option("--columns", type=Names(), help="Only these, in this order. Default: all.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Default: csv.")
@click.option("--time-zone", metavar="NAME", help="Write times by the clocks there, as in Asia/Kolkata. Default: UTC.")
@click.option("--delimiter", type=Delimiter(), help="Of a CSV. Default: comma.")
@click.option("--bom", is_flag=True, help="Begin a CSV with a byte order mark, so that Excel reads it as UTF-8.")
@click.option("--null-text", metavar="TEXT", help="What a missing value is in a CSV. Default: nothing.")
@click.option("--split-multiple", is_flag=True, help="A column for each choice of an answer with several.")
@click.option("--no-formula-safe", is_flag=True, help="Leave text that a spreadsheet takes for a formula as it is.")
@click.option(
    "--confirm",
    type=click.Choice(["auto", "always", "never"]),
    help="auto (default): wait for a confirmation when it is larger than the organisation's threshold.",
)
@click.option("--preview", is_flag=True, help="Say what it would give; start nothing.")
@parameters.starting
@json_option
@pass_shell
def create_export(
    shell: Shell,
    /,
    confirm: str | None,
    preview: bool,
    priority: str | None,
    reason: str | None,
    idempotency_key: str | None,
    wait: bool,
    **given: Any,
) -> int:
    """Export a form's responses as one file."""
    params = _params(**given)
    if preview:
        found = shell.client.jobs.preview("export", params, confirm=confirm)
        shell.answer(found, lambda: words.preview(shell, found))
        return exits.Exit.OK
    job = shell.client.jobs.create(
        "export", params, reason=reason, priority=priority, confirm=confirm, idempotency_key=idempotency_key
    )
    return started(shell, job, wait=wait)


def _params(*, format_: str | None, no_formula_safe: bool, filters: tuple[dict[str, Any], ...], **given: Any) -> Any:
    given |= {"format": format_, "filters": list(filters) or None, "formula_safe": False if no_formula_safe else None}
    flags = {name: given[name] or None for name in ("bom", "split_multiple")}
    return {name: value for name, value in (given | flags).items() if value is not None}


@click.command()
@click.argument("job_id", metavar="ID")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Appears when all of it is there; until then FILE.part, from which the same command goes on.",
)
@click.option("--part", metavar="N", type=click.IntRange(min=0), help="Only this part of the result.")
@json_option
@pass_shell
def download(shell: Shell, job_id: str, output: Path, part: int | None) -> int:
    """Fetch what export ID has made, and check it."""
    if shell.interactive:
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(TextColumn("{task.description}"), *columns, console=shell.err, transient=True) as bar:
            task = bar.add_task(output.name, total=None)
            written = shell.client.jobs.download(
                job_id, output, part=part, on_bytes=lambda done, of: bar.update(task, completed=done, total=of)
            )
    else:
        written = shell.client.jobs.download(job_id, output, part=part)
    shell.answer({"path": str(output), "bytes": written}, lambda: shell.say(f"{output}: {written:,} bytes"))
    return exits.Exit.OK


COMMANDS: tuple[click.Command, ...] = (download,)
