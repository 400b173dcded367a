"""Builds a correction from the corrected rows of a request: writes them as a CSV and stores it as a blob."""

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
from collect.protocol.corrections import Corrected
from collect.storage import parts, rejects
from gateway.jobs import csv_downloads
from gateway.jobs.sheet_lines import SheetLines
from gateway.schemas.cells import spelled
from gateway.services import services

MAX_BYTES = 32 * 1024 * 1024
"""Largest CSV of corrected rows, and largest total of their lines, in bytes. Both are held in memory."""
MOST_SHOWN = 20
"""Most rows that a message, or a warning's evidence, names one by one."""

_HOW_TO_READ = ("columns", "template", "unnamed", "gaps")
"""The fields of a part's source that a correction copies, so that its text is read with the file's own columns."""

Read = Callable[[Sheet, Template], Sequence[Given]]
"""A function that returns the rows to correct. It needs the names of the file's columns."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A correction that a request asks for: rows with their new cells, a map of values for all rejects, or both.

    ``cells``: the rules by which the new cells are written; ``None``: the rules of the job's params.
    ``changes_keys``: the caller agrees that rows get other keys. ``lines``: collects warnings about the lines of the
    CSV while it is read; ``None`` where the rows are not sent as a CSV.
    """

    read: Read | None = None
    cells: CellRules | None = None
    value_map: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    changes_keys: bool = False
    lines: SheetLines | None = None


@dataclass(frozen=True, kw_only=True)
class Correction:
    """The rows of a correction, with the stored reject of each row, and how they are read.

    ``text``: the rows as a CSV. ``planned``: the source of the job's own parts, which says how its file was read.
    """

    job: Job
    planned: Mapping[str, Any]
    sheet: Sheet
    template: Template
    given: Sequence[Given]
    rejects: Mapping[int, Mapping[str, Any]]
    text: bytes

    @property
    def rules(self) -> CellRules:
        """Return the rules by which the job reads cells."""
        return CellRules.of(self.job.params)

    def key_changes(self) -> list[KeyChange]:
        """Return the changes of key cells."""
        return correction_effects.key_changes(self.given, self.rejects, self.sheet, self.template, self.rules)

    def source(self, blob: str) -> Source:
        """Return the source by which a part reads the text, when it is stored as ``blob``."""
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
    """Return the correction that ``wanted`` asks for. Stores nothing.

    Raises:
        InvalidInput: the request is wrong in itself, or the map of values matches no rejected row.
        Conflict: the correction does not fit the job in its present state.
        TooLarge: the rows have more than ``MAX_BYTES``.
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


def prepare(job: Job, wanted: Wanted) -> Corrected:
    """Build the correction and store its text as a blob. No part reads the blob until the correction has begun.

    Raises:
        Conflict: a row would get another key, and ``wanted.changes_keys`` is not set.
        InvalidInput, Conflict, TooLarge: as in :func:`correction`.
    """
    made = correction(job, wanted)
    if not wanted.changes_keys:
        _refuse_other_keys(made)
    source = made.source(f"jobs/{job.id}/correction-{secrets.token_hex(6)}")
    services().blobs.write(source.blob, [made.text])
    document = source.document()
    return Corrected(
        revisions={row: rejects.revision_of(reject) for row, reject in made.rejects.items()},
        source={
            **document,
            **{name: made.planned[name] for name in _HOW_TO_READ if name in made.planned},
            "v": max(document["v"], made.planned["v"]),
        },
        cursor=cursor(source.start, source.first_row),
    )


def discard(job: Job, corrected: Corrected) -> None:
    """Delete the text of a correction that has not begun.

    Keeps the text when a part reads it: the correction may have begun in a commit whose answer was lost.
    """
    blob = corrected.source["blob"]
    if not parts.is_read(services().db, job_id=job.id, blob=blob):
        services().blobs.delete(blob)


def sheet_of(job: Job, template: Template, planned: Mapping[str, Any]) -> Sheet:
    """Return the columns of the job's file.

    Raises:
        Conflict: the file cannot be read.
    """
    opened = csv_downloads.open_input(services().blobs, job, template)
    headers = tuple(csv_downloads.header_names(opened, template))
    return Sheet(headers=headers, columns=tuple(planned["columns"]), delimiter=planned["delimiter"])


def _given(job: Job, wanted: Wanted, sheet: Sheet, template: Template) -> list[Given]:
    """Return the rows of the request and the rows that the map of values changes, by row number.

    A cell of the request wins over the map. When there are more rows than a correction may have, the first rows that
    the map changes are taken and the others stay rejected.

    Raises:
        InvalidInput: the map of values matches no rejected row.
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
    """Return the texts with numbers of the JSON body written with the decimal mark of the job's file."""
    return {name: spelled(text, rules.decimal) for name, text in texts.items()}


def _as_typed(one: Given) -> Given:
    """Return a row of a JSON body, so that its texts are stored unchanged although the job removes guards.

    A guard is the apostrophe that an export puts before a text that looks like a formula.
    """
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
    """Return a sentence that names the old and the new key of a row."""
    before, after = (csv_corrections.shown(text) for text in (change.before, change.after))
    return f"Row {change.row:,}: {change.column} {before} becomes {after}."


def rows_of(changes: Sequence[KeyChange]) -> str:
    """Return the number of rows that get another key, in words."""
    count = len({change.row for change in changes})
    return "1 row" if count == 1 else f"{count:,} rows"


def _lacking(reject: Mapping[str, Any]) -> list[str]:
    return [error["field"] for error in reject["errors"] if error["code"] == "no_cell"]


def _planned(job: Job, template: Template) -> dict[str, Any]:
    """Return the source of the job's own parts, which says how the file's rows were read.

    Raises:
        Conflict: no row of the file has been read, or the dataset's template has changed since.
    """
    source = parts.planned(services().db, job_id=job.id)
    if source is None:
        raise Conflict("No row of the file has been read yet.", code="no_plan")
    if source["template"] != template.fingerprint():
        raise Conflict(
            "The template of the dataset has changed since the file was read, so its rows can no longer be corrected "
            "one by one. Restart the job with a corrected file.",
            code="template_changed",
        )
    return source
