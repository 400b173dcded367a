"""A storm's files of teams, and the model of them: names, people and forms are functions of the row."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from collect.demo import survey
from collect.teams.template import FIELDS
from storm.files import Sheet

NAMES = 6_000
PEOPLE = 12_000
"""Teams and people that the files of one organisation share: another file has other people for the same team."""
MEMBERS = 5
PADDING = 1_600
"""Characters that make several parts of a file with some thousand rows."""
MISTAKES = (
    ("manager_phone", "12345"),
    ("manager_phone", "9.82E+09"),
    ("member_phones", "9820000001;+91 12345"),
    ("form_ids", f"{survey.FORM_ID};nowhere"),
    ("team_name", ""),
)
COLUMNS = ("team_name", "description", "country_code", "manager_phone", "member_phones", "form_ids")
LEFT_OUT: tuple[frozenset[str], ...] = (
    frozenset(),
    frozenset(),
    frozenset({"member_phones"}),
    frozenset({"country_code"}),
    frozenset({"form_ids"}),
    frozenset({"manager_phone", "form_ids"}),
)

_FIRST_NUMBER = 9_000_000_000
_STEP = 7_919


@dataclass(frozen=True, kw_only=True)
class Roster(Sheet):
    """A file of teams. ``turn``: by so much its people are others than those of the files before it."""

    said_in = "description"

    turn: int
    left_out: frozenset[str]
    padded: bool

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name in COLUMNS if name not in self.left_out)

    def key_of(self, number: int) -> str:
        return f"{self.org_id} team {number % NAMES:04d}"

    def people(self, row: int) -> list[str]:
        """Everybody whom the row names, by phone."""
        return list(dict.fromkeys([*self.managers(row), *self.members(row)]))

    def managers(self, row: int) -> list[str]:
        """Three rows one after the other have the same one; some rows have none, and some two."""
        if "manager_phone" in self.left_out:
            return []
        return [_phone(self.turn + row // 3 + place) for place in range((1, 1, 1, 1, 0, 2, 1)[row % 7])]

    def members(self, row: int) -> list[str]:
        """Neighbours of theirs are members of other rows; of some rows the manager is one as well."""
        if "member_phones" in self.left_out:
            return []
        own = [_phone(self.turn * 3 + row * 3 + place) for place in range(row % (MEMBERS + 1))]
        return [*own, *(self.managers(row)[:1] if row % 4 == 0 else ())]

    def cells(self, row: int) -> dict[str, str]:
        cells = {
            "team_name": self.key(row),
            "description": f"{self.name}/{row}" + (f" {'x' * PADDING}" if self.padded else ""),
            "country_code": ("91", "+91", "IN")[row % 3],
            "manager_phone": self._cell(row, self.managers(row)),
            "member_phones": self._cell(row, self.members(row)),
            "form_ids": ";".join(self._forms(row)),
        }
        if self.is_bad(row):
            column, cell = self._mistake(row)
            cells[column] = cell
        return {name: cells[name] for name in self.columns}

    def values(self, row: int) -> dict[str, Any]:
        """Of a team that is new; of one that is there only the fields for which the file has columns."""
        return {
            "team_name": self.key(row),
            "description": self.cells(row)["description"],
            "managers": self.managers(row),
            "members": list(dict.fromkeys(self.members(row))),
            "form_ids": self._forms(row),
        }

    @property
    def fields(self) -> frozenset[str]:
        """What the file says of a team."""
        return frozenset(FIELDS[name] for name in self.columns if name in FIELDS)

    def _forms(self, row: int) -> list[str]:
        return [survey.FORM_ID] if row % 5 and "form_ids" not in self.left_out else []

    def _mistake(self, row: int) -> tuple[str, str]:
        possible = [mistake for mistake in MISTAKES if mistake[0] in self.columns]
        return possible[row // self.bad % len(possible)]

    def _cell(self, row: int, phones: Iterable[str]) -> str:
        """As people write them; without a country in its row each begins with a plus sign."""
        if "country_code" in self.left_out or row % 4 == 1:
            return ";".join(phones)
        if row % 4 == 2:
            return "; ".join(f"{phone[3:8]} {phone[8:]}" for phone in phones)
        return ";".join(phone.removeprefix("+91") for phone in phones)


SIZES = ((20, 200), (20, 200), (500, 2_000), (500, 2_000), (2_000, 4_000), (5_200, 6_500))
"""Smallest and largest number of rows of each file; the last is padded, so that it has several parts."""


def rosters(rng: random.Random, *, org_id: str) -> list[Roster]:
    """The files of one organisation."""
    return [
        Roster(
            name=f"{org_id}-teams-{n}",
            org_id=org_id,
            rows=rng.randint(*sizes),
            first=rng.randrange(NAMES // 6),
            bad=rng.choice((0, 0, 50, 17)),
            twice=rng.choice((0, 23)),
            zipped=rng.random() < 0.3,
            turn=rng.randrange(PEOPLE),
            left_out=rng.choice(LEFT_OUT),
            padded=sizes == SIZES[-1],
        )
        for n, sizes in enumerate(SIZES)
    ]


def _phone(number: int) -> str:
    """A mobile number in E.164. All of India's that begin with a 9 are in use."""
    return f"+91{_FIRST_NUMBER + number % PEOPLE * _STEP}"
