"""Teams and people put there by hand, and teams jobs that are run step by step on the storage's own operations."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo.client_session import ClientSession

from collect.jobs.model import Job, Phase
from collect.jobs.outcomes import Applied, TakenBack
from collect.protocol import commits, creation
from collect.protocol.lease import Lease
from collect.storage import ledger, teams
from collect.storage.database import Database, Document, transact
from support import protocol_driver

BY = "x:1:0"


def team(db: Database, name: str, *, org_id: str = protocol_driver.ORG, written_by: str = BY, **values: Any) -> None:
    """A team, with nobody in it but whom ``values`` name."""
    db.teams.insert_one(team_document(name, org_id=org_id, written_by=written_by, **values))


def person(db: Database, phone: str, *, org_id: str = protocol_driver.ORG, written_by: str = BY) -> None:
    """Somebody with this phone."""
    db.members.insert_one(person_document(phone, org_id=org_id, written_by=written_by))


def team_document(name: str, *, org_id: str = protocol_driver.ORG, written_by: str = BY, **values: Any) -> Document:
    """What :func:`team` puts."""
    whole = {"team_name": name, "description": None, "managers": [], "members": [], "form_ids": [], **values}
    return _document(teams.team_id(org_id=org_id, name=name), org_id, whole, written_by)


def person_document(phone: str, *, org_id: str = protocol_driver.ORG, written_by: str = BY) -> Document:
    """What :func:`person` puts."""
    return _document(teams.member_id(org_id=org_id, phone=phone), org_id, {"phone": phone}, written_by)


def _document(id_: str, org_id: str, values: Document, written_by: str) -> Document:
    return {"_id": id_, "org_id": org_id, "values": values, "row": 1, "written_by": written_by, "revision": 1}


def make(db: Database, *, org_id: str = protocol_driver.ORG, mode: str = "create", **more: Any) -> Job:
    """A new teams job, fed if it may run."""
    new = creation.NewJob(
        org_id=org_id,
        kind="teams",
        params={"mode": mode},
        actor=protocol_driver.ACTOR,
        reason="test",
        requested_at=datetime.now(UTC),
        lock=teams.lock_name(org_id=org_id),
        **more,
    )
    return transact(db, lambda tx: creation.create(tx, new)).value


def write(db: Database, lease: Lease, job: Job, names: Sequence[str]) -> None:
    """Commit a chunk: a team of each name, whose manager leads all teams of the chunk, and with a member of its own."""
    n, seq = lease.part.n, lease.part.seq

    def apply(entry: str, session: ClientSession) -> Applied:
        manager, members = f"+9198{n:03}{seq:05}", [f"+9197{n:03}{seq:02}{i:03}" for i in range(len(names))]
        made = [
            team_document(name, org_id=job.org_id, written_by=entry, managers=[manager], members=[member])
            for name, member in zip(names, members, strict=True)
        ]
        people = [person_document(each, org_id=job.org_id, written_by=entry) for each in (manager, *members)]
        db.teams.insert_many(made, session=session)
        db.members.insert_many(people, session=session)
        ids = {"teams": [each["_id"] for each in made], "members": [each["_id"] for each in people]}
        return Applied(succeeded=len(made), rejected=0, created=len(made), changed=0, rejects=(), undo=ids)

    commits.chunk(lease, job, cursor={"row": lease.part.counts.done + len(names)}, write=apply)


def succeeded(db: Database, *, parts: Iterable[Sequence[str]] = (("a", "b", "c"), ("d", "e")), **more: Any) -> Job:
    """A teams job that has run from the beginning to the end, two teams a chunk."""
    job, all_parts = make(db, **more), list(parts)
    protocol_driver.plan(db, job, [len(names) for names in all_parts])
    for n, names in enumerate(all_parts, start=1):
        with protocol_driver.holding(db, job, n) as lease:
            for start in range(0, len(names), 2):
                write(db, lease, job, names[start : start + 2])
            commits.part_done(lease)
    with protocol_driver.holding(db, job, 0) as lease:
        commits.finished(lease, {"rows": 1})
    return protocol_driver.read_job(db, job)


def take_back(db: Database, job: Job, *, entries: int = 1_000) -> None:
    """Undo up to that many entries of a job that is being taken back."""
    phase = {"phase": Phase.UNDO.value, "status": "queued"}
    for part in list(db.parts.find({"job_id": job.id, **phase}).sort("n", 1)):
        with protocol_driver.holding(db, job, part["n"]) as lease:
            while lease.part.left and entries:
                _take_back_one(db, lease)
                entries -= 1
            if lease.part.left:
                commits.release(lease)
            else:
                commits.part_done(lease)


def _take_back_one(db: Database, lease: Lease) -> None:
    part = lease.part
    stored = ledger.of_job(db, org_id=part.org_id, job_id=part.job_id)
    entry = next(each for each in stored if (each["n"], each["seq"]) == (part.n, part.left - 1))

    def undo(session: ClientSession) -> TakenBack:
        deleted = [
            db[name].delete_many({"_id": {"$in": entry["undo"][name]}, "written_by": entry["_id"]}, session=session)
            for name in ("teams", "members")
        ]
        return TakenBack(deleted=deleted[0].deleted_count, restored=0)

    commits.take_back(lease, entry=entry, undo=undo)
