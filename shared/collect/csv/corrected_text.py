"""Corrected cells in the notation of the job's file: a correction may write numbers and dates by other rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from collect.csv import scalars, unseen
from collect.csv.cells import CellRules
from collect.csv.corrections import Given, Sheet
from collect.jobs.template import Column, ColumnType, Template

_NUMBERS = frozenset({ColumnType.NUMBER, ColumnType.LATITUDE, ColumnType.LONGITUDE})
_TIMES: dict[ColumnType, tuple[Callable[[str, tuple[str, ...]], int | None], str]] = {
    ColumnType.DATE: (scalars.day, "%Y-%m-%d"),
    ColumnType.DATETIME: (scalars.moment, "%Y-%m-%dT%H:%M:%S.%f%z"),
}


def row(given: Given, sheet: Sheet, template: Template, written: CellRules, own: CellRules) -> Given:
    """Return a corrected row with cells that the job's ``own`` rules read as the same values.

    ``written``: the rules by which the correction writes its cells.
    """
    cells = {}
    for place, text in given.cells.items():
        name = sheet.columns[place]
        cells[place] = text if name is None else cell(text, template.column(name), written, own)
    return replace(given, cells=cells)


def cell(text: str, column: Column, written: CellRules, own: CellRules) -> str:
    """Return a text that the ``own`` rules read as the value that ``text`` has by the ``written`` rules.

    A text without a value by the ``written`` rules is returned unchanged.
    """
    if written.trim:
        text = text.strip(unseen.BLANKS)
    if column.type in _NUMBERS and written.decimal != own.decimal:
        return _number(text, written.decimal, own.decimal)
    if column.type in _TIMES and written.date_formats:
        return _time(text, column.type, written, own)
    return text


def _number(text: str, mark: str, own_mark: str) -> str:
    return text if scalars.number(text, mark) is None else text.replace(mark, own_mark)


def _time(text: str, kind: ColumnType, written: CellRules, own: CellRules) -> str:
    read, iso = _TIMES[kind]
    value = read(text, written.date_formats)
    if value is None:
        return text
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    spellings = (iso, *own.date_formats)
    return next(
        (
            spelling
            for spelling in (moment.strftime(spelling) for spelling in spellings)
            if read(spelling, own.date_formats) == value
        ),
        text,
    )
