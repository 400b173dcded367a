"""The lists of teams of the third story: an earlier one, a new one, and the new one with its managers slipped."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collect.demo.teams import COLUMNS, COUNTRY_CODE, LIST_SEPARATOR, Roster

FIRST, FIRST_NEW = 9_000_001, 9_900_001
"""The demo's teams are numbered from the one, managers that nobody knows yet are those of teams from the other on."""
SLIPPED_ROWS = 10
NEW_MANAGERS = 6
"""Teams that have another manager in the new list: it is not merely the earlier one."""

Cells = dict[str, str]


class Rosters:
    """The files, in a folder, and what each says of every team."""

    def __init__(self, *, folder: Path, teams: int) -> None:
        self.earlier, self.right, self.wrong = (folder / f"teams-{name}.csv" for name in ("earlier", "right", "wrong"))
        self._rows = {
            self.earlier: _rows(Roster(teams=teams, first=FIRST)),
            self.right: _with_new_managers(_rows(Roster(teams=teams, first=FIRST))),
        }
        self._rows[self.wrong] = _slipped(self._rows[self.right])

    def make(self) -> None:
        """Write them."""
        for path, rows in self._rows.items():
            with path.open("w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)

    def cell(self, path: Path, row: int, column: str) -> str:
        """What the file has in a row, which is counted from 1."""
        return self._rows[path][row - 1][column]

    def expected(self, path: Path) -> dict[str, dict[str, Any]]:
        """Each team by name, as it has to be stored when the file is right."""
        return {row["team_name"]: _team(row) for row in self._rows[path]}


def _rows(roster: Roster) -> list[Cells]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in roster.rows()]


def _with_new_managers(rows: list[Cells]) -> list[Cells]:
    """Some teams, all over the list, get somebody whom nobody knows yet."""
    each = max(1, len(rows) // NEW_MANAGERS)
    new = _rows(Roster(teams=NEW_MANAGERS, first=FIRST_NEW))
    for row, other in zip(rows[each // 2 :: each], new, strict=False):
        row["manager_phone"] = other["manager_phone"]
    return rows


def _slipped(rows: Sequence[Cells]) -> list[Cells]:
    """The managers moved down; the last of them are lost, as they are when cells are inserted above."""
    managers = [*[""] * SLIPPED_ROWS, *(row["manager_phone"] for row in rows)]
    return [{**row, "manager_phone": manager} for row, manager in zip(rows, managers, strict=False)]


def _team(row: Cells) -> dict[str, Any]:
    return {
        "team_name": row["team_name"],
        "description": row["description"],
        "managers": _phones(row["manager_phone"]),
        "members": _phones(row["member_phones"]),
        "form_ids": row["form_ids"].split(LIST_SEPARATOR),
    }


def _phones(cell: str) -> list[str]:
    return [f"+{COUNTRY_CODE}{phone}" for phone in cell.split(LIST_SEPARATOR) if phone]
