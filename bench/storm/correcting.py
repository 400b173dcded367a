"""Corrections in a storm: which rows people correct and how, and afterwards what has become of them."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from collect.api.jobs import Reject
from collect.storage.database import Database
from storm.files import Sheet

MOST_REJECTS = 400
"""Most rejects that a simulated person reads before correcting some of them."""
BAD = {"upload": {"age": "unknown"}, "teams": {"team_name": ""}}
"""Cells that make a row invalid."""
Row = dict[str, Any]


def rows(
    rejects: Iterable[Reject],
    sheets: Mapping[str, Sheet],
    *,
    rng: random.Random,
    kind: str,
    share: float,
    spoiled: float,
) -> list[Row]:
    """Some of the rejected rows that are bad in their file, corrected, but for some that are as bad as before.

    Good rows that lost to another row with their key are left alone. Without bad rows it is the first one, spoilt.
    """
    found: list[Row] = []
    first = 1
    for nth, reject in enumerate(rejects):
        first = reject.row if nth == 0 else first
        sheet, row = _place(reject.line, sheets)
        if sheet is None or not sheet.is_bad(row) or rng.random() > share:
            continue
        right = replace(sheet, bad=0).cells(row)
        found.append({"row": row, "values": BAD[kind] if rng.random() < spoiled else right})
    return found or [{"row": first, "values": BAD[kind]}]


def save_csv(chosen: Sequence[Row], path: Path) -> Path:
    """The rows as a CSV; of rows for which other columns are given, those with the most."""
    names = max((list(one["values"]) for one in chosen), key=len)
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, [*names, "row"])
        writer.writeheader()
        writer.writerows({**one["values"], "row": one["row"]} for one in chosen if list(one["values"]) == names)
    return path


def written(db: Database) -> dict[str, dict[int, str]]:
    """Job → the rows of its file that were written once they had been corrected, each with its text."""
    found: dict[str, dict[int, str]] = {}
    fields = {"job_id": 1, "row": 1, "became": 1, "corrected_line": 1}
    for closed in db.corrections.find({}, fields).sort([("job_id", 1), ("row", 1), ("revision", 1)]):
        of_job = found.setdefault(closed["job_id"], {})
        if closed["became"] == "written":
            of_job[closed["row"]] = closed["corrected_line"]
        else:
            of_job.pop(closed["row"], None)
    return found


def is_wrong(sheet: Sheet, row: int, text: str) -> str | None:
    """What speaks against a row having been written with this text."""
    right = replace(sheet, bad=0, corrected=frozenset())
    if right.cells(row) == replace(sheet, corrected=frozenset()).cells(row):
        return f"row {row} was good, so no correction was sent for it"
    cells = _cells(text)
    expected = list(right.cells(row).values())
    return None if cells == expected else f"row {row} was corrected as {expected}, and written as {cells}"


def _place(line: str, sheets: Mapping[str, Sheet]) -> tuple[Sheet | None, int]:
    """Which row of which file a rejected line is: it says so itself."""
    for cell in _cells(line):
        name, _, row = cell.partition(" ")[0].partition("/")
        if name in sheets and row.isdigit():
            return sheets[name], int(row)
    return None, 0


def _cells(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line, newline="")), [])
