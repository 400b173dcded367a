"""The diagnosis of a job's file by its first rows: what seems wrong with the file as a whole, as a preview says it."""

from __future__ import annotations

from typing import Any

import bson

from collect.checks import sampling, swapped
from collect.checks.warning import Warning
from collect.csv.cell_rules import CellRules
from collect.csv.validation import Validator
from collect.errors import NotFound, TaskRefused
from collect.jobs.model import Job
from collect.jobs.template import Template
from collect.rows import writing
from collect.storage import datasets, forms
from collect.storage.database import Database
from collect.storage.object_store import Blobs
from collect.storage.teams import team_id
from collect.teams import rows
from collect.teams.shifts import TeamColumns
from collect.teams.template import TEMPLATE

MOST_ROWS = 3_000
MOST_ENTRIES = 20


def at_rows(db: Database, blobs: Blobs, job: Job, *, template: Template) -> str | None:
    """Return a text if two columns look exchanged, by the template and by what other jobs have stored in the dataset.

    ``None`` if none do, or if the file cannot be read.
    """
    begun = _begun(blobs, job, template)
    if begun is None:
        return None
    columns = sampling.columns(begun.opened, begun.layout, template, begun.records, CellRules.of(job.params))
    stored = datasets.values(db, org_id=job.org_id, name=job.params["dataset"], columns=len(columns), but_of=job.id)
    return _sentences(swapped.find(columns, stored=stored, column_map=job.params.get("column_map") or {}))


def at_teams(db: Database, blobs: Blobs, job: Job) -> str | None:
    """Return a text if a column looks shifted by some rows, by the file and by the teams as they were before the job.

    ``None`` if none does, or if the file cannot be read.
    """
    begun = _begun(blobs, job, TEMPLATE)
    if begun is None:
        return None
    lot = begun.lot
    valid, _ = Validator(template=TEMPLATE, layout=begun.layout, rules=CellRules.of(job.params)).validate(lot)
    known = frozenset(form.form_id for form in forms.all_of(db, org_id=job.org_id))
    teams = rows.read(valid, forms=known).said
    columns = TeamColumns()
    columns.add(range(lot.row, lot.row + lot.rows), valid, teams)
    ids = [team_id(org_id=job.org_id, name=team.name) for team in teams]
    found = db.teams.find({"_id": {"$in": ids}, "org_id": job.org_id}, {"values": 1, "written_by": 1})
    others = [document for document in found if not document["written_by"].startswith(f"{job.id}:")]
    stored = {there["values"]["team_name"]: there["values"] for there in (*others, *_changed(db, job))}
    return _sentences(columns.slipped(stored, job.params.get("column_shift") or {}))


def _changed(db: Database, job: Job) -> list[dict[str, Any]]:
    """Return the team documents that the job's first chunks have changed, as they were before."""
    entries = db.ledger.find({"job_id": job.id}, {"undo.before": 1}).sort([("n", 1), ("seq", 1)]).limit(MOST_ENTRIES)
    return [bson.decode(image.raw) for entry in entries for image in writing.before_images(entry["undo"]).values()]


def _begun(blobs: Blobs, job: Job, template: Template) -> sampling.Beginning | None:
    """Return the first rows of the job's file.

    ``None`` if there is no file, or it cannot be read: then the job's own error says what is wrong.
    """
    if job.file is None:
        return None
    try:
        return sampling.beginning(blobs, job.file.blob, template=template, params=job.params, most_rows=MOST_ROWS)
    except (NotFound, TaskRefused):
        return None


def _sentences(warnings: list[Warning]) -> str | None:
    return " ".join(suspicion.sentence() for suspicion in warnings) or None
