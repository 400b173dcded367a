"""The members that a teams job has created or marked: which stay after an undo, and which are deleted when it ends."""

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
"""The field of a teams undo record that holds the undo record of the members."""
_STRAYS = "strays"


def with_people(teams: Mapping[str, Any], touched: Mapping[str, Any], *, strays: bool) -> dict[str, Any]:
    """Return an undo record of teams and of members.

    ``strays``: the chunk has displaced a team that was already written, so its members may be left over.
    """
    return {**teams, PEOPLE: dict(touched), _STRAYS: strays}


def kept_by_others(
    db: Database, job: Job, record: Mapping[str, Any], *, entry_id: str, session: ClientSession | None = None
) -> list[Conflict]:
    """Return a conflict for each member that the entry created and that is now in a team of another job.

    Such a member cannot be deleted.
    """
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
    """Yield the writes that delete members whom only a displaced team names. None are needed if no team was displaced.

    The outcome must be the same as reading the file from top to bottom, which would never create these members.
    """
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
        # A member that has another job's mark stays in the record: an undo of that job gives it back this entry's mark.
        # The deleted members leave the record. Otherwise, if a correction creates one again, this entry's undo would
        # report it as a conflict.
        stay = linked.keys() | team_store.known(db, org_id=job.org_id, phones=strays, session=session)
        left = Binary(pack_keys([phone for phone in phones if phone in stay]))
        db.ledger.update_one({"_id": mark}, {"$set": {f"undo.{PEOPLE}.created": left}}, session=session)
