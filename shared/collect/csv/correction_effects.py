"""Side effects of a correction: keys and right cells that change, and text that is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from collect.csv import cells
from collect.csv.cells import CellRules
from collect.csv.corrections import Given, Sheet
from collect.csv.value_maps import wrong_columns
from collect.jobs.template import Column, Template


@dataclass(frozen=True, kw_only=True)
class KeyChange:
    """A key cell of a row that gets another value. ``was_wrong``: the row was rejected for this cell."""

    row: int
    column: str
    before: str
    after: str
    was_wrong: bool


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """The text of a row behind the file's last column. A file of rejects does not show it."""

    row: int
    text: str


def key_changes(
    given: Sequence[Given],
    rejects: Mapping[int, Mapping[str, Any]],
    sheet: Sheet,
    template: Template,
    rules: CellRules,
) -> list[KeyChange]:
    """Return the key cells that get another value, by row. Two spellings of one value (``7`` and ``007``) are the same.

    ``rejects``: row → its reject, with its line and errors. It must be possible to put each row together.
    """
    found: list[KeyChange] = []
    names = [name for name in template.key if name in sheet.columns]
    for one in given:
        before = sheet.shown(sheet.parsed(rejects[one.row]["line"]))
        after = sheet.corrected(rejects[one.row]["line"], one)
        wrong = wrong_columns(rejects[one.row], template)
        for name in names:
            place = sheet.columns.index(name)
            if before[place] != after[place] and not _is_same(
                template.column(name), rules, before[place], after[place]
            ):
                found.append(
                    KeyChange(
                        row=one.row, column=name, before=before[place], after=after[place], was_wrong=name in wrong
                    )
                )
    return found


@dataclass(frozen=True, kw_only=True)
class CellChange:
    """A cell that was not wrong and gets another value."""

    row: int
    column: str
    before: str
    after: str


def cell_changes(
    given: Sequence[Given],
    rejects: Mapping[int, Mapping[str, Any]],
    sheet: Sheet,
    template: Template,
    rules: CellRules,
) -> list[CellChange]:
    """Return the cells of a file of corrections that change though they were not wrong, by column and row.

    Key cells are left out: see :func:`key_changes`. Cells that a ``value_map`` replaced, or that JSON names, are left
    out: they are changed on purpose. Rows with a wrong number of cells are left out: it is not known which of their
    cells is which.
    """
    changes: dict[str, list[CellChange]] = {}
    for one in given:
        own = sheet.parsed(rejects[one.row]["line"])
        if not one.is_line or len(own) != len(sheet.columns):
            continue
        wrong = wrong_columns(rejects[one.row], template)
        for place, after in one.cells.items():
            name = sheet.columns[place]
            if name is None or name in wrong or name in template.key or place in one.mapped or own[place] == after:
                continue
            changes.setdefault(name, []).append(CellChange(row=one.row, column=name, before=own[place], after=after))
    return [
        change
        for name in sheet.columns
        if name in changes
        for change in _other_values(changes[name], template.column(name), rules)
    ]


def _other_values(changes: Sequence[CellChange], column: Column, rules: CellRules) -> list[CellChange]:
    """Return the changes that give a cell another value, and not just another spelling of it."""
    texts = [text for change in changes for text in (change.before, change.after)]
    checked = cells.check(column, pa.array(texts, pa.string()), required=False, rules=rules)
    values, wrong = checked.values.to_pylist(), {at for at, _ in checked.errors}
    return [
        change
        for at, change in enumerate(changes)
        if values[2 * at] != values[2 * at + 1] or not wrong.isdisjoint((2 * at, 2 * at + 1))
    ]


def left_out(given: Sequence[Given], rejects: Mapping[int, Mapping[str, Any]], sheet: Sheet) -> list[LeftOut]:
    """Return the rows in a file of corrections that lose the text behind the file's columns, which was not shown."""
    found: list[LeftOut] = []
    for one in given:
        surplus = sheet.parsed(rejects[one.row]["line"])[len(sheet.columns) :]
        if one.is_line and any(surplus):
            found.append(LeftOut(row=one.row, text=sheet.delimiter.join(surplus)))
    return found


def _is_same(column: Column, rules: CellRules, *texts: str) -> bool:
    """Return whether the texts are one value of the column. A text without a value is the same only as itself."""
    values = cells.check(column, pa.array(texts, pa.string()), required=True, rules=rules).values
    return values.null_count == 0 and bool(values[0].as_py() == values[1].as_py())
