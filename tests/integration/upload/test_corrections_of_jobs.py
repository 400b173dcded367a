"""A correction and its job: the lock, a pause, a stop, a failure, a limit, and what others have written since."""

from datetime import UTC, datetime, timedelta

import pytest

from collect.admin.invariants import jobs as invariants_of_jobs
from collect.errors import Conflict, DatasetHeld, IllegalTransition
from collect.jobs.model import Part, Reason, part_id
from collect.jobs.states import State, Verb
from collect.protocol import commits, corrections, verbs
from collect.storage import datasets, locks, rejects
from collect.storage import parts as parts_store
from collect.storage.database import Again, Database, Transaction, begin, transact
from integration.upload.test_corrections import TEMPLATE, findings, forget_all, small
from support.corrections import ORG, CorrectedJob
from support.in_memory import MemoryBlobs
from support.protocol_driver import holding
from support.upload_driver import new_dataset


def test_a_correction_takes_the_lock_if_it_is_free(db: Database) -> None:
    made = small(db, "k,n\na,x\n")
    lock = datasets.lock_name(org_id=ORG, name=made.dataset)
    corrected = made.prepare({1: {"n": "1"}})
    transact(db, lambda tx: locks.take_free(tx, lock, "another"))
    with pytest.raises(DatasetHeld) as held:
        made.ask(Verb.CORRECT, corrected=corrected)
    assert held.value.holder == "another"
    assert made.is_in(State.SUCCEEDED)
    db.locks.update_one({"_id": lock}, {"$set": {"queue": []}})
    made.ask(Verb.CORRECT, corrected=corrected)
    assert datasets.holder(db, org_id=ORG, name=made.dataset) == made.job_id
    made.run()
    assert datasets.holder(db, org_id=ORG, name=made.dataset) is None


def test_a_paused_job_is_corrected_where_it_is_and_keeps_its_time(db: Database) -> None:
    forget_all(db)
    made = CorrectedJob.begin(db, MemoryBlobs(), b"k,n\na,x\nb,2\nc,3\n", dataset=new_dataset(db, TEMPLATE))
    made.plan(cut_at=(2,))
    made.step(1)
    until = datetime.now(UTC) + timedelta(hours=1)
    made.ask(Verb.PAUSE, until=until)
    assert Verb.CORRECT in made.job.allowed_verbs(datetime.now(UTC))
    job = made.correct({1: {"n": "1"}})
    assert (job.state, job.until_seq, job.parts_left) == (State.PAUSED, job.audit_seq, 2)
    assert made.out() == []
    assert Verb.CORRECT not in job.allowed_verbs(datetime.now(UTC))
    assert made.ask(Verb.PAUSE, until=until).audit_seq == job.audit_seq
    made.ask(Verb.RESUME)
    made.run()
    assert (made.job.state, made.counts) == (State.SUCCEEDED, (3, 0))
    assert not findings(made)


def test_a_job_that_stops_in_a_correction_keeps_what_was_committed_of_it(db: Database) -> None:
    made = small(db, "k,n\na,x\nb,x\n")
    made.correct({1: {"n": "1"}, 2: {"n": "2"}})
    made.step(made.out()[0], size=1, chunks=1)
    made.ask(Verb.STOP)
    assert (made.job.state, made.counts, sorted(made.rows()), sorted(made.rejected())) == (
        State.STOPPED, (1, 1), ["a"], [2],
    )  # fmt: skip
    with pytest.raises(IllegalTransition) as refused:
        verbs.check(made.job, Verb.CORRECT)
    assert set(refused.value.allowed_verbs) == {"undo", "restart"}
    made.ask(Verb.UNDO)
    made.run()
    assert (made.job.state, made.rows()) == (State.UNDONE, {})
    assert not findings(made)


def test_a_failed_job_goes_on_when_it_is_corrected(db: Database) -> None:
    forget_all(db)
    made = CorrectedJob.begin(db, MemoryBlobs(), b"k,n\na,x\nb,2\nc,3\n", dataset=new_dataset(db, TEMPLATE))
    made.plan(cut_at=(2,))
    made.step(1)
    with holding(db, made.job, 2) as lease:
        commits.fail(lease, Reason(code="poison", message="It failed."))
    db.parts.update_one({"_id": part_id(made.job_id, 2)}, {"$set": {"losses": 4}})
    made.correct({1: {"n": "1"}})
    assert (made.job.state, made.job.reason) == (State.QUEUED, None)
    assert {part["losses"] for part in db.parts.find({"job_id": made.job_id})} == {0}
    made.run()
    assert (made.job.state, made.counts) == (State.SUCCEEDED, (3, 0))
    assert not findings(made)


def test_a_job_whose_plan_is_not_whole_is_not_corrected(db: Database) -> None:
    made = small(db, "k,n\na,x\n")
    corrected = made.prepare({1: {"n": "1"}})
    db.jobs.update_one({"_id": made.job_id}, {"$set": {"total_rows": None}})
    with pytest.raises(Conflict) as refused:
        made.ask(Verb.CORRECT, corrected=corrected)
    assert refused.value.code == "no_plan"


def test_what_could_not_be_undone_any_more_is_not_written_either(db: Database) -> None:
    made = small(db, "k,n\na,x\n")
    corrected = made.prepare({1: {"n": "1"}})
    db.jobs.update_one({"_id": made.job_id}, {"$set": {"undo_until": datetime.now(UTC) - timedelta(seconds=1)}})
    with pytest.raises(IllegalTransition, match="Correct was possible until"):
        made.ask(Verb.CORRECT, corrected=corrected)


def test_where_rejects_are_not_all_stored_those_that_are_make_room_and_none_is_lost(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects.store, "__kwdefaults__", {"before": 0, "most": 2, "revisions": None})
    monkeypatch.setattr(rejects.room, "__kwdefaults__", {"most": 2})
    monkeypatch.setattr(invariants_of_jobs, "MOST_STORED", 2)
    made = small(db, "k,n\na,x\nb,x\nc,x\nd,4\n")
    assert (made.counts, sorted(made.rejected())) == ((1, 3), [1, 2])
    made.correct({1: {"n": "bad"}, 2: {"n": "2"}})
    made.run()
    assert (made.counts, sorted(made.rejected())) == ((2, 2), [1])
    assert not findings(made)
    made.correct({1: {"k": "d", "n": "1"}})
    made.run()
    assert (made.counts, sorted(made.rejected())) == ((2, 2), [4])
    assert made.rejected()[4]["line"] == "d,4"
    assert not findings(made)


def test_a_limit_of_rejects_is_about_the_file_and_not_about_its_corrections(db: Database) -> None:
    made = small(db, "k,n\na,x\nb,x\nc,3\n")
    made.correct({1: {"n": "bad"}})
    assert made.job.rejected_before == 2
    made.run()
    assert parts_store.rejected_first(db, job_id=made.job_id) == 2
    made.correct({1: {"n": "1"}})
    made.run()
    assert parts_store.rejected_first(db, job_id=made.job_id) - made.job.rejected_before == 0


def test_what_another_job_has_written_since_is_as_if_it_had_been_there_before_the_file(db: Database) -> None:
    text = "k,n\na,x\na,2\n"
    for mode, outcome in (("insert", (1, 1)), ("upsert", (2, 0))):
        made = small(db, text, mode=mode)
        other = CorrectedJob.begin(db, made.blobs, b"k,n\na,7\n", dataset=made.dataset, mode="upsert")
        other.plan()
        other.run()
        made.correct({1: {"n": "1"}})
        made.run()
        assert made.counts == outcome
        assert made.rows()["a"]["values"]["n"] == (7 if mode == "insert" else 1)
        made.ask(Verb.UNDO)
        made.run()
        assert (made.job.conflicts, made.rows()["a"]["values"]["n"]) == (1, 7)
        assert not findings(made)


def test_rows_that_somebody_has_committed_meanwhile_are_seen_outside(db: Database) -> None:
    made = small(db, "k,n\na,x\nb,2\n")
    made.correct({1: {"n": "1"}})
    found = db.parts.find_one({"job_id": made.job_id, "source.numbers": {"$exists": True}})
    part = Part.model_validate(found)
    made.run()

    def late(tx: Transaction) -> None:
        corrections.take(tx, part=part, corrected={1: "a,1"})

    with db.client.start_session() as session, pytest.raises(Again), begin(session):
        late(Transaction(db=db, session=session))
