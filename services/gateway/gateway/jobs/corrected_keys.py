"""The part of a correction's preview that compares keys: the effects between corrected rows and stored rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from collect.api.answers import Warning
from collect.csv.layout import is_upsert, keeps_blanks
from collect.csv.wrong_cells import excerpt
from collect.errors import FieldError
from collect.jobs.model import Job
from collect.rows.writing import is_of

MOST_SHOWN = 20

Stored = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class CorrectedRow:
    """A corrected row that is valid by the template. ``blanks``: the columns in which its cell is blank."""

    row: int
    key: str
    blanks: Collection[str]


@dataclass(kw_only=True)
class KeyEffects:
    """The effects of a correction on stored rows with the same keys, and of those on it.

    They hold if nothing else writes before the correction runs. ``rejects``: row → its error, for corrected rows that
    would be rejected. ``replaced``: (written row of this file, corrected row that takes its place, key). ``outlived``:
    (written row further down the file, corrected row that it overrides, key). ``changed``: (stored row of another job,
    corrected row that changes it, key). ``cleared``: column → corrected rows whose blank cell empties a stored value.
    """

    is_upsert: bool
    key: str
    rejects: dict[int, FieldError] = field(default_factory=dict)
    replaced: list[tuple[int, int, str]] = field(default_factory=list)
    outlived: list[tuple[int, int, str]] = field(default_factory=list)
    changed: list[tuple[Stored, int, str]] = field(default_factory=list)
    cleared: dict[str, list[int]] = field(default_factory=dict)

    def warnings(self) -> list[Warning]:
        """Return the warnings of the preview."""
        return [*self._replaced(), *self._outlived(), *self._changed(), *self._cleared()]

    def _named(self, key: str) -> str:
        return f"{self.key} {excerpt(key)}"

    def _replaced(self) -> list[Warning]:
        if not self.replaced:
            return []
        became = "would be overwritten" if self.is_upsert else "would be replaced and become a reject"
        told = [f"row {old:,}, by row {new:,} ({self._named(key)})" for old, new, key in self.replaced[:MOST_SHOWN]]
        rows = [{"row": old, "by": new, "key": key} for old, new, key in self.replaced[:MOST_SHOWN]]
        message = f"{_rows(self.replaced)} of this file, written already, {became}: {_listed(told, self.replaced)}."
        return [_warning("row_replaced", message, len(self.replaced), rows)]

    def _outlived(self) -> list[Warning]:
        if not self.outlived:
            return []
        told = [f"row {new:,}, by row {old:,} ({self._named(key)})" for old, new, key in self.outlived[:MOST_SHOWN]]
        rows = [{"row": new, "by": old, "key": key} for old, new, key in self.outlived[:MOST_SHOWN]]
        message = (
            f"{_rows(self.outlived)} would not be seen, since a row further down the file has the same key: "
            f"{_listed(told, self.outlived)}."
        )
        return [_warning("row_overwritten", message, len(self.outlived), rows)]

    def _changed(self) -> list[Warning]:
        if not self.changed:
            return []
        some = [(there, _writer(there), new, key) for there, new, key in self.changed[:MOST_SHOWN]]
        told = [
            f"{self._named(key)}, written by job {writer} as its row {there['row']:,}, by row {new:,}"
            for there, writer, new, key in some
        ]
        rows = [{"row": new, "key": key, "job_id": writer, "its_row": there["row"]} for there, writer, new, key in some]
        message = f"{_rows(self.changed)} of another job would be changed: {_listed(told, self.changed)}."
        return [_warning("other_job_changed", message, len(self.changed), rows)]

    def _cleared(self) -> list[Warning]:
        if not self.cleared:
            return []
        told = [f"{len(rows):,} of `{name}` (first by row {rows[0]:,})" for name, rows in self.cleared.items()]
        rows = [{"column": name, "row": row} for name, found in self.cleared.items() for row in found[:MOST_SHOWN]]
        count = sum(map(len, self.cleared.values()))
        message = f"Stored values would be emptied, since cells of corrected rows are blank: {', '.join(told)}."
        return [_warning("would_clear", message, count, rows, columns=list(self.cleared))]


def effects(
    job: Job, rows: Sequence[CorrectedRow], stored: Mapping[str, Stored], *, key: Sequence[str], other: Collection[int]
) -> KeyEffects:
    """Return the effects of the corrected rows. ``other``: the numbers of the rows that get another key.

    ``rows`` are in the file's order. ``stored``: key → the stored row with that key.
    """
    found = KeyEffects(is_upsert=is_upsert(job.params), key=", ".join(key))
    if found.is_upsert:
        for one in {one.key: one for one in rows}.values():
            _upserted(found, job, one, stored.get(one.key), gets_key=one.row in other)
        return found
    first: dict[str, int] = {}
    for one in rows:
        there = stored.get(one.key)
        if one.key in first:
            found.rejects[one.row] = _duplicate(key, one, f"is that of row {first[one.key]:,}")
        elif there is None:
            first[one.key] = one.row
        elif is_of(there, job.id) and there["row"] > one.row:
            first[one.key] = one.row
            found.replaced.append((there["row"], one.row, one.key))
        elif is_of(there, job.id):
            found.rejects[one.row] = _duplicate(key, one, f"is that of row {there['row']:,}")
        else:
            found.rejects[one.row] = _duplicate(key, one, f"is there already, written by job {_writer(there)}")
    return found


def _upserted(found: KeyEffects, job: Job, one: CorrectedRow, there: Stored | None, *, gets_key: bool) -> None:
    if there is None:
        return
    if is_of(there, job.id) and there["row"] > one.row:
        if not keeps_blanks(job.params):
            found.outlived.append((there["row"], one.row, one.key))
        return
    if is_of(there, job.id):
        found.replaced.append((there["row"], one.row, one.key))
    elif gets_key or _writer(there) > job.id:  # ids of jobs grow with time
        found.changed.append((there, one.row, one.key))
    if not keeps_blanks(job.params):
        for name in one.blanks:
            if there.get("values", {}).get(name) not in (None, "", []):
                found.cleared.setdefault(name, []).append(one.row)


def _duplicate(key: Sequence[str], one: CorrectedRow, where: str) -> FieldError:
    return FieldError(key[0], "duplicate_key", f"{', '.join(key)} {excerpt(one.key)} {where}.")


def _writer(there: Stored) -> str:
    return str(there["written_by"]).partition(":")[0]


def _rows(found: Sequence[Any]) -> str:
    return "1 row" if len(found) == 1 else f"{len(found):,} rows"


def _listed(told: Sequence[str], found: Sequence[Any]) -> str:
    more = f"; and {len(found) - len(told):,} more" if len(found) > len(told) else ""
    return "; ".join(told) + more


def _warning(
    code: str, message: str, count: int, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()
) -> Warning:
    return Warning(code=code, message=message, columns=list(columns), evidence={"count": count, "rows": list(rows)})
