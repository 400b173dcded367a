"""The columns of a file of teams, gathered to find slipped ones: each cell's value beside the stored value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from collect.checks import shifted
from collect.checks.alignment import ShiftColumn
from collect.checks.warning import Warning
from collect.csv.validation import Valid
from collect.teams.rows import Team
from collect.teams.template import FIELDS

_THINGS = {"manager_phone": "managers", "member_phones": "members", "form_ids": "forms", "description": "descriptions"}


@dataclass
class TeamColumns:
    """The rows of a file, added lot by lot in their order. A row that could not be read has an empty name."""

    _names: list[str] = field(default_factory=list)
    _texts: dict[str, list[str]] = field(default_factory=dict)
    _values: dict[str, list[frozenset[str]]] = field(default_factory=dict)

    def add(self, rows: Sequence[int], valid: Valid, teams: Sequence[Team]) -> None:
        """Add the rows of a lot. ``valid``: the rows that are valid by the template. ``teams``: the teams in these."""
        places = {row: place for place, row in enumerate(valid.rows.to_pylist())}
        by_row = {team.row: team for team in teams}
        self._names.extend(by_row[row].name if row in by_row else "" for row in rows)
        for name, column in valid.columns.items():
            cells = column.to_pylist()
            texts = [(cells[places[row]] or "") if row in places else "" for row in rows]
            self._texts.setdefault(name, []).extend(texts)
            self._values.setdefault(name, []).extend(
                _said(by_row.get(row), name, text) for row, text in zip(rows, texts, strict=True)
            )

    def slipped(self, stored: Mapping[str, Mapping[str, Any]], column_shift: Mapping[str, int]) -> list[Warning]:
        """Return warnings for columns that look as if they slipped. ``stored``: name → values of the stored teams."""
        columns = [
            ShiftColumn(
                name=name,
                texts=self._texts[name],
                values=self._values[name],
                stored={team: of_team for team, values in stored.items() if (of_team := _stored(values, name))},
                things=_THINGS.get(name, "values"),
            )
            for name in self._texts
            if name != "team_name"
        ]
        return shifted.find(self._names, columns, column_shift=column_shift)


def _said(team: Team | None, column: str, text: str) -> frozenset[str]:
    if team is None or not text:
        return frozenset()
    said = team.values.get(FIELDS.get(column, ""))
    return frozenset(said) if isinstance(said, list) else frozenset({text.strip()})


def _stored(values: Mapping[str, Any], column: str) -> frozenset[str]:
    there = values.get(FIELDS.get(column, ""))
    if isinstance(there, list):
        return frozenset(there)
    return frozenset() if there is None else frozenset({there.strip()})
