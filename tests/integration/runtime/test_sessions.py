"""The session of a slice: it stands on the part, so that others may end what is open in it, and that alone."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.monitoring import CommandListener, CommandStartedEvent

from collect.jobs.model import Job, Part
from collect.jobs.states import Verb
from collect.runtime.ipc import Claimed, Ended, Ending, Look, Report
from collect.runtime.task import Applied, Chunk
from collect.storage.database import Database, connect
from integration.storage.failpoints import failing
from support.protocol_driver import ask, make_job, plan, read_job
from support.slots import Numbers, Slot

APP = "a-slot"


@pytest.fixture
def slots_db(db: Database, mongodb_url: str, database_name: str) -> Iterator[Database]:
    """The slot's own connection, which the server knows by name."""
    own = connect(mongodb_url, database=database_name, app_name=APP)
    yield own
    own.close()


class Sessions(CommandListener):
    """Which sessions a client uses."""

    def __init__(self) -> None:
        self.used: set[bytes] = set()

    def started(self, event: CommandStartedEvent) -> None:
        self.used.update([event.command["lsid"]["id"]] if "lsid" in event.command else [])

    def succeeded(self, event: Any) -> None:
        """Of no interest."""

    def failed(self, event: Any) -> None:
        """Of no interest."""


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def watched_db(db: Database, mongodb_url: str, database_name: str, sessions: Sessions) -> Iterator[Database]:
    """A connection whose sessions are seen."""
    options: dict[str, Any] = {"tz_aware": True, "event_listeners": [sessions], "readConcernLevel": "majority"}
    with MongoClient[dict[str, Any]](mongodb_url, **options) as client:
        yield Database(client=client, name=database_name)


def session_of(heard: list[Report]) -> dict[str, Any]:
    return next(report.session_id for report in heard if isinstance(report, Claimed))


def ending(heard: list[Report]) -> Ending:
    assert isinstance(heard[-1], Ended)
    return heard[-1].ending


def paused_meanwhile(db: Database, slot: Slot, task: Numbers, job: Job) -> list[Report]:
    """A slice of the job's first part, of which the job is paused when its first chunk is made."""

    def pause() -> None:
        ask(db, job, Verb.PAUSE)
        slot.tell(Look(run=1))

    task.meanwhile = pause
    heard = slot.run(job, 1)
    assert ending(heard) is Ending.FENCED
    return heard


def test_who_ends_what_a_slot_has_left_open_does_not_disturb_what_it_does_next(
    db: Database, slots_db: Database
) -> None:
    class Disturbed(Numbers):
        cut: dict[str, Any] | None = None

        def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
            applied = super().apply(job, part, chunk, entry_id=entry_id, session=session)
            slots_db.rows.find_one({"_id": "x"}, session=session)
            cut, self.cut = self.cut, None
            if cut is not None:
                db.kill_sessions([cut])
            return applied

    task = Disturbed()
    slot = Slot(slots_db, task)
    job, another = make_job(db), make_job(db, dataset="another")
    plan(db, job, [4])
    plan(db, another, [4])
    task.cut = session_of(paused_meanwhile(db, slot, task, job))
    task.tried = []
    assert ending(slot.run(another, 1)) is Ending.COMPLETED
    assert task.tried == [4]


def test_the_session_of_a_slice_that_was_cut_is_never_used_again_for_anything(
    db: Database, watched_db: Database, sessions: Sessions
) -> None:
    task = Numbers()
    slot = Slot(watched_db, task)
    job, another = make_job(db), make_job(db, dataset="another")
    plan(db, job, [4])
    plan(db, another, [4])
    cut = session_of(paused_meanwhile(db, slot, task, job))
    assert cut["id"] in sessions.used
    sessions.used.clear()
    slot.run(another, 1)
    assert sessions.used
    assert cut["id"] not in sessions.used


def test_the_session_of_a_slice_is_lent_to_no_statement_beside_it(
    db: Database, watched_db: Database, sessions: Sessions
) -> None:
    job = make_job(db)
    plan(db, job, [4, 4])
    slot = Slot(watched_db, Numbers())
    own = session_of(slot.run(job, 1))
    sessions.used.clear()
    watched_db.rows.find_one({})
    assert own["id"] not in sessions.used
    assert session_of(slot.run(job, 2)) == own, "nobody has a reason to end it"


def test_a_claim_whose_answer_was_lost_and_which_was_cut_meanwhile_lets_its_slot_go(
    db: Database, slots_db: Database
) -> None:
    job = make_job(db)
    plan(db, job, [4])
    slot = Slot(slots_db, Numbers())
    slot.control.meanwhile = partial(ask, db, job, Verb.PAUSE)
    interrupted = {"code": 11601, "errmsg": "operation was interrupted"}
    with failing(db, "findAndModify", app_name=APP, times=1, writeConcernError=interrupted):
        heard = slot.run(job, 1)
    action = read_job(db, job).last_action
    assert action is not None
    assert list(action.holding) == [session_of(heard)]
    assert ending(heard) is Ending.FENCED, "its parent says then that the slot is free"
