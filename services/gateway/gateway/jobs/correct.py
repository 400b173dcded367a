"""From rows that somebody has mended to a correction: their text, as an input of its own, and where it is read."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from collect.csv import corrected_text, correction_effects, guards, value_maps
from collect.csv import corrections as csv_corrections
from collect.csv.cells import CellRules
from collect.csv.correction_effects import KeyChange
from collect.csv.corrections import Given, Sheet
from collect.csv.reading import Source, cursor
from collect.errors import Conflict, FieldError, InvalidInput
from collect.jobs.model import Job
from collect.jobs.template import Template
from collect.protocol import corrections
from collect.protocol.corrections import Mended
from collect.storage import parts, rejects
from gateway.jobs import csv_downloads
from gateway.jobs.sheet_lines import SheetLines
from gateway.schemas.cells import spelled
from gateway.services import services

MAX_BYTES = 32 * 1024 * 1024
"""Of a CSV of mended rows, and of their lines together: they are put together in memory."""
MOST_SHOWN = 20
"""Rows that a message, or a warning's evidence, names one by one."""

_HOW_TO_READ = ("columns", "template", "unnamed", "gaps")
"""What a correction is read with as the file's own parts are."""

Read = Callable[[Sheet, Template], Sequence[Given]]
"""Says which rows are to be corrected, once it is known what the file's columns are called."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A correction as it is asked for: rows with their new cells, a map of values for all rejects, or both.

    ``cells``: how the new cells of rows are written; ``None`` where they are as the job's params say. ``changes_keys``:
    the caller knows that rows get other keys. ``lines``: what the lines of the CSV look like, once it was read.
    """

    read: Read | None = None
    cells: CellRules | None = None
    value_map: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    changes_keys: bool = False
    lines: SheetLines | None = None


@dataclass(frozen=True, kw_only=True)
class Correction:
    """The rows of a correction, each with its reject, and how they are read."""

    job: Job
    planned: Mapping[str, Any]
    sheet: Sheet
    template: Template
    given: Sequence[Given]
    rejects: Mapping[int, Mapping[str, Any]]
    text: bytes

    @property
    def rules(self) -> CellRules:
        """How the job reads cells."""
        return CellRules.of(self.job.params)

    def key_changes(self) -> list[KeyChange]:
        """Key cells that become others."""
        return correction_effects.key_changes(self.given, self.rejects, self.sheet, self.template, self.rules)

    def source(self, blob: str) -> Source:
        """How the text is read, once it is stored as ``blob``."""
        return Source(
            blob=blob,
            start=0,
            end=len(self.text),
            first_row=1,
            delimiter=self.sheet.delimiter,
            numbers=tuple(one.row for one in self.given),
            strict=False,
            every_line=True,
        )


def correction(job: Job, wanted: Wanted) -> Correction:
    """Return the rows, put together. Nothing is stored.

    Raises:
        InvalidInput: what was sent is not right in itself, or a map of values matches nothing.
        Conflict: it does not fit to the job as it is.
        TooLarge: the rows are too much to be put together.
    """
    db = services().db
    template = csv_downloads.template_of(db, job)
    planned = _planned(job, template)
    sheet = sheet_of(job, template, planned)
    given = _given(job, wanted, sheet, template)
    found = corrections.correctable(db, job, [one.row for one in given], most_bytes=MAX_BYTES)
    lines = {row: reject["line"] for row, reject in found.items()}
    text = csv_corrections.text_of(
        given, lines, sheet, lacking={row: _lacking(reject) for row, reject in found.items()}
    )
    return Correction(
        job=job, planned=planned, sheet=sheet, template=template, given=given, rejects=found, text=text
    )  # fmt: skip


def prepare(job: Job, wanted: Wanted) -> Mended:
    """Put the rows together and store their text, which nobody finds until the correction has begun.

    Raises as :func:`correction` does, and ``Conflict`` for a row that gets another key, unless the caller knows.
    """
    made = correction(job, wanted)
    if not wanted.changes_keys:
        _refuse_other_keys(made)
    source = made.source(f"jobs/{job.id}/correction-{secrets.token_hex(6)}")
    services().blobs.write(source.blob, [made.text])
    document = source.document()
    return Mended(
        revisions={row: rejects.revision_of(reject) for row, reject in made.rejects.items()},
        source={
            **document,
            **{name: made.planned[name] for name in _HOW_TO_READ if name in made.planned},
            "v": max(document["v"], made.planned["v"]),
        },
        cursor=cursor(source.start, source.first_row),
    )


def discard(job: Job, mended: Mended) -> None:
    """Remove the text of rows whose correction has not begun; what may have been begun by a lost commit is kept."""
    blob = mended.source["blob"]
    if not parts.is_read(services().db, job_id=job.id, blob=blob):
        services().blobs.delete(blob)


def sheet_of(job: Job, template: Template, planned: Mapping[str, Any]) -> Sheet:
    """Return the columns of the job's file.

    Raises:
        Conflict: it cannot be read.
    """
    opened = csv_downloads.open_input(services().blobs, job, template)
    headers = tuple(csv_downloads.header_names(opened, template))
    return Sheet(headers=headers, columns=tuple(planned["columns"]), delimiter=planned["delimiter"])


def _given(job: Job, wanted: Wanted, sheet: Sheet, template: Template) -> list[Given]:
    """The rows that are given, and those that the map of values changes; a cell that is given wins.

    Of more rows than a correction may have, the first that the map changes are taken. The others stay rejected.
    """
    rules = CellRules.of(job.params)
    given = {one.row: one for one in (wanted.read(sheet, template) if wanted.read else ())}
    given = {row: replace(one, cells=_spelled(one.cells, rules)) for row, one in given.items()}
    if wanted.cells is not None:
        given = {row: corrected_text.row(one, sheet, template, wanted.cells, rules) for row, one in given.items()}
    if rules.formula_guarded:
        given = {row: one if one.is_line else _as_typed(one) for row, one in given.items()}
    if wanted.value_map:
        stored = corrections.uncorrected(services().db, job, most_bytes=MAX_BYTES)
        value_map = {name: _spelled(values, rules) for name, values in wanted.value_map.items()}
        changed = value_maps.corrected(stored, value_map, sheet, template, rules)
        if not changed:
            raise _nothing_matches(wanted.value_map)
        for one in map(_as_typed, changed) if rules.formula_guarded else changed:
            own = given.get(one.row)
            if own is not None:
                mapped = frozenset(one.cells) - own.cells.keys()
                given[one.row] = replace(own, cells={**one.cells, **own.cells}, mapped=mapped)
            elif len(given) < csv_corrections.MOST_ROWS:
                given[one.row] = one
    return [given[row] for row in sorted(given)]


def _spelled(texts: Mapping[Any, str], rules: CellRules) -> dict[Any, str]:
    """Texts with numbers of JSON as the job's file has them."""
    return {name: spelled(text, rules.decimal) for name, text in texts.items()}


def _as_typed(one: Given) -> Given:
    """Return a row of JSON whose texts are stored as they were typed, though the job takes guards off its file's."""
    return replace(one, cells={place: guards.typed(text) for place, text in one.cells.items()})


def _nothing_matches(value_map: Mapping[str, Mapping[str, str]]) -> InvalidInput:
    columns = ", ".join(value_map)
    said = (
        f"No rejected row that can be corrected has one of these values where it is wrong ({columns}). The values of a "
        "value_map are those of rejects?summary=true, to the letter; one that stands for itself changes nothing."
    )
    return InvalidInput(said, code="nothing_matches", errors=[FieldError("value_map", "nothing_matches", said)])


def _refuse_other_keys(made: Correction) -> None:
    changes = [change for change in made.key_changes() if not change.was_wrong]
    if not changes:
        return
    told = [said_of_key(change) for change in changes[:MOST_SHOWN]]
    if len(changes) > MOST_SHOWN:
        told.append(f"And {len(changes) - MOST_SHOWN:,} more.")
    raise Conflict(
        f"{rows_of(changes)} would be written with another key, though the key was not what was wrong. "
        f"{' '.join(told)} Set change_keys to true if that is meant; else leave the column out.",
        code="key_changed",
        errors=[FieldError(str(change.row), "key_changed", said_of_key(change)) for change in changes[:MOST_SHOWN]],
    )


def said_of_key(change: KeyChange) -> str:
    """Which key becomes which, as a sentence."""
    before, after = (csv_corrections.shown(text) for text in (change.before, change.after))
    return f"Row {change.row:,}: {change.column} {before} becomes {after}."


def rows_of(changes: Sequence[KeyChange]) -> str:
    """How many rows get another key, in words."""
    count = len({change.row for change in changes})
    return "1 row" if count == 1 else f"{count:,} rows"


def _lacking(reject: Mapping[str, Any]) -> list[str]:
    return [error["field"] for error in reject["errors"] if error["code"] == "no_cell"]


def _planned(job: Job, template: Template) -> dict[str, Any]:
    """How the file's rows were read.

    Raises:
        Conflict: they were not, or by another template than there is now.
    """
    source = parts.planned(services().db, job_id=job.id)
    if source is None:
        raise Conflict("No row of the file has been read yet.", code="no_plan")
    if source["template"] != template.fingerprint():
        raise Conflict(
            "The template of the dataset has changed since the file was read, so its rows can no longer be mended "
            "one by one. Restart the job with a corrected file.",
            code="template_changed",
        )
    return source
