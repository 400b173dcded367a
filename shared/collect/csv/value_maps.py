"""The wrong values of rejected rows: counting them by column and code, and replacing them by a ``value_map``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from collect.csv import cells
from collect.csv.cell_rules import trimmed_keys
from collect.csv.cells import CellRules
from collect.csv.corrections import Errors, Given, Sheet
from collect.jobs.template import Column, Template

MOST_VALUES = 1_000
"""Most distinct values listed for one column and code."""
MOST_VALUE_CHARACTERS = 10_000
"""Longest value listed, in characters: the most that a value in a ``value_map`` may have."""
MOST_LISTED_BYTES = 200_000
"""Most bytes of all values of a summary together, with :data:`VALUE_BYTES` added for each. A ``value_map`` of all of
them still fits into a request of 1 MiB, though it names each value twice and writes escapes."""
VALUE_BYTES = 20
"""Bytes of JSON around a value."""
DUPLICATE_KEY = "duplicate_key"

ValueMap = Mapping[str, Mapping[str, str]]
"""Column → value as validation reads it → value that is read instead."""


@dataclass(kw_only=True)
class Group:
    """The errors of one column with one code: the number of rows, and the wrong values in them.

    ``field`` is empty for errors of whole rows. Such a group has no values.
    """

    field: str
    code: str
    count: int = 0
    values: Counter[str] = dataclasses.field(default_factory=Counter)

    def listed(self, most_bytes: int) -> list[tuple[str, int]]:
        """Return the commonest values with their counts, at most ``most_bytes`` together (see :func:`bytes_of`)."""
        found: list[tuple[str, int]] = []
        for value, count in sorted(self.values.items(), key=lambda each: (-each[1], each[0])):
            if len(value) > MOST_VALUE_CHARACTERS:
                continue
            most_bytes -= bytes_of(value)
            if len(found) == MOST_VALUES or most_bytes < 0:
                break
            found.append((value, count))
        return found


def bytes_of(value: str) -> int:
    """Return how many bytes of :data:`MOST_LISTED_BYTES` a value takes."""
    return len(value.encode()) + VALUE_BYTES


def groups(rejects: Iterable[Mapping[str, Any]], sheet: Sheet, template: Template, rules: CellRules) -> list[Group]:
    """Return the errors of rejects by column and code, in the template's order. A row counts once in each group.

    Values are cells as validation reads them, after the job's ``trim`` and ``value_map``. Memory grows only with the
    number of distinct values.
    """
    found: dict[tuple[str, str], Group] = {}
    for reject in rejects:
        own = sheet.parsed(reject["line"])
        for error in reject["errors"]:
            name, code = error["field"], error["code"]
            group = found.setdefault((name, code), Group(field=name, code=code))
            group.count += 1
            if name in sheet.columns and (cell := sheet.cell(own, name)) is not None:
                group.values[cell] += 1
    for group in found.values():
        if group.field:
            group.values = _as_seen(group, template, rules)
    places = {name: place for place, name in enumerate(template.names)}
    return sorted(found.values(), key=lambda group: (places.get(group.field, -1), group.code))


def start(listed: Mapping[tuple[str, str], Sequence[tuple[str, int]]]) -> dict[str, dict[str, str]]:
    """Return a ``value_map`` to begin with: it maps each wrong value to itself, which changes nothing.

    ``listed``: the values of each column and code. The values of duplicate keys are left out: they are not wrong.
    """
    begun: dict[str, dict[str, str]] = {}
    for (name, code), values in listed.items():
        if name and code != DUPLICATE_KEY and values:
            begun.setdefault(name, {}).update((value, value) for value, _ in values)
    return begun


def check(value_map: ValueMap, sheet: Sheet) -> dict[str, int]:
    """Return the place in the file of each column of a ``value_map``.

    Raises:
        InvalidInput: the file has no such column, or two names mean the same.
    """
    errors = Errors()
    places: dict[str, int] = {}
    for name in value_map:
        place = sheet.place(name, by_header=False)
        if place is None or sheet.columns[place] is None:
            errors.add(
                f"value_map.{name}", "unknown_column", f"value_map names {name!r}, which is no column of the file."
            )
        elif place in places.values():
            errors.add(
                f"value_map.{name}", "duplicate_column", f"value_map names the column {name!r} twice, by two names."
            )
        else:
            places[name] = place
    errors.check()
    return places


def corrected(
    rejects: Sequence[Mapping[str, Any]], value_map: ValueMap, sheet: Sheet, template: Template, rules: CellRules
) -> list[Given]:
    """Return the rejects that a ``value_map`` changes, with the cells that change.

    A row changes if one of its wrong values is in the map. Then all of its cells that are in the map change. A value
    that is mapped to itself changes nothing.

    Raises:
        InvalidInput: the map names a column that the file does not have.
    """
    places = check(value_map, sheet)
    rows = [sheet.parsed(reject["line"]) for reject in rejects]
    whole = [index for index, own in enumerate(rows) if len(own) == len(sheet.columns)]
    changes: dict[int, dict[int, str]] = {index: {} for index in whole}
    for name, place in places.items():
        column = template.column(str(sheet.columns[place]))
        known = trimmed_keys(value_map[name]) if rules.trim else value_map[name]
        for index, value in zip(whole, seen([rows[at][place] for at in whole], column, rules), strict=True):
            good = known.get(value)
            if good is not None and good != value:
                changes[index][place] = good
    return [
        Given(row=rejects[index]["row"], cells=changed)
        for index, changed in changes.items()
        if any(sheet.columns[place] in wrong_columns(rejects[index], template) for place in changed)
    ]


def wrong_columns(reject: Mapping[str, Any], template: Template) -> set[str]:
    """Return the columns whose cells caused the reject; for a duplicate key all columns of the key."""
    wrong = {error["field"] for error in reject["errors"]}
    if any(error["code"] == DUPLICATE_KEY for error in reject["errors"]):
        wrong.update(template.key)
    return wrong


def _as_seen(group: Group, template: Template, rules: CellRules) -> Counter[str]:
    texts = list(group.values)
    counted: Counter[str] = Counter()
    for text, value in zip(texts, seen(texts, template.column(group.field), rules), strict=True):
        counted[value] += group.values[text]
    return counted


def seen(texts: Sequence[str], column: Column, rules: CellRules) -> list[str]:
    """Return cells of a column as validation reads them: after the job's own ``trim`` and ``value_map``."""
    return [str(text) for text in cells.as_read(column, pa.array(texts, pa.string()), rules).to_pylist()]
