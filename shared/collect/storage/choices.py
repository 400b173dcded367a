"""Find the choices of the questions that take several answers: from the form, or from the stored responses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import ExecutionTimeout

from collect.exporting import decoding
from collect.exporting.selection import Selection
from collect.exporting.splitting import MOST_CHOICES, choices_of
from collect.jobs.forms import TEXTS, FieldType, FormField
from collect.storage import estimates
from collect.storage.database import Database
from collect.storage.indexes import EXPORT_INDEX

LOOK_SECONDS = 5.0
"""Longest time to read all responses of the range, in seconds. If it takes longer, only a sample is read."""
MOST_FOUND = 20_000
"""Most different choices that are read, for all fields together."""
PLACES, SAMPLED_ROWS = 50, 5_000
"""The sample: from how many places of the range, and how many responses in all."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The choices that were found: field → its choices, in order.

    ``too_many``: fields with more than :data:`MOST_CHOICES` choices. ``exact``: all responses were read.
    """

    by_field: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    too_many: tuple[str, ...] = ()
    exact: bool = True


NONE = Found()


def find(db: Database, selection: Selection) -> Found:
    """Return the choices by which the selection's columns are split. Blocks for some seconds at most.

    If the form lists a field's choices, these are taken. For any other field that can hold a list, the choices are the
    members of the stored lists, in alphabetical order.
    """
    open_ = [column for column in selection.columns if not column.choices and column.type in TEXTS | {FieldType.JSON}]
    stored, exact = _stored(db, selection, open_) if open_ else ({}, True)
    too_many = tuple(name for name, choices in stored.items() if len(choices) > MOST_CHOICES)
    by_field = {
        column.name: _shown(column.choices) or tuple(sorted(stored.get(column.name, ())))
        for column in selection.columns
        if (_shown(column.choices) or stored.get(column.name)) and column.name not in too_many
    }
    return Found(by_field=by_field, too_many=too_many, exact=exact)


def _shown(choices: Iterable[str]) -> tuple[str, ...]:
    """Return the choices of a form without blank ones, because a column's name cannot be blank."""
    return tuple(choice for choice in choices if choice.strip())


def _stored(db: Database, selection: Selection, columns: list[FormField]) -> tuple[dict[str, set[str]], bool]:
    try:
        return _of_all(db, selection, columns), True
    except ExecutionTimeout:
        raw, _ = estimates.samples(db, selection, places=PLACES, rows=SAMPLED_ROWS)
        names = [column.name for column in columns]
        return _by_field((name, each.get(name)) for each in decoding.documents(raw) for name in names), False


def _of_all(db: Database, selection: Selection, columns: list[FormField]) -> dict[str, set[str]]:
    lists = {"$concatArrays": [_list_of(n, column.name) for n, column in enumerate(columns)]}
    pipeline: list[dict[str, Any]] = [
        {"$match": {**_range(selection), **selection.match}},
        {"$project": {"_id": 0, "list": lists}},
        {"$unwind": "$list"},
        {"$group": {"_id": "$list"}},
        {"$limit": MOST_FOUND},
    ]
    found = db["responses"].aggregate(pipeline, hint=dict(EXPORT_INDEX), maxTimeMS=round(LOOK_SECONDS * 1000))
    return _by_field((columns[each["_id"]["n"]].name, [each["_id"].get("c")]) for each in found)


def _list_of(n: int, name: str) -> dict[str, Any]:
    """Return the expression for the members of the field's list, each with the field's number ``n``.

    It gives an empty list if the field's value is no list.
    """
    value = {"$getField": {"$literal": name}}
    members = {"$map": {"input": value, "in": {"n": {"$literal": n}, "c": "$$this"}}}
    return {"$cond": [{"$isArray": [value]}, members, []]}


def _range(selection: Selection) -> dict[str, Any]:
    moments = {"$gte": selection.start, "$lt": selection.end}
    return {"org_id": selection.org_id, "form_id": selection.form_id, "submitted_at": moments}


def _by_field(found: Iterable[tuple[str, Any]]) -> dict[str, set[str]]:
    choices: dict[str, set[str]] = {}
    for name, value in found:
        if isinstance(value, list) and (texts := choices_of(value)):
            choices.setdefault(name, set()).update(texts)
    return choices
