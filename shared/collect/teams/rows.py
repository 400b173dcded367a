"""Teams from the rows of a file: a name, people by their phones, forms; or all errors of a row."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from collect.csv import phones, unseen, wrong_phones
from collect.csv.validation import Valid
from collect.csv.wrong_cells import excerpt
from collect.errors import FieldError
from collect.teams import names as teams_names
from collect.teams.names import name_of
from collect.teams.template import FIELDS, MOST_FORMS, MOST_MANAGERS, MOST_MEMBERS

_BETWEEN = re.compile(r"[;,|\r\n]")
"""Separators between two entries of one cell. None of these is part of a phone number or of a form's id."""
_MOST = {"manager_phone": MOST_MANAGERS, "member_phones": MOST_MEMBERS, "form_ids": MOST_FORMS}
_PHONES = ("manager_phone", "member_phones")
_FORMS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Team:
    """A team as a row of the file describes it. ``values`` has only the fields that the file has columns for.

    Phones are in E.164.
    """

    row: int
    values: dict[str, Any]

    @property
    def name(self) -> str:
        name: str = self.values["team_name"]
        return name

    @property
    def people(self) -> list[str]:
        """The phones of all managers and members, each of them once."""
        return list(dict.fromkeys([*self.values.get("managers", ()), *self.values.get("members", ())]))


class Read(NamedTuple):
    """The result of reading rows. ``said``: a team for each row, as far as it is readable. ``wrong``: row → errors."""

    said: list[Team]
    wrong: dict[int, tuple[FieldError, ...]]

    @property
    def teams(self) -> list[Team]:
        """The teams of the rows without errors."""
        return [team for team in self.said if team.row not in self.wrong]


def read(valid: Valid, *, forms: frozenset[str]) -> Read:
    """Read rows that are valid by the template, as teams. ``forms``: the ids of the forms that exist."""
    return _Reader(valid, forms=forms).read()


def entries(cell: str | None) -> list[str]:
    """Return the entries that a cell lists, without blanks around them. Entries that show nothing are left out."""
    pieces = (piece.strip(unseen.BLANKS) for piece in _BETWEEN.split(cell or ""))
    return [entry for entry in pieces if entry and not unseen.shows_nothing(entry)]


class _Reader:
    def __init__(self, valid: Valid, *, forms: frozenset[str]) -> None:
        self._rows: list[int] = valid.rows.to_pylist()
        self._cells: dict[str, list[str | None]] = {name: valid.columns[name].to_pylist() for name in valid.columns}
        self._forms = forms
        self._errors: defaultdict[int, list[FieldError]] = defaultdict(list)

    def read(self) -> Read:
        fields: dict[str, Sequence[Any]] = {"team_name": [self._name(place) for place in range(len(self._rows))]}
        if "description" in self._cells:
            fields["description"] = self._cells["description"]
        fields.update(self._people())
        if "form_ids" in self._cells:
            fields["form_ids"] = [self._forms_of(place) for place in range(len(self._rows))]
        names = list(fields)
        said = [
            Team(row, dict(zip(names, values, strict=True)))
            for row, values in zip(self._rows, zip(*fields.values(), strict=True), strict=True)
        ]
        return Read(said, {self._rows[place]: tuple(found) for place, found in sorted(self._errors.items())})

    def _name(self, place: int) -> str:
        name = name_of(self._cells["team_name"][place] or "")
        if (said := teams_names.what_is_wrong(name)) is not None:
            self._wrong(place, "team_name", "bad_name", said)
        return name

    def _people(self) -> dict[str, list[list[str]]]:
        """Return field → the phones of each row. All phones of a country are checked together."""
        listed = {name: self._listed(name) for name in _PHONES if name in self._cells}
        countries = [self._country(place, listed) for place in range(len(self._rows))]
        wanted: defaultdict[str | None, list[str]] = defaultdict(list)
        for texts in listed.values():
            for country, of_row in zip(countries, texts, strict=True):
                wanted[country].extend(of_row)
        numbers = {country: phones.all_e164(texts, country) for country, texts in wanted.items()}
        return {
            FIELDS[name]: [
                self._phones_of(place, name, of_row, countries[place], numbers[countries[place]])
                for place, of_row in enumerate(texts)
            ]
            for name, texts in listed.items()
        }

    def _country(self, place: int, listed: Mapping[str, list[list[str]]]) -> str | None:
        code = (self._cells["country_code"][place] or "") if "country_code" in self._cells else ""
        code = "" if unseen.shows_nothing(code) else code.strip(unseen.BLANKS)
        country = phones.country_of(code) if code else None
        if code and country is None:
            said = f"country_code {excerpt(code)} is neither a calling code as 91 is one nor a country as IN is one."
            self._wrong(place, "country_code", "unknown_country_code", said)
        elif not code and (phone := _without_plus(place, listed)) is not None:
            said = f"country_code is empty, and {excerpt(phone)} does not begin with + and a calling code."
            self._wrong(place, "country_code", "country_code_missing", said)
        return country

    def _phones_of(
        self, place: int, column: str, texts: list[str], country: str | None, numbers: Mapping[str, str | None]
    ) -> list[str]:
        found = [numbers[text] for text in texts]
        right = [number for number in found if number is not None]
        if len(right) == len(found):
            return list(dict.fromkeys(right))
        if not any(error.field == "country_code" for error in self._errors.get(place, ())):
            nth = found.index(None)
            which = f", entry {nth + 1} of {len(texts)}," if len(texts) > 1 else ""
            self._wrong(place, column, *_not_a_phone(f"{column} {excerpt(texts[nth])}{which}", texts[nth], country))
        return []

    def _forms_of(self, place: int) -> list[str]:
        found = list(dict.fromkeys(self._entries(place, "form_ids")))
        unknown = next((form for form in found if form not in self._forms), None)
        if unknown is not None:
            known = sorted(self._forms)[:_FORMS_SHOWN]
            there_is = f"There is: {', '.join(known)}." if known else "There is none."
            self._wrong(place, "form_ids", "unknown_form", f"form_ids {excerpt(unknown)} is no form. {there_is}")
        return found

    def _listed(self, column: str) -> list[list[str]]:
        return [self._entries(place, column) for place in range(len(self._rows))]

    def _entries(self, place: int, column: str) -> list[str]:
        found, most = entries(self._cells[column][place]), _MOST[column]
        if len(found) > most:
            self._wrong(
                place, column, f"too_many_{FIELDS[column]}", f"{column} lists {len(found):,}; at most {most:,}."
            )
            return []
        return found

    def _wrong(self, place: int, field: str, code: str, message: str) -> None:
        self._errors[place].append(FieldError(field, code, message))


def _without_plus(place: int, listed: Mapping[str, list[list[str]]]) -> str | None:
    every = (text for texts in listed.values() for text in texts[place])
    return next((text for text in every if not phones.cleaned(text).startswith("+")), None)


def _not_a_phone(what: str, text: str, country: str | None) -> tuple[str, str]:
    code, said = wrong_phones.what_is_wrong(text, country)
    return code, f"{what} {said}"
