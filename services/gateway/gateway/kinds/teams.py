"""Teams in bulk: each row of a file is one team with its manager, members and forms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt

from collect.api import previews as api
from collect.api.previews import DuplicateName, InSeveralTeams, TeamsPreview
from collect.checks import preview as csv_preview
from collect.checks.cleared_values import BlankCells
from collect.checks.duplicate_keys import SampledKeys
from collect.checks.preview import CsvPreview
from collect.checks.warning import Warning
from collect.csv import layout
from collect.csv.reading import Lot
from collect.csv.realign import MOST_ROWS
from collect.csv.validation import Valid
from collect.csv.wrong_cells import excerpt
from collect.errors import FieldError
from collect.jobs.model import Job
from collect.jobs.template import Template
from collect.storage import forms
from collect.storage import teams as team_store
from collect.storage.database import Database
from collect.storage.files import InputFile
from collect.teams import changes as teams_changes
from collect.teams import rows as teams_rows
from collect.teams.changes import TeamChanges
from collect.teams.names import name_of
from collect.teams.rows import Team
from collect.teams.shifts import TeamColumns
from collect.teams.template import FIELDS, TEMPLATE
from gateway.http.json_body import checked
from gateway.kinds import csv_kinds
from gateway.kinds.csv_kinds import CsvParams, OwnExport
from gateway.kinds.kind import Asker, Wanted

EXAMINED_ROWS = 100_000
"""Most rows that a preview reads: the first ones, all in a row, since shifted cells show only in adjacent rows."""
MOST_PHONES = 200_000
"""Phones after which a preview reads no more rows. A phone costs about 10 µs, and a team may have a thousand."""
ROWS_PER_SECOND = 3_000
"""Rows in a second, for a preview's estimate: one worker of two slots on a small machine (docs/figures.md)."""

_COLUMNS = {field: column for column, field in FIELDS.items()}

ColumnName = Literal["team_name", "description", "country_code", "manager_phone", "member_phones", "form_ids"]
Rows = Annotated[StrictInt, Field(ge=-MOST_ROWS, le=MOST_ROWS)]


class TeamsParams(CsvParams):
    """`params` of a job that makes teams. ``column_shift``: column → by how many rows its cells move down (up: < 0)."""

    mode: Literal["create", "upsert"] = "create"
    column_shift: dict[ColumnName, Rows] | None = None
    invite: Literal[False] = False

    def moved(self) -> dict[str, int]:
        """Return ``column_shift``, or ``{}`` if it is not given."""
        return {str(name): rows for name, rows in (self.column_shift or {}).items()}


def check(asker: Asker, given: dict[str, Any], sent: InputFile | None) -> Wanted:
    """See :class:`gateway.kinds.kind.Kind`."""
    params = checked(TeamsParams, given if sent is None else {**given, "file_id": sent.id}, within="params")
    file = csv_kinds.file_of(asker, params, sent)
    export = csv_kinds.own_export(asker, params, file)
    params = csv_kinds.with_detected(params, export)
    csv_kinds.check_columns(params, TEMPLATE)
    return Wanted(
        params=params.model_dump(exclude_unset=True) | {"mode": params.mode},
        preview=lambda _: _Preview(asker, params, file, export).answer(),
        lock=team_store.lock_name(org_id=asker.org_id),
        on_conflict=params.on_conflict,
        supersedes=params.supersedes,
        max_rejected=params.reject_limit(),
        file=file.ref,
        detected=csv_kinds.names_detected(export),
    )


def template(db: Database, job: Job) -> Template:
    """See :class:`gateway.kinds.kind.Kind`."""
    return TEMPLATE


def marked(db: Database, job: Job) -> int:
    """See :class:`gateway.kinds.kind.Kind`. Counts teams, not people: people are added and removed with their teams."""
    marked_teams, _ = team_store.marked(db, org_id=job.org_id, job_id=job.id)
    return marked_teams


def look(db: Database, job: Job, valid: Valid) -> Mapping[int, Sequence[FieldError]]:
    """See :class:`gateway.kinds.kind.Kind`."""
    known = frozenset(form.form_id for form in forms.all_of(db, org_id=job.org_id))
    return teams_rows.read(valid, forms=known).wrong


def stored(db: Database, job: Job, keys: Collection[str], columns: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    """See :class:`gateway.kinds.kind.Kind`. The keys are team names as in the file; the store has a common form."""
    names = {key: name_of(key) for key in keys}
    found = team_store.marks(db, org_id=job.org_id, names=set(names.values()))
    return {
        key: {**found[name], "values": {column: found[name]["values"].get(FIELDS[column]) for column in fields}}
        for key, name in names.items()
        if name in found
        for fields in [[column for column in columns if column in FIELDS]]
    }


class _Preview:
    """The preview of a file of teams. It reads the file once and compares it with the stored teams."""

    def __init__(self, asker: Asker, params: TeamsParams, file: InputFile, export: OwnExport | None) -> None:
        self._db = asker.db
        self._org_id = asker.org_id
        self._asker = asker
        self._params = params
        self._file = file
        self._export = export
        self._upsert = params.mode == "upsert"
        self._keeps_blanks = layout.keeps_blanks(params.model_dump())
        self._forms = frozenset(form.form_id for form in forms.all_of(asker.db, org_id=asker.org_id))
        self._teams: list[Team] = []
        self._above: dict[str, dict[str, Any]] = {}
        self._phones = 0
        self._rows: dict[str, int] = {}
        self._keys = SampledKeys()
        self._blanks = BlankCells()
        self._columns = TeamColumns()
        self._stored: dict[str, dict[str, Any]] = {}

    def answer(self) -> TeamsPreview:
        seen = csv_preview.preview(
            self._asker.blobs,
            self._file.blob,
            template=TEMPLATE,
            params=self._params.model_dump(),
            sent=self._file.ref,
            first_rows=EXAMINED_ROWS,
            look=self._look,
        )
        columns = {column.mapped_to for column in seen.columns if column.mapped_to is not None}
        fields = csv_kinds.preview_fields(
            seen,
            self._params,
            self._file,
            rows_per_second=ROWS_PER_SECOND,
            export=self._export,
            holder=team_store.holder(self._db, org_id=self._org_id),
            warnings=[
                *self._repeated(seen),
                *self._cleared(seen),
                *self._alike(seen),
                *self._columns.slipped(self._stored, self._params.moved()),
            ],
        )
        return TeamsPreview(
            **fields,
            teams=_answer(self._changes(seen), seen.rejects.rejected_rows),
            effects=teams_changes.effects(columns, upsert=self._upsert, keeps_blanks=self._keeps_blanks),
        )

    def _look(self, lot: Lot, valid: Valid) -> dict[int, tuple[FieldError, ...]] | None:
        if self._phones > MOST_PHONES:
            return None
        read = teams_rows.read(valid, forms=self._forms)
        found = read.teams
        self._phones += sum(len(team.people) for team in read.said)
        self._stored.update(team_store.stored(self._db, org_id=self._org_id, names=[team.name for team in read.said]))
        self._teams.extend(teams_changes.keeping(found, self._above) if self._keeps_blanks else found)
        if self._upsert and not self._keeps_blanks:
            for team in found:
                blanks = [_COLUMNS[field] for field, value in team.values.items() if not value]
                self._blanks.add_row(team.row, team.name, blanks)
        self._keys.add([team.row for team in found], [team.name for team in found])
        self._columns.add(range(lot.row, lot.row + lot.rows), valid, read.said)
        return {**read.wrong, **({} if self._upsert else self._twice(found))}

    def _repeated(self, seen: CsvPreview) -> list[Warning]:
        return self._keys.repeated(upsert=self._upsert, looked_at=seen.rejects.sampled_rows, total_rows=seen.total_rows)

    def _cleared(self, seen: CsvPreview) -> list[Warning]:
        stored = {
            name: {column: values[field] for column, field in FIELDS.items() if column in self._blanks.columns}
            for name, values in self._stored.items()
        }
        return self._blanks.warnings(stored, looked_at=seen.rejects.sampled_rows, total_rows=seen.total_rows)

    def _alike(self, seen: CsvPreview) -> list[Warning]:
        return csv_kinds.keys_alike(
            self._keys,
            column="team_name",
            stored=lambda most: team_store.names(self._db, org_id=self._org_id, most=most),
            among=lambda names: team_store.stored(self._db, org_id=self._org_id, names=names),
            seen=seen,
            may_trim=False,
        )

    def _twice(self, found: list[Team]) -> dict[int, tuple[FieldError]]:
        """Return errors for rows whose team name is stored already or is in a row above: they would be rejected."""
        wrong: dict[int, tuple[FieldError]] = {}
        for team in found:
            first = self._rows.setdefault(team.name, team.row)
            if team.name in self._stored or first != team.row:
                where = "is there already" if team.name in self._stored else f"is that of row {first:,}"
                said = f"team_name {excerpt(team.name)} {where}."
                wrong[team.row] = (FieldError("team_name", "duplicate_key", said),)
        return wrong

    def _changes(self, seen: CsvPreview) -> TeamChanges:
        written = [team for team in self._teams if self._upsert or team.name not in self._stored]
        phones = {phone for team in written for phone in teams_changes.after(team, self._stored).people}
        known = {phone for values in self._stored.values() for role in team_store.ROLES for phone in values[role]}
        return teams_changes.judge(
            self._teams,
            self._stored,
            known=known | team_store.known(self._db, org_id=self._org_id, phones=phones - known),
            linked=team_store.elsewhere(
                self._db, org_id=self._org_id, phones=phones, names=[team.name for team in written]
            ),
            upsert=self._upsert,
            examined_rows=seen.rejects.sampled_rows,
        )


def _answer(changes: TeamChanges, rejected: int) -> api.TeamChanges:
    examples = {
        "duplicates": [DuplicateName(team_name=name, rows=list(rows)) for name, rows in changes.duplicates],
        "several": [InSeveralTeams(phone=phone, teams=list(names)) for phone, names in changes.several],
    }
    return api.TeamChanges(**{**asdict(changes), **examples}, rejected=rejected)
