"""`check` finds nothing in what the operations leave, and finds whatever is planted."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.client_session import ClientSession

from collect.admin.check import Code, Finding, NotAtRest, check, check_jobs, wait_until_rest
from collect.errors import NotFound
from collect.jobs.model import Job, entry_id
from collect.jobs.outcomes import Applied
from collect.jobs.states import State, Verb
from collect.protocol import commits, maintenance
from collect.protocol.lease import Lease
from collect.storage.database import Database, connect
from collect.storage.object_store import GridFsBlobs
from integration import test_check_teams
from support import exported, protocol_driver


@pytest.fixture(scope="module")
def connection(mongodb_url: str, database_name: str) -> Iterator[Database]:
    db = connect(mongodb_url, database=database_name, app_name="test")
    yield db
    db.close()


@pytest.fixture
def db(connection: Database) -> Database:
    protocol_driver.prepare(connection, "labs", "other")
    return connection


def found(db: Database) -> list[Finding]:
    return check(db, patience_seconds=0.0)


@pytest.fixture
def job(db: Database) -> Job:
    """One that has succeeded, beside one that waits and one that was taken back; all is well with them."""
    taken_back = protocol_driver.succeeded(db, dataset="second")
    protocol_driver.ask(db, taken_back, Verb.UNDO)
    protocol_driver.take_back(db, taken_back)
    protocol_driver.succeeded(db, org_id="other")
    done = protocol_driver.succeeded(db)
    protocol_driver.make_job(db)
    db.outbox.delete_many({})
    assert found(db) == []
    return done


def test_each_step_of_a_job_leaves_all_in_order(db: Database) -> None:
    def well() -> None:
        assert found(db) == []

    job = protocol_driver.make_job(db)
    waiting = protocol_driver.make_job(db, on_conflict="queue")
    well()
    protocol_driver.plan(db, job, [20, 10, 5])
    well()
    with protocol_driver.holding(db, job, 1) as lease:
        protocol_driver.write(db, lease, job, rows=10, rejects=2)
        well()
    protocol_driver.ask(db, job, Verb.PAUSE)
    protocol_driver.ask(db, job, Verb.PAUSE, until=datetime.now(UTC) + timedelta(hours=1))
    well()
    protocol_driver.ask(db, job, Verb.RESUME)
    well()
    protocol_driver.ask(db, job, Verb.TERMINATE)
    well()
    protocol_driver.take_back(db, job)
    well()
    assert protocol_driver.read_job(db, job).state is State.TERMINATED
    protocol_driver.ask(db, waiting, Verb.STOP)
    well()


def test_an_undo_with_conflicts_is_in_order_and_so_is_the_second_one(db: Database) -> None:
    job = protocol_driver.succeeded(db)
    first = db.rows.find_one({"written_by": entry_id(job.id, 1, 0)})
    assert first is not None
    other = protocol_driver.make_job(db, mode="upsert")
    protocol_driver.plan(db, other, [1])
    with protocol_driver.holding(db, other, 1) as lease:
        _overwrite(db, lease, other, first["_id"])
    protocol_driver.ask(db, other, Verb.STOP)
    assert found(db) == []
    protocol_driver.ask(db, job, Verb.UNDO)
    protocol_driver.take_back(db, job, entries=1)
    assert found(db) == []
    protocol_driver.take_back(db, job, conflict=lambda row_id: row_id == first["_id"])
    assert protocol_driver.read_job(db, job).conflicts == 1
    assert found(db) == []
    protocol_driver.ask(db, job, Verb.UNDO)
    assert found(db) == []


def _overwrite(db: Database, lease: Lease, job: Job, row_id: str) -> None:
    def apply(entry: str, session: ClientSession) -> Applied:
        db.rows.update_one({"_id": row_id}, {"$set": {"written_by": entry}}, session=session)
        return Applied(succeeded=1, rejected=0, created=0, changed=1, rejects=(), undo={"ids": []})

    commits.chunk(lease, job, cursor={"row": 1}, write=apply)


Plant = Callable[[Database, Job], object]


def _set(collection: str, query: dict[str, Any], change: dict[str, Any]) -> Plant:
    """Change one document of the job; ``{id}`` in a query's text is the job's."""

    def plant(db: Database, job: Job) -> object:
        filled = {key: value.format(id=job.id) if isinstance(value, str) else value for key, value in query.items()}
        done = db[collection].update_one(filled, change)
        assert done.modified_count == 1
        return done

    return plant


def _drop(collection: str, query: dict[str, Any]) -> Plant:
    def plant(db: Database, job: Job) -> object:
        filled = {key: value.format(id=job.id) if isinstance(value, str) else value for key, value in query.items()}
        return db[collection].delete_one(filled)

    return plant


def _insert(collection: str, document: dict[str, Any]) -> Plant:
    def plant(db: Database, job: Job) -> object:
        filled = {key: value.format(id=job.id) if isinstance(value, str) else value for key, value in document.items()}
        return db[collection].insert_one(filled)

    return plant


def _run_again(db: Database, job: Job) -> None:
    """Active again, with every part done."""
    db.jobs.update_one({"_id": job.id}, {"$set": {"state": "running"}})


def _never_fed(db: Database, job: Job) -> None:
    db.parts.update_many({"status": "queued"}, {"$set": {"status": "idle"}, "$inc": {"epoch": 1}})


def _plans_again(db: Database, job: Job) -> None:
    db.jobs.update_one({"_id": job.id}, {"$set": {"state": "stopped"}})
    zero = {"phase": "plan", "status": "idle", "cursor": {"planned": 2, "rows": 35}}
    db.parts.update_one({"_id": f"{job.id}:0"}, {"$set": zero})


def _plans_nothing(db: Database, job: Job) -> None:
    """The planner knows nothing of parts that stand."""
    db.jobs.update_one({"_id": job.id}, {"$set": {"state": "stopped", "total_rows": None}})
    db.parts.update_one({"_id": f"{job.id}:0"}, {"$set": {"phase": "plan", "status": "idle"}})


def _undone_by_nobody(db: Database, job: Job) -> None:
    entry = db.ledger.find_one({"job_id": {"$ne": job.id}, "undone": True})
    assert entry is not None
    db.rows.insert_one({**protocol_driver.row(job, 1, entry["_id"]), "_id": "labs|second|1", "dataset": "second"})


PART, ENTRY, LINE = "{id}:1", "{id}:1:0", "labs:dataset:baseline"
PLANTED: list[tuple[Code, str, Plant]] = [
    (Code.UNREADABLE, "a state that nobody knows", _set("jobs", {"_id": "{id}"}, {"$set": {"state": "pausing"}})),
    (Code.NO_JOB, "a ledger entry of nobody", _insert("ledger", {"_id": "x:1:0", "job_id": "x"})),
    (Code.NO_JOB, "a correction of nobody", _insert("corrections", {"_id": "x:1:1", "job_id": "x"})),
    (Code.NO_JOB, "a job that was deleted", _drop("jobs", {"_id": "{id}"})),
    (Code.OTHER_ORGANISATION, "a part", _set("parts", {"_id": PART}, {"$set": {"org_id": "other"}})),
    (Code.OTHER_ORGANISATION, "a ledger entry", _set("ledger", {"_id": ENTRY}, {"$set": {"org_id": "other"}})),
    (Code.OTHER_ORGANISATION, "an audit entry", _set("audit", {"_id": "{id}:1"}, {"$set": {"org_id": "other"}})),
    (Code.OTHER_ORGANISATION, "a reject", _set("rejects", {"job_id": "{id}"}, {"$set": {"org_id": "other"}})),
    (Code.OTHER_ORGANISATION, "a row", _set("rows", {"written_by": ENTRY}, {"$set": {"org_id": "other"}})),
    (Code.OTHER_ORGANISATION, "a lock", _set("jobs", {"_id": "{id}"}, {"$set": {"lock": "other:dataset:a"}})),
    (Code.LEDGER_NOT_DENSE, "an entry is missing", _drop("ledger", {"_id": ENTRY})),
    (Code.LEDGER_NOT_DENSE, "the part is behind", _set("parts", {"_id": PART}, {"$inc": {"seq": -1}})),
    (Code.LEDGER_NOT_DENSE, "an entry of no part", _set("ledger", {"_id": ENTRY}, {"$set": {"n": 9}})),
    (Code.LEDGER_EPOCH_FELL, "a zombie wrote", _set("ledger", {"_id": "{id}:1:1"}, {"$set": {"epoch": -1}})),
    (Code.LEDGER_EPOCH_FELL, "from the future", _set("ledger", {"_id": ENTRY}, {"$set": {"epoch": 99}})),
    (Code.COUNTS_DIFFER, "succeeded", _set("parts", {"_id": PART}, {"$inc": {"counts.succeeded": 1}})),
    (Code.COUNTS_DIFFER, "created", _set("ledger", {"_id": ENTRY}, {"$inc": {"counts.created": -1}})),
    (Code.COUNTS_DIFFER, "undone", _set("parts", {"_id": PART}, {"$inc": {"counts.undone": 1}})),
    (Code.REJECTS_DIFFER, "one is lost", _drop("rejects", {"job_id": "{id}"})),
    (Code.NOT_UNDONE, "undone in a job that keeps", _set("ledger", {"_id": ENTRY}, {"$set": {"undone": True}})),
    (Code.NOT_UNDONE, "passed by", _set("parts", {"_id": PART}, {"$set": {"phase": "undo"}})),
    (Code.CONFLICTS_DIFFER, "of a part", _set("parts", {"_id": PART}, {"$inc": {"conflicts": 1}})),
    (Code.CONFLICTS_DIFFER, "of a job", _set("jobs", {"state": "undone"}, {"$inc": {"conflicts": 1}})),
    (Code.TICKET_VOID, "nobody can claim it", _set("parts", {"status": "queued"}, {"$inc": {"epoch": 1}})),
    (Code.TICKET_VOID, "anybody can", _set("parts", {"_id": PART}, {"$set": {"ticket": 99}})),
    (Code.OWNER_MISSING, "leased by nobody", _set("parts", {"status": "queued"}, {"$set": {"status": "leased"}})),
    (Code.RESTS_WITH_PARTS_OUT, "leased", _set("parts", {"_id": PART}, {"$set": {"status": "leased"}})),
    (Code.PARTS_LEFT_DIFFER, "one more", _set("jobs", {"_id": "{id}"}, {"$inc": {"parts_left": 1}})),
    (Code.STUCK, "active, and nothing left to do", _run_again),
    (Code.STUCK, "active, and never fed", _never_fed),
    (Code.TOTAL_DIFFERS, "a row without outcome", _set("jobs", {"_id": "{id}"}, {"$inc": {"total_rows": 1}})),
    (Code.TOTAL_DIFFERS, "more than there are", _set("jobs", {"_id": "{id}"}, {"$inc": {"total_rows": -1}})),
    (Code.TOTAL_DIFFERS, "no total", _set("jobs", {"_id": "{id}"}, {"$set": {"total_rows": None}})),
    (Code.TOTAL_DIFFERS, "known while it plans", _plans_again),
    (Code.TOTAL_DIFFERS, "more parts than planned", _plans_nothing),
    (Code.TOTAL_DIFFERS, "a part lost", _set("parts", {"_id": PART}, {"$set": {"n": 7}})),
    (Code.TOTAL_DIFFERS, "a part", _set("parts", {"_id": PART}, {"$inc": {"total": 1}})),
    (Code.LOCK_MEMBER, "who has ended", _set("locks", {"_id": LINE}, {"$push": {"queue": "{id}"}})),
    (Code.LOCK_MEMBER, "who does not exist", _set("locks", {"_id": LINE}, {"$push": {"queue": "nobody"}})),
    (Code.LOCK_MISSING, "waits nowhere", _set("locks", {"_id": LINE}, {"$set": {"queue": []}})),
    (Code.LOCK_PASSED_BY, "not the head", _set("locks", {"_id": LINE}, {"$set": {"queue": ["somebody"]}})),
    (Code.AUDIT_NOT_DENSE, "an entry is missing", _drop("audit", {"_id": "{id}:2"})),
    (Code.AUDIT_NOT_DENSE, "too few", _set("jobs", {"_id": "{id}"}, {"$inc": {"audit_seq": 1}})),
    (Code.AUDIT_ILLEGAL, "no such move", _set("audit", {"_id": "{id}:3"}, {"$set": {"verb": "confirm"}})),
    (Code.AUDIT_ILLEGAL, "from elsewhere", _set("audit", {"_id": "{id}:3"}, {"$set": {"from": "paused"}})),
    (Code.AUDIT_ILLEGAL, "past the table", _set("jobs", {"_id": "{id}"}, {"$set": {"state": "stopped"}})),
    (Code.AUDIT_ILLEGAL, "not created", _set("audit", {"_id": "{id}:1"}, {"$set": {"to": "running"}})),
    (Code.MARK_UNKNOWN, "of no entry", _set("rows", {"written_by": ENTRY}, {"$set": {"written_by": "x:1:0"}})),
    (Code.MARK_UNDONE, "a row that came back", _undone_by_nobody),
    (Code.MARKS_DIFFER, "a row is lost", _drop("rows", {"written_by": ENTRY})),
    (Code.ROWS_LOST, "a row is lost", _drop("rows", {"written_by": ENTRY})),
    (
        Code.OUTBOX_STANDS,
        "a message",
        _insert("outbox", {"_id": "a", "at": datetime(2020, 1, 1, tzinfo=UTC), "exchange": "e", "routing_key": "k"}),
    ),
]


@pytest.mark.parametrize(("code", "what", "plant"), PLANTED, ids=[f"{code}: {what}" for code, what, _ in PLANTED])
def test_what_is_planted_is_found(db: Database, job: Job, code: Code, what: str, plant: Plant) -> None:
    plant(db, job)
    assert code in {finding.code for finding in found(db)}


def test_an_entry_without_any_of_its_rows_is_found(db: Database, job: Job) -> None:
    db.rows.delete_many({"written_by": entry_id(job.id, 1, 0)})
    assert Code.MARKS_DIFFER in {finding.code for finding in found(db)}


def test_a_double_written_into_an_entry_is_found(db: Database, job: Job) -> None:
    db.rows.insert_one(protocol_driver.row(job, 77_777, entry_id(job.id, 1, 0)))
    assert [finding.code for finding in found(db)] == [Code.MARKS_DIFFER]


class _Blobs:
    def __init__(self, *names: str, age: timedelta) -> None:
        self._stored = [(name, datetime.now(UTC) - age) for name in names]

    def stored(self) -> Iterator[tuple[str, datetime]]:
        yield from self._stored

    def size(self, name: str) -> int:
        raise NotFound(name)


def test_an_object_without_an_owner_and_a_file_without_its_bytes_are_found(db: Database, job: Job) -> None:
    db.files.insert_one({"_id": "f", "org_id": "labs", "blob": "there"})
    db.files.insert_one({"_id": "g", "org_id": "labs", "blob": "gone"})
    db.ledger.update_one({"_id": entry_id(job.id, 1, 0)}, {"$set": {"objects": [{"name": "part-1"}]}})
    db.parts.update_one({"_id": f"{job.id}:1"}, {"$set": {"source": {"blob": "rewritten"}}})
    old = _Blobs("there", "part-1", "rewritten", "nobody's", age=timedelta(days=2))
    codes = [(finding.code, finding.subject) for finding in check(db, blobs=old)]
    assert codes == [(Code.OBJECT_MISSING, "g"), (Code.OBJECT_ORPHANED, "nobody's")]
    young = _Blobs("there", "gone", "nobody's", age=timedelta(minutes=1))
    assert check(db, blobs=young) == []


@pytest.fixture
def export(db: Database) -> Job:
    """An export that has succeeded, all of it in the store, and nothing to find."""
    blobs = GridFsBlobs(db=db)
    job = exported.succeeded(db, blobs)
    exported.stopped(db, blobs)
    assert check(db, blobs=blobs, object_seconds=-60.0) == []
    return job


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (Code.RESULT_DIFFERS, {"$set": {"result": None}}),
        (Code.RESULT_DIFFERS, {"$inc": {"result.bytes": 1}}),
        (Code.RESULT_DIFFERS, {"$inc": {"result.rows": 1}}),
        (Code.RESULT_DIFFERS, {"$inc": {"result.objects.0.bytes": 1}}),
        (Code.OBJECT_MISSING, {"$set": {"result.objects.0.name": "elsewhere"}}),
    ],
)
def test_a_result_that_does_not_add_up_is_found(db: Database, export: Job, code: Code, change: dict[str, Any]) -> None:
    db.jobs.update_one({"_id": export.id}, change)
    findings = check(db, blobs=GridFsBlobs(db=db))
    assert (code, export.id) in {(finding.code, finding.subject) for finding in findings}


def test_an_object_of_a_result_that_is_gone_or_cut_is_found_unless_its_time_was_over(db: Database, export: Job) -> None:
    blobs = GridFsBlobs(db=db)
    for n, stored in enumerate((export.result or {})["objects"], start=1):
        blobs.delete(stored["name"])
        if n == 1:
            blobs.write(stored["name"], [b"cut"])
        missing = [finding for finding in check(db, blobs=blobs) if finding.code is Code.OBJECT_MISSING]
        assert [finding.subject for finding in missing] == [export.id] * n
    db.jobs.update_one({"_id": export.id}, {"$set": {"result.expires_at": datetime.now(UTC)}})
    assert check(db, blobs=blobs) == []


def test_every_code_is_planted_somewhere() -> None:
    planted = {code for code, _, _ in (*PLANTED, *test_check_teams.PLANTED)}
    planted |= {Code.OBJECT_MISSING, Code.OBJECT_ORPHANED, Code.RESULT_DIFFERS}
    assert planted == set(Code)


def test_a_job_that_has_been_fed_again_is_not_stuck(db: Database) -> None:
    job = protocol_driver.make_job(db)
    _never_fed(db, job)
    findings = check(db, patience_seconds=0.0)
    assert [finding.code for finding in findings] == [Code.STUCK]
    maintenance.publish_runnable(db, job.id)
    assert check(db, patience_seconds=0.0) == []


def test_waiting_for_rest_ends_with_it_or_says_who_does_not(db: Database) -> None:
    job = protocol_driver.make_job(db)
    with pytest.raises(NotAtRest, match=f"{job.id} is queued"):
        wait_until_rest(db, seconds=0.0)
    protocol_driver.ask(db, job, Verb.PAUSE)
    wait_until_rest(db, seconds=0.0)
    wait_until_rest(db, job_ids=[job.id], seconds=0.0)


def test_of_one_organisation_only_its_own_jobs_are_checked(db: Database, job: Job) -> None:
    db.jobs.update_one({"_id": job.id}, {"$set": {"parts_left": 7}})
    codes = [(finding.code, finding.subject) for finding in check_jobs(db, org_id="labs", patience_seconds=0.0)]
    assert codes == [(Code.PARTS_LEFT_DIFFER, job.id)]
    assert check_jobs(db, org_id="other", patience_seconds=0.0) == []
