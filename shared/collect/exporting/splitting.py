"""The split of a field with several choices: a column ``field/choice`` for each, true where the choice was taken.

The field's own column stays, so that a choice without a column can still be read.
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
"""Most choices of a field that is split. A field with more of them is a list of free texts."""


def split(columns: Sequence[Column], choices: Choices) -> tuple[list[Column], dict[str, int]]:
    """Return the columns with those of the choices, and field → how many answers have a choice without a column."""
    found: list[Column] = []
    without: Counter[str] = Counter()
    for column in columns:
        found.append(column)
        if known := choices.get(column.field.name):
            choices_of_text = _OfText(known)
            answers = [_answer(value, choices_of_text) for value in _values(column)]
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
    """Return the choices of a stored list, as texts. Lists, objects and blank texts in it are left out."""
    return [text for one in value if isinstance(one, str | bool | int | float) and (text := _text(one)).strip()]


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


class _OfText:
    """Finds the choices in a text that has several of them, separated by blanks. Some tools store answers like that.

    A choice may have blanks itself. So the longest choice that begins at a word is taken.
    """

    def __init__(self, known: Sequence[str]) -> None:
        self._known = frozenset(known)
        self._by_words = {tuple(choice.split()): choice for choice in known}
        self._longest = max(map(len, self._by_words), default=1)

    def __call__(self, text: str) -> set[str]:
        """Return the choices in the text. If no choice begins at a word, the word itself is one."""
        if text in self._known:
            return {text}
        words = text.split()
        if self._longest <= 1:
            return set(words)
        found: set[str] = set()
        at = 0
        while at < len(words):
            choice, length = self._at(words, at)
            found.add(choice)
            at += length
        return found

    def _at(self, words: Sequence[str], at: int) -> tuple[str, int]:
        """Return the longest choice that begins at a word, and how many words it has."""
        for length in range(min(self._longest, len(words) - at), 0, -1):
            choice = self._by_words.get(tuple(words[at : at + length]))
            if choice is not None:
                return choice, length
        return words[at], 1


def _answer(value: Any, choices_of_text: _OfText) -> set[str] | None:
    """Return the choices that were taken; ``None`` if there is no answer, such as a blank text or an empty list."""
    match value:
        case None:
            return None
        case str():
            return choices_of_text(value) or None
        case list():
            members = [_text(one) if isinstance(one, str | bool | int | float) else repr(one) for one in value]
            return {text for text in members if text.strip()} or None
        case _:
            return {_text(value)}


def _taken(field: FormField, choice: str, answers: Iterable[set[str] | None]) -> Column:
    values = [None if answer is None else choice in answer for answer in answers]
    return Column(field=field, values=pa.array(values, pa.bool_()), odd={})
