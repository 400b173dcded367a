"""People whom a job has made or touched: who stays when it is taken back, and who is left over when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from bson.binary import Binary
from pymongo.client_session import ClientSession

from collect.jobs.model import Job
from collect.jobs.outcomes import Conflict
from collect.rows import writing
from collect.rows.batch import pack_keys
from collect.runtime.task import Write
from collect.storage import teams as team_store
from collect.storage.database import Database

PEOPLE = "people"
"""Where an undo record of teams has that of the people."""
_STRAYS = "strays"


def with_people(teams: Mapping[str, Any], touched: Mapping[str, Any], *, strays: bool) -> dict[str, Any]:
    """An undo record of teams and of people. ``strays``: a team that had been written has lost its place."""
    return {**teams, PEOPLE: dict(touched), _STRAYS: strays}


def kept_by_others(
    db: Database, job: Job, record: Mapping[str, Any], *, entry_id: str, session: ClientSession | None = None
) -> list[Conflict]:
    """Those whom the entry made and who are in a team by now that is none of this job's: they cannot go."""
    prefix = team_store.member_id(org_id=job.org_id, phone="")
    phones = [id_.removeprefix(prefix) for id_ in writing.created_ids(record[PEOPLE])]
    linked = team_store.of_phones(db, org_id=job.org_id, phones=phones, session=session, not_of_job=job.id)
    found = db.members.find(
        {"_id": {"$in": [prefix + phone for phone in linked]}, "written_by": entry_id}, {"row": 1}, session=session
    )
    return [
        Conflict(id=member["_id"], row=member["row"], why=f"In team {teams[0]!r}, which others have changed since.")
        for member in (found if linked else ())
        for teams in [linked[member["_id"].removeprefix(prefix)]]
    ]


def without_strays(db: Database, job: Job) -> Iterator[Write | None]:
    """Take away whom only a team named that lost its place. Reading the file from top to bottom never makes them."""
    if db.ledger.find_one({"job_id": job.id, f"undo.{_STRAYS}": True}, {"_id": 1}) is None:
        return
    for entry in db.ledger.find({"job_id": job.id, "undone": False}, {f"undo.{PEOPLE}": 1}):
        ids = writing.created_ids(entry["undo"][PEOPLE])
        yield partial(_remove, db, job, ids, entry["_id"])


def _remove(db: Database, job: Job, made: list[str], mark: str, session: ClientSession) -> None:
    prefix = team_store.member_id(org_id=job.org_id, phone="")
    phones = [id_.removeprefix(prefix) for id_ in made]
    linked = team_store.of_phones(db, org_id=job.org_id, phones=phones, session=session)
    strays = [phone for phone in phones if phone not in linked]
    if strays:
        ids = [prefix + phone for phone in strays]
        db.members.delete_many({"_id": {"$in": ids}, "written_by": mark}, session=session)
        # Whoever another job has taken over stays, and is this entry's again when that job is taken back. The others
        # it has not made after all: whoever a correction makes again would be its conflict.
        stay = linked.keys() | team_store.known(db, org_id=job.org_id, phones=strays, session=session)
        left = Binary(pack_keys([phone for phone in phones if phone in stay]))
        db.ledger.update_one({"_id": mark}, {"$set": {f"undo.{PEOPLE}.created": left}}, session=session)
