"""The preview of a correction: how many rows it has, and what it changes apart from the wrong cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from collect.api.answers import Holder, Warning
from collect.api.jobs import CorrectionPreview, RejectedAgain, StillWrong
from collect.csv import correction_effects, corrections
from collect.csv.correction_effects import CellChange, KeyChange
from collect.csv.layout import Layout, keeps_blanks
from collect.csv.reading import cursor, lots
from collect.csv.validation import Valid, Validator
from collect.errors import FieldError
from collect.jobs.model import Job
from collect.storage import locks
from gateway.jobs import correct, corrected_keys
from gateway.jobs.correct import MOST_SHOWN, Correction, Wanted, rows_of, said_of_key
from gateway.jobs.corrected_keys import CorrectedRow, KeyEffects
from gateway.kinds import table
from gateway.services import services

LOT_ROWS = 5_000
LOT_BYTES = 8 * 1024 * 1024
MOST_CELLS = 5
"""Most changed cells of one column that a warning shows."""


def preview(job: Job, wanted: Wanted) -> CorrectionPreview:
    """Return what the correction would do. Stores nothing, and runs nothing.

    Raises:
        InvalidInput, Conflict, TooLarge: as in :func:`gateway.jobs.correct.correction`.
    """
    made = correct.correction(job, wanted)
    keys = made.key_changes()
    wrong, valid = _checked(made)
    effects = _key_effects(made, valid, keys)
    holder = locks.holders(services().db, [job.lock]).get(job.lock) if job.lock else None
    return CorrectionPreview(
        ok=True,
        rows=len(made.given),
        warnings=[
            *_other_keys(keys),
            *effects.warnings(),
            *([] if wanted.lines is None else wanted.lines.warnings()),
            *_other_cells(made),
            *_left_out(made),
        ],
        errors=[],
        conflict=None if holder is None or holder == job.id else Holder(holder=holder),
        rejects=_rejected_again(wrong | effects.rejects),
    )


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A text in memory, with the methods by which a blob is read."""

    text: bytes

    def size(self, name: str) -> int:
        return len(self.text)

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self.text[offset : offset + length]


def _checked(made: Correction) -> tuple[dict[int, FieldError], list[CorrectedRow]]:
    """Return the first error of each row that is still invalid, and the valid rows in the file's order."""
    layout = Layout(
        delimiter=made.sheet.delimiter,
        columns=made.sheet.columns,
        unnamed=made.planned.get("unnamed", 0),
        gaps=tuple(made.planned.get("gaps", ())),
    )
    validator = Validator(
        template=made.template, layout=layout, rules=made.rules, keeps_blanks=keeps_blanks(made.job.params)
    )
    look = table.kind(made.job.kind).look
    wrong: dict[int, FieldError] = {}
    read: list[CorrectedRow] = []
    rows = lots(_Held(text=made.text), made.source(""), cursor(0, 1), most_rows=lambda: LOT_ROWS, most_bytes=LOT_BYTES)
    for lot in rows:
        valid, rejects = validator.validate(lot)
        wrong |= {reject.row: reject.errors[0] for reject in rejects}
        if look is not None:
            wrong |= {row: errors[0] for row, errors in look(services().db, made.job, valid).items()}
        read.extend(_rows_of(valid))
    return wrong, [one for one in read if one.row not in wrong]


def _rows_of(valid: Valid) -> Iterator[CorrectedRow]:
    blanks: dict[int, list[str]] = {}
    for name, values in valid.columns.items():
        for place in pc.indices_nonzero(pc.is_null(values)).to_pylist() if values.null_count else ():
            blanks.setdefault(place, []).append(name)
    for place, (row, key) in enumerate(zip(valid.rows.to_pylist(), valid.keys.to_pylist(), strict=True)):
        yield CorrectedRow(row=row, key=key, blanks=blanks.get(place, ()))


def _key_effects(made: Correction, rows: Sequence[CorrectedRow], changes: Sequence[KeyChange]) -> KeyEffects:
    """Return how the rows and the stored rows with the same keys affect each other.

    Reads at most as many stored rows as the correction has rows.
    """
    read = table.kind(made.job.kind).stored
    keys, columns = {one.key for one in rows}, {name for one in rows for name in one.blanks}
    stored = {} if read is None else read(services().db, made.job, keys, columns)
    other = {change.row for change in changes}
    return corrected_keys.effects(made.job, rows, stored, key=made.template.key, other=other)


def _rejected_again(wrong: Mapping[int, FieldError]) -> RejectedAgain:
    """Return the rows that would be rejected again, with their errors."""
    items = [
        StillWrong(row=row, field=error.field, code=error.code, message=error.message)
        for row, error in sorted(wrong.items())[:MOST_SHOWN]
    ]
    return RejectedAgain(rejected_rows=len(wrong), items=items)


def _other_keys(changes: Sequence[KeyChange]) -> list[Warning]:
    if not changes:
        return []
    told = " ".join(said_of_key(change) for change in changes[:MOST_SHOWN])
    shown = [
        {"row": change.row, "column": change.column, "before": change.before, "after": change.after,
         "was_wrong": change.was_wrong}
        for change in changes[:MOST_SHOWN]
    ]  # fmt: skip
    return [
        Warning(
            code="key_changed",
            message=f"{rows_of(changes)} would be written with another key. {told}",
            columns=sorted({change.column for change in changes}),
            evidence={
                "count": len({change.row for change in changes}),
                "not_wrong": len({change.row for change in changes if not change.was_wrong}),
                "rows": shown,
            },
        )
    ]


def _other_cells(made: Correction) -> list[Warning]:
    changes = correction_effects.cell_changes(made.given, made.rejects, made.sheet, made.template, made.rules)
    if not changes:
        return []
    by_column: dict[str, list[CellChange]] = {}
    for change in changes:
        by_column.setdefault(change.column, []).append(change)
    told = [_said_of_cells(name, found) for name, found in by_column.items()]
    columns = {
        name: {
            "count": len(found),
            "rows": [{"row": one.row, "before": one.before, "after": one.after} for one in found[:MOST_CELLS]],
        }
        for name, found in by_column.items()
    }
    return [
        Warning(
            code="cells_changed",
            message=f"{' '.join(told)} A spreadsheet may have changed them.",
            columns=list(by_column),
            evidence={"count": len(changes), "columns": columns},
        )
    ]


def _said_of_cells(name: str, changes: Sequence[CellChange]) -> str:
    verb = (
        "cell of `{}` that was not wrong changes" if len(changes) == 1 else "cells of `{}` that were not wrong change"
    )
    some = "; ".join(
        f"row {one.row:,} {corrections.shown(one.before)} → {corrections.shown(one.after)}"
        for one in changes[:MOST_CELLS]
    )
    more = "; …" if len(changes) > MOST_CELLS else ""
    return f"{len(changes):,} {verb.format(name)}: {some}{more}."


def _left_out(made: Correction) -> list[Warning]:
    found = correction_effects.left_out(made.given, made.rejects, made.sheet)
    if not found:
        return []
    some = "; ".join(f"row {one.row:,}: {corrections.shown(one.text)}" for one in found[:MOST_SHOWN])
    rows = "1 row has" if len(found) == 1 else f"{len(found):,} rows have"
    return [
        Warning(
            code="text_left_out",
            message=f"{rows} more cells than there are columns. What stands in them was not given out, and is left "
            f"out now: {some}.",
            columns=[],
            evidence={"count": len(found), "rows": [{"row": one.row, "text": one.text} for one in found[:MOST_SHOWN]]},
        )
    ]
