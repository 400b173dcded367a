"""Made-up files of teams, right ones and ones with a shifted column. The same values give the same file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

from collect.demo import places, survey
from collect.errors import InvalidInput
from collect.teams.template import TEMPLATE

COLUMNS = TEMPLATE.names
LIST_SEPARATOR = ";"
COUNTRY_CODE = "91"
MEMBERS_EACH = 5
NUMBERS_EACH = 97
"""Phone numbers reserved for a team. The number is a prime, so that the managers' phones do not all end alike."""

_FIRST_NUMBER, _NUMBERS = 9_000_000_000, 1_000_000_000
_STEP = 618_033_989
"""Step between phone numbers. It is coprime to ``_NUMBERS``, so no number occurs twice."""

Row = Sequence[str]
Gap = Literal["empty", "kept"]


@dataclass(frozen=True, kw_only=True)
class Roster:
    """The teams to make. The same values give the same bytes. Rosters without a common number share no person.

    ``first``: the number of the first team. ``managers_each``: how many consecutive teams have the same manager.
    ``shift``: column → rows by which its cells are shifted down (negative: up); cells beyond the end are lost. ``gap``:
    the freed cells are empty, or keep their value.
    """

    teams: int
    first: int = 1
    members_each: int = MEMBERS_EACH
    managers_each: int = 1
    shift: Mapping[str, int] = field(default_factory=dict)
    gap: Gap = "empty"

    def __post_init__(self) -> None:
        unknown = [name for name in self.shift if name not in COLUMNS]
        if unknown:
            raise InvalidInput(f"There is no column {unknown[0]!r}. Columns: {', '.join(COLUMNS)}.")
        if not 0 <= self.members_each < NUMBERS_EACH:
            raise InvalidInput(f"members_each must be less than {NUMBERS_EACH}.")
        last = self.first + self.teams - 1
        if self.first < 1 or self.teams < 0 or self.managers_each < 1 or last >= _NUMBERS // NUMBERS_EACH:
            raise InvalidInput(f"Teams are numbered from 1 to {_NUMBERS // NUMBERS_EACH - 1:,}.")

    def rows(self) -> Iterator[Row]:
        """Yield the rows as cells of a CSV. Memory does not grow with the rows."""
        return zip(*(self._cells(name) for name in COLUMNS), strict=True)

    def managers(self) -> Iterator[tuple[str, str | None]]:
        """Yield each team's name and its row's manager phone (E.164); ``None`` for an empty cell."""
        for name, phone in zip(self._cells("team_name"), self._cells("manager_phone"), strict=True):
            yield name, f"+{COUNTRY_CODE}{phone}" if phone else None

    def _cells(self, column: str) -> Iterator[str]:
        """Yield the cells of the column from top to bottom."""
        by = max(-self.teams, min(self.teams, self.shift.get(column, 0)))
        cell, numbers = _CELLS[column], range(self.first, self.first + self.teams)
        free = numbers[:by] if by > 0 else numbers[self.teams + by :]
        gap = ("" if self.gap == "empty" else cell(self, number) for number in free)
        if by > 0:
            yield from gap
        yield from (cell(self, number) for number in numbers[max(0, -by) : self.teams - max(0, by)])
        if by < 0:
            yield from gap


def write_csv(roster: Roster, out: TextIO) -> None:
    """Write the roster with its header."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(roster.rows())


def save_csv(roster: Roster, path: Path) -> None:
    """Write the roster to a file."""
    with path.open("w", encoding="utf-8", newline="") as out:
        write_csv(roster, out)


def _name(_: Roster, number: int) -> str:
    return f"Team {_district(number).name} {number}"


def _description(_: Roster, number: int) -> str:
    district = _district(number)
    return f"Data collectors of {district.blocks[number % len(district.blocks)]}, {district.state}"


def _manager(roster: Roster, number: int) -> str:
    return _phone(number - number % roster.managers_each, 0)


def _members(roster: Roster, number: int) -> str:
    return LIST_SEPARATOR.join(_phone(number, place) for place in range(1, roster.members_each + 1))


def _district(number: int) -> places.District:
    return places.DISTRICTS[number % len(places.DISTRICTS)]


def _phone(number: int, place: int) -> str:
    """Return a mobile number in national format. Indian mobile numbers may begin with 9."""
    return str(_FIRST_NUMBER + (number * NUMBERS_EACH + place) * _STEP % _NUMBERS)


_CELLS: Mapping[str, Callable[[Roster, int], str]] = {
    "team_name": _name,
    "description": _description,
    "country_code": lambda _, __: COUNTRY_CODE,
    "manager_phone": _manager,
    "member_phones": _members,
    "form_ids": lambda _, __: survey.FORM_ID,
}
