"""What `check` says of teams and people: nothing of what jobs leave, and whatever is planted."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.client_session import ClientSession

from collect.admin.check import Code, Finding, check
from collect.jobs.model import Job, entry_id
from collect.jobs.outcomes import Applied
from collect.jobs.states import State, Verb
from collect.protocol import commits
from collect.storage import teams
from collect.storage.database import Database, connect
from support import protocol_driver, team_jobs


@pytest.fixture(scope="module")
def connection(mongodb_url: str, database_name: str) -> Iterator[Database]:
    db = connect(mongodb_url, database=database_name, app_name="test")
    yield db
    db.close()


@pytest.fixture
def db(connection: Database) -> Database:
    protocol_driver.prepare(connection, "labs", "other")
    return connection


@pytest.fixture
def job(db: Database) -> Job:
    """One that has succeeded, beside one that was taken back, one of others, and an upload; all is well with them."""
    taken_back = team_jobs.succeeded(db, parts=[("x", "y")])
    protocol_driver.ask(db, taken_back, Verb.UNDO)
    team_jobs.take_back(db, taken_back)
    assert db.teams.count_documents({}) == db.members.count_documents({}) == 0
    team_jobs.succeeded(db, org_id="other")
    protocol_driver.succeeded(db)
    done = team_jobs.succeeded(db)
    db.outbox.delete_many({})
    assert found(db) == []
    return done


def found(db: Database) -> list[Finding]:
    return check(db, patience_seconds=0.0)


def codes(db: Database) -> set[Code]:
    return {finding.code for finding in found(db)}


def test_each_step_of_a_job_leaves_all_in_order(db: Database) -> None:
    job = team_jobs.make(db)
    protocol_driver.plan(db, job, [4, 2])
    assert found(db) == []
    with protocol_driver.holding(db, job, 1) as lease:
        team_jobs.write(db, lease, job, ["a", "b"])
        assert found(db) == []
        team_jobs.write(db, lease, job, ["c", "d"])
        commits.part_done(lease)
    with protocol_driver.holding(db, job, 2) as lease:
        team_jobs.write(db, lease, job, ["e", "f"])
    assert found(db) == []
    protocol_driver.ask(db, job, Verb.TERMINATE)
    for _ in range(3):
        assert found(db) == []
        team_jobs.take_back(db, job, entries=1)
    assert protocol_driver.read_job(db, job).state is State.TERMINATED
    assert found(db) == []
    assert db.teams.count_documents({}) == db.members.count_documents({}) == 0


def test_while_a_job_is_taken_back_its_people_may_go_before_its_teams(db: Database, job: Job) -> None:
    protocol_driver.ask(db, job, Verb.UNDO)
    entry = db.ledger.find_one({"_id": entry_id(job.id, 1, 0)})
    assert entry is not None
    last = db.ledger.find_one({"_id": entry_id(job.id, 1, 1)})
    assert last is not None
    db.teams.update_many({"_id": {"$in": last["undo"]["teams"]}}, {"$push": {"values.members": "+919999999999"}})
    assert Code.LINK_BROKEN not in codes(db)
    assert protocol_driver.read_job(db, job).state is State.UNDOING


def test_a_team_that_another_job_has_changed_may_carry_its_mark(db: Database, job: Job) -> None:
    other = team_jobs.make(db, mode="upsert")
    protocol_driver.plan(db, other, [2])
    with protocol_driver.holding(db, other, 1) as lease:

        def apply(entry: str, session: ClientSession) -> Applied:
            db.teams.update_one({"_id": "labs|a"}, {"$set": {"written_by": entry}}, session=session)
            return Applied(succeeded=2, rejected=0, created=0, changed=1, rejects=(), undo={})

        commits.chunk(lease, other, cursor={"row": 2}, write=apply)
    assert found(db) == []
    db.teams.update_one({"_id": "labs|b"}, {"$set": {"written_by": entry_id(other.id, 1, 0)}})
    assert codes(db) == {Code.MARKS_DIFFER}


Plant = Callable[[Database, str], Any]
"""Breaks something of what the ledger entry of that id has written."""


def _more_teams(db: Database, entry: str) -> None:
    for n in range(9):
        team_jobs.team(db, f"more {n}", written_by=entry)


def _of_an_upload(db: Database, entry: str) -> None:
    row = db.rows.find_one({})
    assert row is not None
    db.teams.update_one({"written_by": entry}, {"$set": {"written_by": row["written_by"]}})


def _undone(db: Database, entry: str) -> None:
    undone = db.ledger.find_one({"undone": True})
    assert undone is not None
    team_jobs.team(db, "x", written_by=undone["_id"])


def _lost(*names: str) -> Plant:
    return lambda db, entry: [db[name].delete_many({"written_by": entry}) for name in names]


def _marked(name: str, mark: str) -> Plant:
    return lambda db, entry: db[name].update_one({"written_by": entry}, {"$set": {"written_by": mark}})


def _of(name: str, org_id: str) -> Plant:
    return lambda db, entry: db[name].update_one({"written_by": entry}, {"$set": {"org_id": org_id}})


def _nobody(phone: str) -> Plant:
    return lambda db, entry: db.members.delete_one({"_id": {"$regex": phone}, "written_by": entry})


def _undone_person(db: Database, entry: str) -> None:
    undone = db.ledger.find_one({"undone": True})
    assert undone is not None
    team_jobs.person(db, "+911", written_by=undone["_id"])


PLANTED: list[tuple[Code, str, Plant]] = [
    (Code.MARK_UNKNOWN, "a team", _marked("teams", "x:1:0")),
    (Code.MARK_UNKNOWN, "somebody", _marked("members", "x:1:0")),
    (Code.MARK_UNDONE, "a team that came back", _undone),
    (Code.MARK_UNDONE, "somebody who came back", _undone_person),
    (Code.MARKS_DIFFER, "a team is lost", lambda db, entry: db.teams.delete_one({"written_by": entry})),
    (Code.MARKS_DIFFER, "all teams are lost", _lost("teams")),
    (Code.MARKS_DIFFER, "all are lost", _lost("teams", "members")),
    (Code.MARKS_DIFFER, "a double", lambda db, entry: team_jobs.team(db, "z", written_by=entry)),
    (Code.ROWS_LOST, "a team is lost", lambda db, entry: db.teams.delete_one({"written_by": entry})),
    (Code.OTHER_ORGANISATION, "a team", _of("teams", "other")),
    (Code.OTHER_ORGANISATION, "somebody", _of("members", "other")),
    (Code.OTHER_ORGANISATION, "an upload's mark", _of_an_upload),
    (Code.TEAMS_DIFFER, "a team is lost", lambda db, entry: db.teams.delete_one({"written_by": entry})),
    (Code.TEAMS_DIFFER, "more than rows", _more_teams),
    (Code.LINK_BROKEN, "a member is nobody", _nobody("97")),
    (Code.LINK_BROKEN, "a manager is nobody", _nobody("98")),
]


@pytest.mark.parametrize(("code", "what", "plant"), PLANTED, ids=[f"{code}: {what}" for code, what, _ in PLANTED])
def test_what_is_planted_is_found(db: Database, job: Job, code: Code, what: str, plant: Plant) -> None:
    plant(db, entry_id(job.id, 1, 0))
    assert code in codes(db)


def test_a_link_that_leads_nowhere_is_said_with_its_team(db: Database, job: Job) -> None:
    phone = teams.get(db, org_id="labs", name="c")["values"]["members"][0]
    db.members.delete_one({"_id": teams.member_id(org_id="labs", phone=phone)})
    (broken,) = [finding for finding in found(db) if finding.code is Code.LINK_BROKEN]
    assert broken.subject == "labs|c"
    assert phone in broken.message
