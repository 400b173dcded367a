"""The selection of an export: dates, filters and columns, checked against the form.

Filters are typed, and only the operators listed here are allowed. So no text of a caller becomes part of a query.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from collect.errors import FieldError, InvalidInput
from collect.exporting import style as styles
from collect.exporting.style import PLAIN, Choices, Style, style_of
from collect.jobs.export_formats import FORMATS
from collect.jobs.forms import NUMBERS, TEXTS, TIMES, FieldType, Form, FormField

T = TypeVar("T")

PINNED = timedelta(seconds=10)
"""Time before the creation of the job at which its export ends. Later responses are left out, whenever the job runs."""
OPERATORS = ("eq", "ne", "in", "lt", "lte", "gt", "gte", "exists")
MOST_FILTERS = 50
MOST_VALUES = 1_000
MOST_CHARACTERS = 10_000
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}.*")
_INT64 = range(-(2**63), 2**63)
_ORDERED = frozenset({"lt", "lte", "gt", "gte"})


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The responses of one form whose ``submitted_at`` is in ``[start, end)`` and which match the filters.

    ``match``: a MongoDB filter made from checked values; empty if there are no filters. ``whole``: the export has all
    fields of the form.
    """

    org_id: str
    form_id: str
    start: datetime
    end: datetime
    match: dict[str, Any]
    columns: tuple[FormField, ...]
    format: str
    formula_safe: bool
    whole: bool = False
    style: Style = PLAIN

    @property
    def written(self) -> tuple[FormField, ...]:
        """The columns of the result: ``columns``, and one for each choice of the fields that are split."""
        return styles.columns(self.columns, self.style.choices)

    @property
    def shape(self) -> str:
        """A hash that is equal for two selections exactly when they write the same columns in the same way."""
        asked = () if self.style == PLAIN else (self.style,)
        shown = repr((self.whole, [(column.name, column.type.value) for column in self.columns], *asked))
        return hashlib.sha256(shown.encode()).hexdigest()[:16]


def select(params: Mapping[str, Any], form: Form, *, created_at: datetime, choices: Choices | None = None) -> Selection:
    """Return the selection for ``params`` of an export. It ends :data:`PINNED` before ``created_at`` at the latest.

    ``choices``: those of the fields that are split (see :func:`split`).

    Raises:
        InvalidInput: some parameters are invalid; it has an error for each.
    """
    errors: list[FieldError] = []
    start = _checked(errors, "params.from_date", lambda name: _moment(name, params.get("from_date"), EARLIEST))
    pinned = created_at.astimezone(UTC) - PINNED
    pinned = pinned.replace(microsecond=pinned.microsecond // 1000 * 1000)
    end = _checked(errors, "params.to_date", lambda name: _moment(name, params.get("to_date"), pinned))
    if start is not None and end is not None:
        _checked(errors, "params.from_date", lambda name: _order(name, start, end, pinned))
    match = []
    for n, given in enumerate(params.get("filters") or ()):
        if condition := _checked(errors, f"params.filters.{n}", partial(_condition, given=given, form=form)):
            match.append(condition)
    columns = _checked(errors, "params.columns", lambda name: _columns(name, params.get("columns"), form))
    format_ = params.get("format") or FORMATS[0]
    style, wrong = style_of(params, format_)
    errors += wrong
    if errors or start is None or end is None or columns is None:
        raise InvalidInput(errors[0].message, errors=errors)
    selection = Selection(
        org_id=form.org_id,
        form_id=form.form_id,
        start=start,
        end=min(end, pinned),
        match={"$and": match} if match else {},
        columns=columns,
        whole=len(columns) == len(form.fields),
        format=format_,
        formula_safe=params.get("formula_safe", True),
        style=style,
    )
    return split(selection, choices or {})


def split(selection: Selection, choices: Choices) -> Selection:
    """Return the selection with a column for each of ``choices`` added.

    Raises:
        InvalidInput: two columns would have the same name.
    """
    if not choices:
        return selection
    chosen = replace(selection, style=replace(selection.style, choices=dict(choices)))
    names = [column.name for column in chosen.written]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        error = FieldError("params.split_multiple", "column_twice", f"Two columns would be called {twice[:100]!r}.")
        raise InvalidInput(error.message, errors=[error])
    return chosen


class _Wrong(Exception):
    def __init__(self, error: FieldError) -> None:
        super().__init__(error.message)
        self.error = error


def _checked(errors: list[FieldError], name: str, check: Callable[[str], T]) -> T | None:
    try:
        return check(name)
    except _Wrong as wrong:
        errors.append(wrong.error)
        return None


def _wrong(name: str, code: str, message: str) -> _Wrong:
    return _Wrong(FieldError(name, code, message))


def _moment(name: str, text: str | None, default: datetime) -> datetime:
    """Return the moment of a text. A date means its midnight in UTC; a time must have a time zone."""
    if text is None:
        return default
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        moment = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise _wrong(name, "bad_date", f"{text!r} is no date (2017-08-01) and no time (2017-08-01T00:00:00Z).")
    if moment.tzinfo is None:
        raise _wrong(name, "no_time_zone", f"{text!r} says no time zone; write it as in {text}Z.")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise _wrong(name, "bad_date", f"{text!r} lies outside the calendar.") from None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _order(name: str, start: datetime, end: datetime, pinned: datetime) -> None:
    if start >= pinned:
        message = f"from_date {start.isoformat()} is later than what an export holds: responses until 10 s before now."
        raise _wrong(name, "from_in_future", message)
    if start >= end:
        message = f"from_date {start.isoformat()} is not before to_date {end.isoformat()}, which is exclusive."
        raise _wrong(name, "dates_reversed", message)


def _columns(name: str, wanted: Sequence[str] | None, form: Form) -> tuple[FormField, ...]:
    if wanted is None:
        return form.fields
    if not wanted:
        raise _wrong(name, "no_columns", "An export has at least one column; leave `columns` out to have all.")
    if len(set(wanted)) < len(wanted):
        twice = next(column for column in wanted if list(wanted).count(column) > 1)
        raise _wrong(name, "column_twice", f"The column {twice!r} is asked for twice.")
    return tuple(_field(name, column, form, "unknown_column") for column in wanted)


def _field(name: str, column: str, form: Form, code: str) -> FormField:
    field = form.field(column)
    if field is None:
        raise _wrong(name, code, f"{form.form_id} has no column {column[:100]!r}; it has {', '.join(form.names)}.")
    return field


def _condition(name: str, *, given: Mapping[str, Any], form: Form) -> dict[str, Any]:
    field = _field(f"{name}.field", given["field"], form, "unknown_column")
    operator, value = given["op"], given.get("value")
    if operator not in OPERATORS:
        raise _wrong(f"{name}.op", "unknown_operator", f"{operator!r} is none of {', '.join(OPERATORS)}.")
    if operator == "exists":
        if not isinstance(value, bool):
            raise _wrong(f"{name}.value", "wrong_type", "exists takes true or false.")
        return {field.name: {"$ne" if value else "$eq": None}}
    if field.type is FieldType.JSON or (field.type is FieldType.BOOLEAN and operator in _ORDERED):
        raise _wrong(f"{name}.op", "unknown_operator", f"{operator} does not go with {field.name}, a {field.type}.")
    if operator != "in":
        return {field.name: {f"${operator}": _value(f"{name}.value", value, field)}}
    if not isinstance(value, list) or not 0 < len(value) <= MOST_VALUES:
        raise _wrong(f"{name}.value", "wrong_type", f"in takes a list of 1 to {MOST_VALUES:,} values.")
    return {field.name: {"$in": [_value(f"{name}.value.{n}", one, field) for n, one in enumerate(value)]}}


def _value(name: str, value: Any, field: FormField) -> Any:
    """Return the value of a filter as the field stores it, or raise if it has the wrong type."""
    if field.type in TIMES and isinstance(value, str):
        return _moment(name, value, EARLIEST)
    if field.type in TEXTS and isinstance(value, str):
        if len(value) > MOST_CHARACTERS or "\0" in value:
            raise _wrong(name, "wrong_type", f"A text has at most {MOST_CHARACTERS:,} characters, and no NUL.")
        return value
    number = isinstance(value, int) and not isinstance(value, bool)
    if (number and field.type in NUMBERS | {FieldType.INTEGER} and value in _INT64) or (
        isinstance(value, float) and field.type in NUMBERS
    ):
        return value
    if isinstance(value, bool) and field.type is FieldType.BOOLEAN:
        return value
    raise _wrong(name, "wrong_type", f"{field.name} is a {field.type}; {value!r:.100} is none.")
