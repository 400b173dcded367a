"""Commands that start jobs, or say what one would do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from collect.client.cli import exits, words
from collect.client.cli.console import Shell, json_option, pass_shell
from collect.client.cli.watching import follow
from collect.client.models import File, Job, Preview

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Share(click.ParamType[dict[str, float]]):
    """A number of rows, or a share of all rows: ``100`` or ``20%``."""

    name = "N|N%"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        if isinstance(value, dict):
            return value
        try:
            return {"percent": float(value[:-1])} if value.endswith("%") else {"rows": int(value)}
        except ValueError:
            self.fail(f"{value!r} is neither a number of rows nor a share like 20%.", param, ctx)


class Mapping(click.ParamType[tuple[str, str | None]]):
    """``HEADER=COLUMN``; an empty column leaves the header out."""

    name = "HEADER=COLUMN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str | None]:
        if isinstance(value, tuple):
            return value
        header, equals, column = value.rpartition("=")
        if not equals:
            self.fail(f"{value!r} is not of the form HEADER=COLUMN.", param, ctx)
        return header, column or None


def _upload_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--mode", type=click.Choice(["insert", "upsert"]), help="Default: insert."),
        click.option("--max-rejected", type=Share(), help="Pause above so many rejected rows: 100, or 20%."),
        click.option("--column-map", type=Mapping(), multiple=True, help="Read a header as another column."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _params(file: File, dataset: str, **given: Any) -> dict[str, Any]:
    given["column_map"] = dict(given["column_map"]) if given.get("column_map") else None
    chosen = {name: value for name, value in given.items() if value is not None}
    return {"file_id": file.id, "dataset": dataset, **chosen}


@click.group()
@json_option
def create() -> None:
    """Start a job."""


@create.command("upload")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--dataset", required=True, help="Where the rows go.")
@_upload_options
@click.option(
    "--on-conflict",
    type=click.Choice(["reject", "queue", "supersede"]),
    help="If the dataset is held. Default: reject.",
)
@click.option("--supersedes", metavar="ID", help="The job that this one replaces; implies --on-conflict supersede.")
@click.option("--max-rows-per-second", type=click.FloatRange(min=0, min_open=True), help="Write no faster than this.")
@click.option("--priority", type=click.Choice(["low", "normal", "high"]))
@click.option("--reason", help="Why; shown with the job.")
@click.option("--idempotency-key", metavar="KEY", help="Running this again with the same key starts nothing twice.")
@click.option("--wait", is_flag=True, help="Follow the job until it rests; 0 only if it succeeded.")
@json_option
@pass_shell
def create_upload(
    shell: Shell,
    /,
    path: Path,
    dataset: str,
    max_rows_per_second: float | None,
    priority: str | None,
    reason: str | None,
    idempotency_key: str | None,
    wait: bool,
    **given: Any,
) -> int:
    """Upload a CSV (plain or gzip) into a dataset."""
    if given["supersedes"] and given["on_conflict"] is None:
        given["on_conflict"] = "supersede"
    file = send(shell, path, idempotency_key=f"{idempotency_key}-file" if idempotency_key else None)
    params = _params(file, dataset, **given)
    job = shell.client.jobs.create(
        "upload",
        params,
        reason=reason,
        priority=priority,
        max_rows_per_second=max_rows_per_second,
        idempotency_key=idempotency_key,
    )
    return started(shell, job, wait=wait)


@click.command()
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--dataset", default="baseline", show_default=True)
@_upload_options
@json_option
@pass_shell
def preview(shell: Shell, /, path: Path, dataset: str, **given: Any) -> int:
    """What uploading FILE would do; starts nothing."""
    file = send(shell, path)
    found = shell.client.jobs.preview("upload", _params(file, dataset, **given))
    shell.answer(found, lambda: words.preview(shell, found))
    return exits.Exit.OK if _is_fine(found) else exits.Exit.OTHERWISE


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--reason", required=True, help="Why; kept in the audit.")
@click.option("--file", "path", type=FILE, help="A corrected file instead of the first one.")
@click.option("--params", metavar="JSON", help="Params that differ from the first ones, as a JSON object.")
@click.option("--wait", is_flag=True, help="Follow the new job until it rests.")
@json_option
@pass_shell
def restart(shell: Shell, job_id: str, reason: str, path: Path | None, params: str | None, wait: bool) -> int:
    """A new job like job ID, with the same or a corrected file."""
    changed = _json_object(params) if params is not None else None
    file_id = send(shell, path).id if path is not None else None
    job = shell.client.jobs.restart(job_id, reason=reason, file_id=file_id, params=changed)
    return started(shell, job, wait=wait)


def started(shell: Shell, job: Job, *, wait: bool) -> int:
    """Say what was started, and follow it if so wished."""
    if not wait:
        shell.answer(job, lambda: words.job(shell, job))
        return exits.Exit.OK
    shell.say(f"Job {job.id}")
    job = follow(shell, job.id, until="rest", lines=False)
    shell.answer(job, lambda: words.job(shell, job))
    return exits.of_job(job)


def send(shell: Shell, path: Path, *, idempotency_key: str | None = None) -> File:
    """Send the file, with a bar when somebody looks."""
    if not shell.interactive:
        return shell.client.files.upload(path, idempotency_key=idempotency_key)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=shell.err, transient=True) as bar:
        task = bar.add_task(f"Sending {path.name}", total=path.stat().st_size)
        return shell.client.files.upload(
            path, idempotency_key=idempotency_key, on_bytes=lambda sent, _: bar.update(task, completed=sent)
        )


def _is_fine(found: Preview) -> bool:
    return found.ok and not found.errors


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--params") from error
    if not isinstance(value, dict):
        raise click.BadParameter("a JSON object is needed", param_hint="--params")
    return value


COMMANDS: tuple[click.Command, ...] = (create, preview, restart)
