"""The commands that start jobs, and the command that previews one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from collect.api.data import File
from collect.api.jobs import Job
from collect.api.previews import Preview
from collect.client.cli import exits, file_options, parameters, suggestions, words
from collect.client.cli.console import Shell, json_option, pass_shell
from collect.client.cli.watching import follow
from collect.jobs import restarts

file_argument = click.argument("path", metavar="FILE", type=parameters.FILE)
_of_file_jobs = parameters.together(
    file_options.reading,
    parameters.contended,
    parameters.apply_suggestions,
    parameters.max_rows_per_second,
    parameters.starting,
    json_option,
    pass_shell,
)


@click.group()
@json_option
def create() -> None:
    """Start a job."""


@create.command("upload")
@file_argument
@click.option("--dataset", required=True, help="Where the rows go.")
@parameters.mode("insert", "upsert")
@parameters.max_rejected
@parameters.column_map
@_of_file_jobs
def create_upload(shell: Shell, /, path: Path, **given: Any) -> int:
    """Upload a CSV (plain or gzip) into a dataset."""
    return _create(shell, "upload", path, **given)


@create.command("teams")
@file_argument
@parameters.mode("create", "upsert")
@parameters.max_rejected
@parameters.column_map
@parameters.column_shift
@_of_file_jobs
def create_teams(shell: Shell, /, path: Path, **given: Any) -> int:
    """Create teams from a CSV (plain or gzip), or change them: a row is a team, its managers and its members."""
    return _create(shell, "teams", path, **given)


def _create(
    shell: Shell,
    kind: str,
    path: Path,
    *,
    apply_suggestions: bool,
    max_rows_per_second: float | None,
    priority: str | None,
    reason: str | None,
    idempotency_key: str | None,
    wait: bool,
    **given: Any,
) -> int:
    if given["supersedes"] and given["on_conflict"] is None:
        given["on_conflict"] = "supersede"
    file = send(shell, path, idempotency_key=f"{idempotency_key}-file" if idempotency_key else None)
    params = {"file_id": file.id, **file_options.params(given)}
    if apply_suggestions:
        params = suggestions.applied(shell, kind, params)
    job = shell.client.jobs.create(
        kind,
        params,
        reason=reason,
        priority=priority,
        max_rows_per_second=max_rows_per_second,
        idempotency_key=idempotency_key,
    )
    return started(shell, job, wait=wait)


@click.command()
@file_argument
@click.option("--kind", type=click.Choice(["upload", "teams"]), default="upload", show_default=True)
@click.option("--dataset", default="baseline", show_default=True, help="Where an upload's rows would go.")
@parameters.mode("insert", "create", "upsert")
@parameters.max_rejected
@parameters.column_map
@parameters.column_shift
@file_options.reading
@json_option
@pass_shell
def preview(shell: Shell, /, path: Path, kind: str, dataset: str, **given: Any) -> int:
    """What a job with FILE would do; starts nothing."""
    file = send(shell, path)
    where = {"dataset": dataset} if kind == "upload" else {}
    found = shell.client.jobs.preview(kind, {"file_id": file.id, **where, **file_options.params(given)})
    shell.answer(found, lambda: words.preview(shell, found))
    return exits.Exit.OK if _is_fine(found) else exits.Exit.OTHERWISE


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--reason", required=True, help="Why; kept in the audit.")
@click.option("--file", "path", type=parameters.FILE, help="A corrected file instead of the first one.")
@click.option("--params", metavar="JSON", help="Params that differ from the first ones, as a JSON object.")
@parameters.mode("insert", "create", "upsert")
@parameters.max_rejected
@parameters.column_map
@parameters.column_shift
@file_options.reading
@parameters.apply_suggestions
@parameters.max_rows_per_second
@click.option("--priority", type=click.Choice(["low", "normal", "high"]))
@click.option(
    "--confirm",
    type=click.Choice(["auto", "always", "never"]),
    help="Whether it waits for a confirmation, if it is large.",
)
@click.option("--preview", "only_preview", is_flag=True, help="Only say what the new job would do.")
@click.option("--wait", is_flag=True, help="Follow the new job until it rests.")
@json_option
@pass_shell
def restart(
    shell: Shell,
    /,
    job_id: str,
    reason: str,
    path: Path | None,
    params: str | None,
    apply_suggestions: bool,
    wait: bool,
    only_preview: bool,
    priority: str | None,
    confirm: str | None,
    max_rows_per_second: float | None,
    **given: Any,
) -> int:
    """A new job like job ID, with the same or a corrected file, or with its columns read otherwise.

    Its speed, limit of rejects, priority, time limit and rule of confirmation are those that job ID had last.
    """
    limits = {"priority": priority, "confirm": confirm, "max_rows_per_second": max_rows_per_second}
    changed = (_json_object(params) if params is not None else {}) | file_options.params(given)
    file_id = send(shell, path).id if path is not None else None
    if apply_suggestions:
        changed = _with_suggestions(shell, job_id, changed, file_id)
    asked: dict[str, Any] = {"reason": reason, "file_id": file_id, "params": changed or None, **limits}
    if only_preview:
        found = shell.client.jobs.will_restart(job_id, **asked)
        shell.answer(found, lambda: words.preview(shell, found))
        return exits.Exit.OK if _is_fine(found) else exits.Exit.OTHERWISE
    job = shell.client.jobs.restart(job_id, **asked)
    return started(shell, job, wait=wait)


def _with_suggestions(shell: Shell, job_id: str, changed: dict[str, Any], file_id: str | None) -> dict[str, Any]:
    """Return the changed params, with the suggestions for columns from the preview of the new job."""
    parent = shell.client.jobs.get(job_id)
    given = {**changed, **({"file_id": file_id} if file_id else {})}
    other_file = restarts.reads_other_file(parent.params, given)
    params = suggestions.applied(shell, parent.kind, restarts.params(parent.params, given, other_file=other_file))
    return changed | {name: params[name] for name in suggestions.HOW_COLUMNS_ARE_READ & params.keys()}


def started(shell: Shell, job: Job, *, wait: bool) -> int:
    """Show the job that was started; with ``wait``, follow it until it rests. Returns the exit code."""
    if not wait:
        shell.answer(job, lambda: words.job(shell, job))
        return exits.Exit.OK
    shell.say(f"Job {job.id}")
    job = follow(shell, job.id, until="rest", lines=False)
    shell.answer(job, lambda: words.job(shell, job))
    return exits.of_job(job)


def send(shell: Shell, path: Path, *, idempotency_key: str | None = None) -> File:
    """Upload the file and return it. Shows a progress bar on a terminal."""
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
