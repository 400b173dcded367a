"""A column for each choice of an answer with several: ``field/choice``, true where the choice was taken.

The answers' own column stays, so that a choice without a column is still seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from collect.exporting.decoding import Column
from collect.exporting.style import Choices, of_choices
from collect.jobs.forms import FormField

MOST_CHOICES = 200
"""A field with more different choices is not split: it is a list of free texts."""


def split(columns: Sequence[Column], choices: Choices) -> tuple[list[Column], dict[str, int]]:
    """Return the columns with those of the choices, and by field the answers that have a choice without a column."""
    found: list[Column] = []
    without: Counter[str] = Counter()
    for column in columns:
        found.append(column)
        if known := choices.get(column.field.name):
            answers = [_answer(value, known) for value in _values(column)]
            found += (_taken(field, choice, answers) for field, choice in _pairs(column.field, choices))
            without[column.field.name] += sum(1 for answer in answers if answer is not None and answer - set(known))
    return found, {name: count for name, count in without.items() if count}


def _pairs(column: FormField, choices: Choices) -> Iterator[tuple[FormField, str]]:
    return zip(of_choices(column, choices), choices[column.name], strict=True)


def _values(column: Column) -> list[Any]:
    values: list[Any] = column.values.to_pylist()
    for row, value in column.odd.items():
        values[row] = value
    return values


def choices_of(value: Any) -> list[str]:
    """Return the choices of a stored list, as texts. What is no plain value is no choice."""
    return [_text(one) for one in value if isinstance(one, str | bool | int | float)]


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _answer(value: Any, known: Sequence[str]) -> set[str] | None:
    """The choices that were taken; ``None`` where there is no answer.

    A text is one choice, or several with blanks between, as some tools store them.
    """
    match value:
        case None:
            return None
        case str():
            return {value} if value in known else set(value.split())
        case list():
            return {_text(one) if isinstance(one, str | bool | int | float) else repr(one) for one in value}
        case _:
            return {_text(value)}


def _taken(field: FormField, choice: str, answers: Iterable[set[str] | None]) -> Column:
    values = [None if answer is None else choice in answer for answer in answers]
    return Column(field=field, values=pa.array(values, pa.bool_()), odd={})
