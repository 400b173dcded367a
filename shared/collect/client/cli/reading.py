"""The commands that show jobs, their parts, audit, rejects, corrections and conflicts."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from collect.api.jobs import AuditEntry, Conflict, CorrectedRow, Job, Part, Reject
from collect.client.cli import exits, parameters, words
from collect.client.cli.console import Shell, json_option, pass_shell
from collect.jobs.states import State

job_argument = click.argument("job_id", metavar="ID")


@click.command("list")
@click.option("--state", type=click.Choice([state.value for state in State]))
@click.option("--kind")
@click.option("--by", "created_by", metavar="NAME", help="Who created it.")
@click.option("-q", "--query", "q", metavar="WORDS", help="Looked for in ids, names, datasets and reasons.")
@click.option("--since", type=parameters.Moment(), help=f"Created from then on. {parameters.MOMENT_HELP}")
@click.option("--until", type=parameters.Moment(), help=f"Created before then. {parameters.MOMENT_HELP}")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1))
@json_option
@pass_shell
def list_jobs(shell: Shell, /, limit: int, **filters: Any) -> None:
    """Jobs, newest first."""
    found = shell.client.jobs.list(**filters, most=limit)
    shell.answers(found, ("id", "kind", "state", "done", "created", "status"), _job_cells)


@click.command()
@job_argument
@json_option
@pass_shell
def show(shell: Shell, job_id: str) -> None:
    """One job, whole."""
    job = shell.client.jobs.get(job_id)
    shell.answer(job, lambda: words.job(shell, job))


@click.command()
@job_argument
@json_option
@pass_shell
def parts(shell: Shell, job_id: str) -> None:
    """The ranges that the job is run in, and who runs them."""
    headers = ("part", "phase", "status", "done", "total", "epoch", "worker")
    shell.answers(shell.client.jobs.parts(job_id), headers, _part_cells)


@click.command()
@job_argument
@json_option
@pass_shell
def audit(shell: Shell, job_id: str) -> None:
    """Who did what to the job, why, and how long it took to be in effect."""
    headers = ("no", "at", "verb", "from", "to", "in effect after", "by", "reason")
    shell.answers(shell.client.jobs.audit(job_id), headers, _audit_cells)


@click.command()
@job_argument
@click.option("-o", "--output", metavar="FILE", help="Write all rejects as a CSV, to be corrected; - is stdout.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="Without -o: how many.")
@click.option(
    "--summary",
    is_flag=True,
    help="The distinct bad values by column; with -o as a CSV to fill in for `correct --map`.",
)
@json_option
@pass_shell
def rejects(shell: Shell, job_id: str, output: str | None, limit: int, summary: bool) -> int:
    """Rows that were not written, and why."""
    headers = ("row", "field", "code", "message")
    if summary and output is not None:
        _save(shell, output, lambda path: shell.client.jobs.save_rejects_summary(job_id, path))
    elif summary:
        found = shell.client.jobs.rejects_summary(job_id)
        shell.answer(found, lambda: words.rejects_summary(shell, found, most=limit))
    elif output is not None:
        _save(shell, output, lambda path: shell.client.jobs.save_rejects(job_id, path))
    else:
        shell.answers(shell.client.jobs.rejects(job_id, most=limit), headers, _reject_cells)
    there = shell.client.jobs.rejects_stored(job_id)
    if there.stored < there.rejected:
        were = "row was" if there.rejected == 1 else "rows were"
        shell.say(f"{there.rejected:,} {were} rejected; {there.stored:,} of them are stored, the others counted.")
    return exits.Exit.OK


@click.command()
@job_argument
@click.option("-o", "--output", metavar="FILE", required=True, help="The CSV to write; - is stdout.")
@json_option
@pass_shell
def unprocessed(shell: Shell, job_id: str, output: str) -> int:
    """The rows that a stopped, failed or paused job never reached, as a CSV."""
    return _save(shell, output, lambda path: shell.client.jobs.save_unprocessed(job_id, path))


@click.command()
@job_argument
@click.option("--row", metavar="N", type=click.IntRange(min=1), help="Only this row of the file.")
@json_option
@pass_shell
def corrections(shell: Shell, job_id: str, row: int | None) -> None:
    """List the corrected rows of job ID: what was wrong, and the outcome."""
    headers = ("row", "revision", "code", "message", "corrected", "became", "at")
    shell.answers(shell.client.jobs.corrections(job_id, row=row), headers, _correction_cells)


@click.command()
@job_argument
@json_option
@pass_shell
def conflicts(shell: Shell, job_id: str) -> None:
    """What undo left alone, and why."""
    shell.answers(shell.client.jobs.conflicts(job_id), ("document", "why"), _conflict_cells)


def _save(shell: Shell, output: str, save: Callable[[Path], int]) -> int:
    """Save an answer to a file, or to stdout for ``-``. Returns the exit code.

    For stdout it is saved to a temporary file first, so that an answer that breaks off prints nothing.
    """
    if output != "-":
        written = save(Path(output))
        shell.answer({"path": output, "bytes": written}, lambda: shell.say(f"{output}: {written:,} bytes"))
        return exits.Exit.OK
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.csv"
        save(path)
        with path.open("rb") as saved:
            while piece := saved.read(1 << 20):
                sys.stdout.buffer.write(piece)
    return exits.Exit.OK


def _job_cells(job: Job) -> tuple[str, ...]:
    done = f"{job.progress.percent:.0f} %"
    return job.id, job.kind, job.state.value, done, words.moment(job.created_at), job.status


def _part_cells(part: Part) -> tuple[str, ...]:
    done, total = f"{part.done:,}", f"{part.total:,}"
    return str(part.n), part.phase, part.status, done, total, str(part.epoch), part.worker or ""


def _audit_cells(entry: AuditEntry) -> tuple[str, ...]:
    latency = "" if entry.latency_ms is None else f"{entry.latency_ms:.0f} ms"
    actor = entry.actor.name if entry.actor else ""
    moves = (entry.source or "", entry.target or "")
    return str(entry.seq), words.moment(entry.at), entry.verb, *moves, latency, actor, entry.reason or ""


def _reject_cells(reject: Reject) -> tuple[str, ...]:
    return str(reject.row), reject.field, reject.code, reject.message


def _correction_cells(one: CorrectedRow) -> tuple[str, ...]:
    at = "" if one.at is None else words.moment(one.at)
    return str(one.row), str(one.revision), one.code, one.message, one.corrected_line, one.became, at


def _conflict_cells(conflict: Conflict) -> tuple[str, ...]:
    return conflict.id, conflict.why


COMMANDS: tuple[click.Command, ...] = (list_jobs, show, parts, audit, rejects, corrections, unprocessed, conflicts)
