"""Reads tables of bad and good values, saved by a spreadsheet as CSV, as a `value_map`."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BAD = "value"
GOOD = "replacement"
COLUMN = "column"
_PLAIN_HEADERS = (("bad", "good"), ("from", "to"), ("old", "new"))
_DELIMITERS = ",;\t|"
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

ValueMap = dict[str, dict[str, Any]]


class NotATable(Exception):
    """The text cannot be read as a table of values. The message says why."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a table: the column (``None`` if the table has none), the bad value, and the good value."""

    column: str | None
    bad: str
    good: str


def read(path: Path, *, column: str | None) -> tuple[ValueMap, int]:
    """Return the table in a file as a ``value_map``, and how many of its lines have no replacement.

    A table has a header with ``value`` and ``replacement``, and ``column`` if it is for several columns; other columns
    are ignored. Or it has two columns only: the bad and the good value. ``column``: take only the lines of this column.

    Raises:
        NotATable: the file is not such a table, or gives one value two replacements.
    """
    table: ValueMap = {}
    left = 0
    try:
        entries = list(_entries(_text(path.read_bytes()), column))
    except csv.Error as error:
        raise NotATable(f"it is no CSV: {error}") from error
    for entry in entries:
        if not entry.good:
            left += 1
            continue
        values = table.setdefault(entry.column or "", {})
        if values.setdefault(entry.bad, entry.good) != entry.good:
            raise NotATable(f"{entry.bad!r} has two replacements: {values[entry.bad]!r} and {entry.good!r}.")
    return table, left


def from_json(text: str) -> ValueMap:
    """Return a ``value_map`` from JSON text.

    Raises:
        NotATable: the text is not a JSON object of objects.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise NotATable(f"it is not JSON: {error}") from error
    if not isinstance(value, dict) or not all(isinstance(values, dict) for values in value.values()):
        raise NotATable('it is not of the form {"column": {"bad": "good"}}')
    return value


def merged(tables: Iterable[ValueMap]) -> ValueMap:
    """Return several tables as one; a later one wins."""
    whole: ValueMap = {}
    for table in tables:
        for column, values in table.items():
            whole.setdefault(column, {}).update(values)
    return whole


def _text(data: bytes) -> str:
    try:
        if data.startswith(_WIDE_MARKS):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotATable("it is not UTF-8. Save it as CSV UTF-8.") from error


def _entries(text: str, column: str | None) -> Iterator[Entry]:
    rows = [row for row in _rows(text) if any(row)]
    if not rows:
        raise NotATable("it is empty.")
    header = [name.strip().lower() for name in rows[0]]
    if BAD not in header or GOOD not in header:
        yield from _pairs(rows, tuple(header), column)
        return
    bad, good = header.index(BAD), header.index(GOOD)
    of = header.index(COLUMN) if COLUMN in header else None
    for row in rows[1:]:
        cells = row + [""] * (len(header) - len(row))
        entry = Entry(column=column if of is None else cells[of], bad=cells[bad], good=cells[good])
        if column is None or entry.column == column:
            yield _named(entry)


def _pairs(rows: list[list[str]], header: tuple[str, ...], column: str | None) -> Iterator[Entry]:
    for number, row in enumerate(rows[1:] if header in _PLAIN_HEADERS else rows, start=1):
        if any(row[2:]):
            raise NotATable(f"row {number} has more than two cells, and there is no header with {BAD!r} and {GOOD!r}.")
        bad, good = [*row, ""][:2]
        yield _named(Entry(column=column, bad=bad, good=good))


def _named(entry: Entry) -> Entry:
    if not entry.column:
        raise NotATable(f"it does not say of which column {entry.bad!r} is: use COLUMN=FILE, or a column {COLUMN!r}.")
    return entry


def _rows(text: str) -> list[list[str]]:
    first, _, rest = text.partition("\n")
    named = first.strip().strip('"').lower()
    if named.startswith("sep=") and len(named) == len("sep=") + 1:
        return _cut(rest, named[-1])
    return max((_cut(text, delimiter) for delimiter in _DELIMITERS), key=_likeness)


def _cut(text: str, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _likeness(rows: list[list[str]]) -> tuple[bool, bool, int]:
    """Return a sort key for how much rows look like a table of values. The largest is the most likely.

    It compares first the header, then whether each row has two cells, then the number of cells in the first row.
    """
    first = [name.strip().lower() for name in rows[0]] if rows else []
    two_each = all(len(row) >= 2 and not any(row[2:]) for row in rows if any(row))
    return BAD in first and GOOD in first, two_each, len(first)
