"""The changes that a file of teams would make. It compares with what is stored, and writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from collect.teams.rows import Team
from collect.teams.template import FIELDS

SAMPLES = 10

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A field of a stored team that would get another value."""

    team: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class TeamChanges:
    """The teams of a file, counted by what would happen to them.

    ``managers_changed``: the number of stored teams that would have other managers. ``duplicates``, ``new_phones``,
    ``several`` and ``changes`` hold only the first few (see :data:`SAMPLES`): names that occur more than once and their
    rows, phones of new members, phones and the teams that they would be in, fields that change.
    """

    examined_rows: int
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    managers_changed: int = 0
    duplicate_names: int = 0
    new_members: int = 0
    phones_in_several_teams: int = 0
    duplicates: tuple[tuple[str, tuple[int, ...]], ...] = ()
    new_phones: tuple[str, ...] = ()
    several: tuple[tuple[str, tuple[str, ...]], ...] = ()
    changes: tuple[Change, ...] = ()


def judge(
    teams: Sequence[Team],
    stored: Mapping[str, Values],
    *,
    known: AbstractSet[str],
    linked: Mapping[str, Sequence[str]],
    upsert: bool,
    examined_rows: int,
) -> TeamChanges:
    """Return what a file of teams would change.

    ``stored``: name → values of the teams that are stored already. ``known``: phones of people who exist. ``linked``:
    phone of a person who would be in a team of the file → the other teams, not named in the file, that this person is
    in now.
    """
    wins = {team.name: team.row for team in (teams if upsert else reversed(teams))}
    counting = [team for team in teams if wins[team.name] == team.row and (upsert or team.name not in stored)]
    there = [team for team in counting if team.name in stored]
    changes = [change for team in there for change in _changes(team, stored[team.name])]
    rows = Counter(team.name for team in teams)
    twice = [name for name, times in rows.items() if times > 1]
    naming = teams if upsert else counting  # people in a row that a later row overwrites are created too
    new = list(dict.fromkeys(phone for team in naming for phone in team.people if phone not in known))
    several = _several([after(team, stored) for team in counting], linked)
    changed = {change.team for change in changes}
    return TeamChanges(
        examined_rows=examined_rows,
        created=len(counting) - len(there),
        changed=len(changed),
        unchanged=len(there) - len(changed),
        managers_changed=sum(change.field == FIELDS["manager_phone"] for change in changes),
        duplicate_names=len(twice),
        new_members=len(new),
        phones_in_several_teams=len(several),
        duplicates=_where(teams, twice[:SAMPLES]),
        new_phones=tuple(new[:SAMPLES]),
        several=tuple((phone, tuple(several[phone][:SAMPLES])) for phone in list(several)[:SAMPLES]),
        changes=tuple(changes[:SAMPLES]),
    )


def after(team: Team, stored: Mapping[str, Values]) -> Team:
    """Return the team as it would be afterwards. Fields without a column in the file keep their ``stored`` values."""
    return Team(team.row, {**stored.get(team.name, {}), **team.values})


def keeping(teams: Sequence[Team], above: dict[str, dict[str, Any]]) -> list[Team]:
    """Return the teams as ``blank: keep`` reads them: an empty field gets the value from earlier rows of that team.

    Fields that are empty in all of these rows are left out. ``above``: name → fields of earlier rows; the rows are
    added to it.
    """
    found = []
    for team in teams:
        said = {name: value for name, value in team.values.items() if value}
        above[team.name] = {**above.get(team.name, {}), **said}
        found.append(Team(team.row, above[team.name]))
    return found


def effects(columns: AbstractSet[str], *, upsert: bool, keeps_blanks: bool = False) -> list[str]:
    """Return what a row does, as sentences for a person. ``columns``: the columns that the file has."""
    made = "A team that is not there is made, with its managers, members and forms."
    people = "A phone that belongs to nobody makes a member; nobody is ever taken away."
    whole = "A row is one team with all its links; if anything in it is wrong, the row is rejected and nothing is done."
    if not upsert:
        return [made, "A team that is there stays as it is, and its row is rejected.", people, whole]
    replaced = [FIELDS[column] for column in FIELDS if column in columns and column != "team_name"]
    left = [field for column, field in FIELDS.items() if column not in columns]
    said = [made]
    if replaced:
        blank = "stay where its cell is empty" if keeps_blanks else "are empty where its cell is"
        said.append(f"Of a team that is there {_listed(replaced)} become those of its row, and {blank}.")
    if left:
        said.append(f"Its {_listed(left)} stay, since the file has no such column.")
    return [*said, people, whole]


def _changes(team: Team, before: Values) -> Iterator[Change]:
    for field, after in team.values.items():
        if before.get(field) != after:
            yield Change(team=team.name, field=field, before=before.get(field), after=after)


def _where(teams: Sequence[Team], names: Sequence[str]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return each of these names with the first rows in which it occurs."""
    rows: dict[str, list[int]] = {name: [] for name in names}
    for team in teams:
        if team.name in rows and len(rows[team.name]) < SAMPLES:
            rows[team.name].append(team.row)
    return tuple((name, tuple(found)) for name, found in rows.items())


def _several(teams: Sequence[Team], linked: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return phone → its teams, for phones that would be in more than one team of the file and ``linked`` together."""
    times = Counter(phone for team in teams for phone in team.people)
    found = {phone: list(linked.get(phone, ())) for phone, n in times.items() if n > 1 or phone in linked}
    for team in teams if found else ():
        for phone in team.people:
            if phone in found:
                found[phone].append(team.name)
    return found


def _listed(fields: Sequence[str]) -> str:
    return ", ".join(fields[:-1]) + " and " + fields[-1] if len(fields) > 1 else fields[0]
