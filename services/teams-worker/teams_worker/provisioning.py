"""The documents that a chunk's rows make: teams, and the members whom they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from bson.int64 import Int64

from collect.csv.reading import Lot
from collect.rows import batch
from collect.rows.batch import Batch
from collect.rows.documents import FROM_ROWS
from collect.rows.writing import Decision
from collect.storage import teams as team_store
from collect.teams.rows import Team
from collect.teams.template import NOTHING_SAID


@dataclass(frozen=True, kw_only=True)
class Provision:
    """The documents of a chunk.

    ``teams``: one for each team name. ``people``: all members whom any row names. ``named_by``: row → the phones of the
    members whom it names.
    """

    teams: Batch
    people: Batch
    named_by: Mapping[int, Sequence[str]]

    def named(self, *, without: AbstractSet[int]) -> Batch:
        """Return the members whom any row names, except the rows in ``without``."""
        if not without:
            return self.people
        return self.people.only(
            {phone for row, named in self.named_by.items() if row not in without for phone in named}
        )

    def touched(self, decision: Decision, *, org_id: str) -> Batch:
        """Return the members to mark: those whom the teams name now, and those whom changed teams named before.

        Rejected teams are left out. A member who leaves a team is marked too, since an undo of this job would bring the
        member back: until then, an undo of the job that created the member must report a conflict.
        """
        named = self.named(without={reject.row for reject in decision.rejects})
        known = set(named.keys)
        left: dict[str, int] = {}
        for place, there in decision.changed:
            for role in team_store.ROLES:
                for phone in there["values"].get(role, ()):
                    if phone not in known:
                        left.setdefault(phone, self.teams.rows[place])
        return named.and_also(_people(left, self.teams.lot, org_id=org_id)) if left else named


def make(teams: Sequence[Team], lot: Lot, *, org_id: str, upsert: bool, keeps: bool = False) -> Provision:
    """Return the documents of ``teams``: of the row that wins for each name (create: the first, upsert: the last).

    ``keeps``: a blank cell keeps the stored value. Then no row wins as a whole, and every row is encoded.
    """
    winners, losers = batch.winners([team.name for team in teams], last=upsert)
    if keeps:
        winners, losers = list(range(len(teams))), []
    named_by = {team.row: team.people for team in teams}
    first_rows: dict[str, int] = {}
    for row, named in named_by.items():
        for phone in named:
            first_rows.setdefault(phone, row)
    prefix = team_store.team_id(org_id=org_id, name="")
    return Provision(
        teams=batch.encode(
            [(teams[place].name, _team(org_id, teams[place], keeps=keeps)) for place in winners],
            lot,
            prefix=prefix,
            key=("team_name",),
            names=teams[0].values if teams else (),
            others=[(teams[place].row, teams[place].name) for place in losers],
            keeps=keeps,
        ),
        people=_people(first_rows, lot, org_id=org_id),
        named_by=named_by,
    )


def _team(org_id: str, team: Team, *, keeps: bool) -> dict[str, Any]:
    """Return a team's document with all fields, as a new team has them.

    In a team that exists, only the fields of the file's columns are replaced. ``keeps``: the document lists its blank
    fields, which are not replaced either.
    """
    document = _document(org_id, {**NOTHING_SAID, **team.values}, team.row)
    blanks = [name for name, value in team.values.items() if not value] if keeps else []
    return {**document, FROM_ROWS: dict.fromkeys(blanks, Int64(0))} if blanks else document


def _people(rows: Mapping[str, int], lot: Lot, *, org_id: str) -> Batch:
    """Return the batch of members. ``rows``: phone → the row that names it."""
    return batch.encode(
        [(phone, _document(org_id, {"phone": phone}, row)) for phone, row in rows.items()],
        lot,
        prefix=team_store.member_id(org_id=org_id, phone=""),
        key=("phone",),
        names=("phone",),
    )


def _document(org_id: str, values: Mapping[str, Any], row: int) -> dict[str, Any]:
    return {"org_id": org_id, "values": values, "row": Int64(row)}
