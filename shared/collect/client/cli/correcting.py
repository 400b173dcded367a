"""The command `correct`: runs rejected rows once more, corrected by a file or by a map of values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.text import Text

from collect.api.jobs import CorrectionPreview
from collect.client.cli import exits, file_options, parameters, words
from collect.client.cli.console import Shell, json_option, pass_shell
from collect.client.cli.control import tell
from collect.client.cli.watching import follow


@click.command()
@click.argument("job_id", metavar="ID")
@click.argument("path", metavar="[FILE]", required=False, type=parameters.FILE)
@click.option(
    "--map",
    "value_map",
    type=file_options.Values(),
    multiple=True,
    help="Correct every reject with one of these values: COLUMN=FILE, or what `rejects --summary -o FILE` has written.",
)
@file_options.written
@click.option("--change-keys", is_flag=True, help="Rows may get another key though theirs was not what was wrong.")
@click.option("--preview", "only_preview", is_flag=True, help="Only say what would be corrected.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked either.")
@click.option("--reason", help="Why; kept in the audit.")
@click.option("--wait", is_flag=True, help="Follow the job until it rests.")
@json_option
@pass_shell
def correct(
    shell: Shell,
    /,
    job_id: str,
    path: Path | None,
    change_keys: bool,
    only_preview: bool,
    yes: bool,
    reason: str | None,
    wait: bool,
    **given: Any,
) -> int:
    """Correct rejected rows of job ID and run them again. FILE is the corrected file that `rejects ID -o FILE` wrote.

    To correct by value: `rejects ID --summary -o values.csv`, fill in `replacement`, `correct ID --map values.csv`.
    """  # fmt: skip
    asked = _asked(path, given)
    if only_preview or (shell.interactive and not yes):
        found = shell.client.jobs.will_correct(job_id, **asked)
        shell.answer(found, lambda: _say(shell, found))
        if only_preview:
            return exits.Exit.OK
        if found.changes_keys and not change_keys:
            click.confirm("Correct them with these keys?", abort=True, err=True)
            change_keys = True
        elif found.warnings:
            click.confirm("Correct them all the same?", abort=True, err=True)
    job = shell.client.jobs.correct(job_id, **asked, change_keys=change_keys, reason=reason)
    if not wait:
        tell(shell, job)
        return exits.Exit.OK
    job = follow(shell, job_id, until="rest", lines=False)
    shell.answer(job, lambda: words.job(shell, job))
    return exits.of_job(job)


def _asked(path: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the client's ``correct`` for these options.

    Raises:
        click.UsageError: neither a file nor a map was given.
    """
    asked = file_options.params(given)
    if path is None and "value_map" not in asked:
        raise click.UsageError("Give the FILE with the corrected rows, or --map with values and their replacements.")
    return {"path": path, **asked} if path else {"value_map": asked["value_map"]}


def _say(shell: Shell, found: CorrectionPreview) -> None:
    rows = "1 rejected row" if found.rows == 1 else f"{found.rows:,} rejected rows"
    shell.err.print(f"{rows} would run once more.")
    for notice in found.warnings:
        shell.err.print(Text(f"Warning: {notice.message}", style="yellow"))
    if found.rejects.rejected_rows:
        shell.err.print(f"{found.rejects.rejected_rows:,} of them would be rejected again:")
    for item in found.rejects.items[: words.MOST_SAMPLED]:
        shell.err.print(Text(f"  row {item.row:,}: {item.message}"))
    if found.conflict:
        shell.err.print(Text(f"Held now by job {found.conflict.holder}.", style="yellow"))


COMMANDS: tuple[click.Command, ...] = (correct,)
