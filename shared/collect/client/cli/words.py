"""Prints answers of the API as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from collect.api.answers import Warning
from collect.api.jobs import Action, Job, RejectsSummary, UndoPreview
from collect.api.previews import (
    ExportPreview,
    FileColumn,
    Preview,
    SampledRejects,
    TeamChanges,
    TeamsPreview,
    UploadPreview,
)
from collect.client.cli import suggestions
from collect.client.cli.console import Shell

MOST_SAMPLED = 5


def job(shell: Shell, found: Job) -> None:
    """Print all fields of a job."""
    grid = Table.grid(padding=(0, 2))
    for name, value in _job_lines(found):
        grid.add_row(Text(name, style="bold"), Text(value))
    shell.out.print(grid)


def _job_lines(found: Job) -> list[tuple[str, str]]:
    progress = found.progress
    total = "?" if progress.total is None else f"{progress.total:,}"
    lines: list[tuple[str, str | None]] = [
        ("job", found.id),
        ("state", found.state.value),
        ("status", found.status),
        ("rows", f"{progress.succeeded:,} written, {progress.rejected:,} rejected, of {total}"),
        ("reason", None if found.reason is None else f"{found.reason.code}: {found.reason.message}"),
        ("hint", None if found.reason is None else found.reason.hint),
        ("waiting for", found.waiting_for),
        ("starts at", moment(found.start_at) if found.start_at and not found.started_at else None),
        ("resumes at", moment(found.until) if found.until else None),
        ("params", ", ".join(f"{name}={_short(value)}" for name, value in found.params.items())),
        ("created", f"{moment(found.created_at)}{f' by {found.created_by.name}' if found.created_by else ''}"),
        ("restart of", found.parent_id),
        ("last action", None if found.last_action is None else action(found.last_action)),
        ("conflicts", str(found.conflicts) if found.conflicts else None),
        ("undo until", moment(found.undo_until) if found.undo_until else None),
        ("allowed", ", ".join(found.allowed_verbs) or "nothing"),
    ]
    return [(name, value) for name, value in lines if value]


def action(last: Action) -> str:
    """Return a line about a job's last verb, and how long it took."""
    said = last.verb
    if last.actor is not None:
        said += f" by {last.actor.name}"
    if last.reason:
        said += f" ({last.reason})"
    if last.requested_at and last.effective_at:
        said += f", in effect after {milliseconds(last.requested_at, last.effective_at)} ms"
    if last.requested_at and last.slots_free_at:
        said += f", slots free after {milliseconds(last.requested_at, last.slots_free_at)} ms"
    return said


def preview(shell: Shell, would: Preview) -> None:
    """Print the preview of a job."""
    shell.out.print(_extent(would))
    if isinstance(would, ExportPreview) and would.confirm_required:
        shell.out.print(Text("It would wait for a confirmation.", style="yellow"))
    if isinstance(would, UploadPreview) and would.columns:
        _columns(shell, would.columns)
    if isinstance(would, TeamsPreview):
        shell.out.print(Text("\n".join(_teams(would.teams, would.total_rows))))
        for effect in would.effects:
            shell.out.print(Text(f"  {effect}"))
    for warning in would.warnings:
        _warning(shell, warning)
    for error in would.errors:
        shell.out.print(Text(f"Error: {error.message}", style="red"))
    if isinstance(would, UploadPreview) and would.rejects.rejected_rows:
        _sampled_rejects(shell, would.rejects)
    if would.holder:
        shell.out.print(Text(f"Held now by job {would.holder}.", style="yellow"))


def _columns(shell: Shell, columns: list[FileColumn]) -> None:
    table = Table("header", "column", "type seen", "samples", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        samples = ", ".join(_short(sample) for sample in column.samples[:3])
        cells = (column.header, column.mapped_to or "(left out)", column.type_seen or "", samples)
        table.add_row(*(Text(cell) for cell in cells))
    shell.out.print(table)


def _warning(shell: Shell, warning: Warning) -> None:
    shell.out.print(Text(f"Warning: {warning.message}", style="yellow"))
    if warning.suggestion:
        or_apply = ", or --apply-suggestions" if suggestions.is_applicable(warning.suggestion) else ""
        shell.out.print(Text(f"  add {suggestions.options(warning.suggestion)}{or_apply}"))


def _teams(found: TeamChanges, total_rows: int | None) -> Iterator[str]:
    some = "" if found.examined_rows == total_rows else f" of the {found.examined_rows:,} rows that were looked at,"
    yield (
        f"teams:{some} {found.created:,} would be created, {found.changed:,} changed, {found.unchanged:,} left as they "
        f"are, {found.rejected:,} rejected"
    )
    yield f"people: {found.new_members:,} would be new"
    if found.managers_changed:
        yield f"managers: {found.managers_changed:,} teams would have others"
    if found.duplicate_names:
        yield f"names: {found.duplicate_names:,} stand there more than once"
    if found.phones_in_several_teams:
        yield f"phones: {found.phones_in_several_teams:,} would be in several teams"


def _extent(would: Preview) -> str:
    export = would if isinstance(would, ExportPreview) else None
    about = "about " if export is not None and not export.exact else ""
    words = ["an unknown number of rows" if would.total_rows is None else f"{about}{would.total_rows:,} rows"]
    if export is not None:
        words.append(f"about {export.bytes / 1e6:,.1f} MB")
    if would.seconds is not None:
        words.append(f"about {would.seconds:.0f} s")
    return ", ".join(words)


def _sampled_rejects(shell: Shell, rejects: SampledRejects) -> None:
    exact = "" if rejects.estimate == rejects.rejected_rows else "about "
    shell.out.print(
        f"{exact}{rejects.estimate:,} rows would be rejected "
        f"({rejects.rejected_rows:,} of the {rejects.sampled_rows:,} that were looked at)"
    )
    for item in rejects.items[:MOST_SAMPLED]:
        shell.out.print(Text(f"  row {item.row:,}: {item.message}"))


def rejects_summary(shell: Shell, found: RejectsSummary, *, most: int) -> None:
    """Print the errors by column and code, with at most ``most`` values of each, the most frequent first."""
    for item in found.items:
        rows = "1 row" if item.count == 1 else f"{item.count:,} rows"
        shell.out.print(Text(f"{item.field or 'the row as a whole'}: {item.code}, {rows}", style="bold"))
        table = Table("value", "rows", box=None, pad_edge=False, header_style="bold")
        for value in item.values[:most]:
            table.add_row(Text(repr(_short(value.value))), Text(f"{value.count:,}"))
        if item.values:
            shell.out.print(table)
        if item.distinct > min(most, len(item.values)):
            shell.out.print(f"and {item.distinct - min(most, len(item.values)):,} other values")
    if not found.items:
        shell.out.print("No row is rejected.")


def will_undo(found: UndoPreview) -> str:
    """Return sentences that say what would be taken back."""
    seconds = "" if found.seconds is None else f" It takes about {found.seconds:.0f} s."
    conflicts = f" {found.conflicts:,} were changed by others since and stay." if found.conflicts else ""
    held = f" It is refused as long as job {found.holder} holds the dataset." if found.holder else ""
    return (
        f"{found.will_delete:,} documents would be deleted, {found.will_restore:,} restored.{conflicts}{seconds}{held}"
    )


def moment(at: datetime) -> str:
    """Return a time in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def milliseconds(start: datetime, end: datetime) -> int:
    """Return the milliseconds from ``start`` to ``end``."""
    return round((end - start).total_seconds() * 1000)


def _short(value: Any, *, most: int = 60) -> str:
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
