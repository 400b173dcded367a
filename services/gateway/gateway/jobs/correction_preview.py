"""What a correction would do: how many rows it has, and what it changes beside what was wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from collect.csv import correction_effects, corrections
from collect.csv.correction_effects import KeyChange
from collect.csv.layout import Layout, keeps_blanks
from collect.csv.reading import cursor, lots
from collect.csv.validation import Validator
from collect.errors import FieldError
from collect.jobs.model import Job
from collect.storage import locks
from gateway.jobs import correct
from gateway.jobs.correct import MOST_SHOWN, Correction, Wanted, rows_of, said_of_key
from gateway.kinds import table
from gateway.services import services

LOT_ROWS = 5_000
LOT_BYTES = 8 * 1024 * 1024


def preview(job: Job, wanted: Wanted) -> dict[str, Any]:
    """Return what the correction would do; nothing is stored, and nothing runs.

    Raises as :func:`gateway.jobs.correct.correction` does.
    """
    made = correct.correction(job, wanted)
    holder = locks.holders(services().db, [job.lock]).get(job.lock) if job.lock else None
    return {
        "ok": True,
        "rows": len(made.given),
        "warnings": [*_other_keys(made.key_changes()), *_left_out(made)],
        "errors": [],
        "conflict": {"holder": holder} if holder not in (None, job.id) else None,
        "rejects": _rejected_again(made),
    }


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A text that is read as a blob is."""

    text: bytes

    def size(self, name: str) -> int:
        return len(self.text)

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self.text[offset : offset + length]


def _rejected_again(made: Correction) -> dict[str, Any]:
    """The rows that are still wrong in themselves. Keys that others have are found only when the correction runs."""
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
    rows = lots(_Held(text=made.text), made.source(""), cursor(0, 1), most_rows=lambda: LOT_ROWS, most_bytes=LOT_BYTES)
    for lot in rows:
        valid, rejects = validator.validate(lot)
        wrong |= {reject.row: reject.errors[0] for reject in rejects}
        if look is not None:
            wrong |= {row: errors[0] for row, errors in look(services().db, made.job, valid).items()}
    items = [
        {"row": row, "field": error.field, "code": error.code, "message": error.message}
        for row, error in sorted(wrong.items())[:MOST_SHOWN]
    ]
    return {"rejected_rows": len(wrong), "items": items}


def _other_keys(changes: Sequence[KeyChange]) -> list[dict[str, Any]]:
    if not changes:
        return []
    told = " ".join(said_of_key(change) for change in changes[:MOST_SHOWN])
    shown = [
        {"row": change.row, "column": change.column, "before": change.before, "after": change.after,
         "was_wrong": change.was_wrong}
        for change in changes[:MOST_SHOWN]
    ]  # fmt: skip
    return [
        {
            "code": "key_changed",
            "message": f"{rows_of(changes)} would be written with another key. {told}",
            "columns": sorted({change.column for change in changes}),
            "evidence": {
                "count": len({change.row for change in changes}),
                "not_wrong": len({change.row for change in changes if not change.was_wrong}),
                "rows": shown,
            },
        }
    ]


def _left_out(made: Correction) -> list[dict[str, Any]]:
    found = correction_effects.left_out(made.given, made.rejects, made.sheet)
    if not found:
        return []
    some = "; ".join(f"row {one.row:,}: {corrections.shown(one.text)}" for one in found[:MOST_SHOWN])
    rows = "1 row has" if len(found) == 1 else f"{len(found):,} rows have"
    return [
        {
            "code": "text_left_out",
            "message": f"{rows} more cells than there are columns. What stands in them was not given out, and is left "
            f"out now: {some}.",
            "columns": [],
            "evidence": {
                "count": len(found),
                "rows": [{"row": one.row, "text": one.text} for one in found[:MOST_SHOWN]],
            },
        }
    ]  # fmt: skip
