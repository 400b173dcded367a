"""The check for columns whose cells all differ from the stored ones, though they are not exchanged with another column.

New values are normal, so they are no evidence. The evidence is codes that are written in another form, and numbers of
another size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from collect.checks import profiles
from collect.checks.column_fit import FileColumn, Stored
from collect.checks.profiles import Family
from collect.checks.warning import Warning
from collect.jobs.template import ColumnType

FEWEST_STORED = 200
FEWEST_CELLS = 20
_MOST_FORMS = 3
_MOSTLY_DISTINCT = 0.9
_FAR = 1.0
_MEASURES = frozenset({ColumnType.INTEGER, ColumnType.NUMBER})


def find(
    columns: Sequence[FileColumn], *, stored: Mapping[str, Sequence[Any]], told: Collection[str] = ()
) -> list[Warning]:
    """Return a warning for each column without any cell like the stored ones.

    ``told``: columns with another warning already, which are left out.
    """
    found = [_looked(each, Stored(each.column, stored.get(each.name, ()))) for each in columns if each.name not in told]
    return [each for each in found if each is not None]


def _looked(cells: FileColumn, there: Stored) -> Warning | None:
    filled = [text for text in cells.texts if text]
    if len(filled) < FEWEST_CELLS or len(there.values) < FEWEST_STORED:
        return None
    if cells.column.type in _MEASURES:
        return _by_size(cells, there)
    if profiles.family(cells.column) is Family.TEXT and cells.column.type in (ColumnType.STRING, ColumnType.PHONE):
        return _by_form(cells, there, filled)
    return None


def _by_form(cells: FileColumn, there: Stored, filled: Sequence[str]) -> Warning | None:
    """Return a warning if the stored values have few forms, all with digits as in codes, and no cell has one of them.

    A cell is compared both as the file has it and as it would be stored: ``98765 43210`` and ``+919876543210``.
    """
    forms = there.forms.counts
    if len(forms) > _MOST_FORMS or not all("9{" in str(form) for form in forms):
        return None
    stored_as = [profiles.written(value) for value in profiles.read(cells.column, filled).values]
    if any(profiles.form(text) in forms for text in (*filled, *stored_as)):
        return None
    usual = str(there.values[0])
    message = (
        f"No value under `{cells.name}` is written as those that are stored, such as {usual!r}: "
        f"{filled[0][:40]!r} is one of them."
    )
    return _warning(cells, message, {"by": "form", "sampled_cells": len(filled), "stored": len(there.values)})


def _by_size(cells: FileColumn, there: Stored) -> Warning | None:
    """Return a warning if all numbers lie farther outside the stored range than that range is wide.

    Integers that are nearly all distinct are left out, since they may only number the rows.
    """
    if there.distinct >= _MOSTLY_DISTINCT and cells.column.type is ColumnType.INTEGER:
        return None
    values = profiles.read(cells.column, cells.texts).values
    low, high = min(there.values), max(there.values)
    reach = _FAR * (high - low)
    if not values or not (min(values) > high + reach or max(values) < low - reach):
        return None
    message = (
        f"All numbers under `{cells.name}` are {'above' if min(values) > high else 'below'} those that are stored: "
        f"{min(values):g} to {max(values):g}, and so far {low:g} to {high:g}. Is it another unit?"
    )
    return _warning(cells, message, {"by": "range", "sampled_cells": len(values), "stored": len(there.values)})


def _warning(cells: FileColumn, message: str, evidence: Mapping[str, Any]) -> Warning:
    return Warning(code="values_unlike_stored", message=message, columns=(cells.name,), evidence={cells.name: evidence})
