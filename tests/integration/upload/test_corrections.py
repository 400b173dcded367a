"""A file with errors that are corrected row by row ends as the right file, in any order."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.admin.invariants import audit, parts
from collect.admin.invariants import jobs as invariants_of_jobs
from collect.admin.invariants import locks as invariants_of_locks
from collect.admin.invariants.facts import Facts, Snapshot
from collect.errors import Conflict
from collect.jobs.states import State, Verb
from collect.jobs.template import Template
from collect.protocol import corrections
from collect.storage import indexes
from collect.storage.database import Database
from support.corrections import ORG, CorrectedJob
from support.in_memory import MemoryBlobs
from support.upload_driver import new_dataset

TEMPLATE = Template.model_validate(
    {"key": ["k"], "columns": [{"name": "k", "type": "string"}, {"name": "n", "type": "integer", "required": True}]}
)
KEYS = "abcde"
RIGHT = ("1", "2", "3")
WRONG = ("x", "", "1.5")


def forget_all(db: Database) -> None:
    """An example that was given up in its middle leaves parts out, and an organisation may have only so many."""
    for name in indexes.COLLECTIONS:
        if name != "orgs":
            db[name].delete_many({})


@dataclass(frozen=True)
class Case:
    """Rows as they should be, the cells that some of them have instead, and what happens while they are corrected."""

    mode: str
    rows: list[tuple[str, str]]
    wrong: dict[int, str]
    cut_at: list[int]
    sizes: list[int]
    before: set[str] = field(default_factory=set)

    def text(self, *, right: bool) -> bytes:
        cells = [(key, n if right else self.wrong.get(row, n)) for row, (key, n) in enumerate(self.rows, start=1)]
        return ("k,n\n" + "".join(f"{key},{n}\n" for key, n in cells)).encode()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows = draw(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(RIGHT)), min_size=1, max_size=12))
    numbers = st.integers(1, len(rows))
    return Case(
        mode=draw(st.sampled_from(["insert", "upsert"])),
        rows=rows,
        wrong=draw(st.dictionaries(numbers, st.sampled_from(WRONG), min_size=1)),
        cut_at=draw(st.lists(st.integers(2, 12), max_size=2)),
        sizes=draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)),
        before=draw(st.sets(st.sampled_from(KEYS), max_size=2)),
    )


def dataset_of(db: Database, case: Case) -> str:
    name = new_dataset(db, TEMPLATE)
    there = [
        {
            "_id": f"{ORG}|{name}|{key}", "org_id": ORG, "dataset": name, "values": {"k": key, "n": 9},
            "row": 1, "written_by": "another:1:0", "revision": 4,
        }
        for key in sorted(case.before)
    ]  # fmt: skip
    if there:
        db.rows.insert_many(there)
    return name


def start(db: Database, case: Case, *, right: bool = False) -> CorrectedJob:
    made = CorrectedJob.begin(db, MemoryBlobs(), case.text(right=right), dataset=dataset_of(db, case), mode=case.mode)
    made.plan(cut_at=case.cut_at)
    return made


def seen(made: CorrectedJob) -> dict[str, Any]:
    """The dataset, but for which chunk of the job touched a row first."""
    return {
        key: {
            "values": document["values"],
            "row": document["row"],
            "revision": document["revision"],
            "ours": document["written_by"].startswith(made.job_id),
        }
        for key, document in made.rows().items()
    }


def is_sound(made: CorrectedJob) -> None:
    """Each row has one outcome at every step, and the invariants hold."""
    succeeded, rejected = made.counts
    reached = sum(
        part["cursor"]["row"] - part["source"]["first_row"]
        for part in made.db.parts.find({"job_id": made.job_id})
        if part["source"] and part["correction"] is None
    )
    assert succeeded + rejected == reached
    assert rejected == len(made.rejected())
    assert not findings(made)


def findings(made: CorrectedJob) -> list[str]:
    """What does not hold of this job."""
    with made.db.client.start_session(snapshot=True) as session:
        (facts,) = Snapshot(made.db, session).facts([made.job_id])
    assert isinstance(facts, Facts)
    return [
        str(finding)
        for subject in (invariants_of_jobs, parts, audit, invariants_of_locks)
        for finding in subject.check(facts)
    ]


@given(case=cases(), data=st.data())
@settings(max_examples=30)
def test_rows_that_are_corrected_in_any_order_end_as_the_file_that_was_right(
    db: Database, case: Case, data: st.DataObject
) -> None:
    forget_all(db)
    made = start(db, case)
    turn = 0
    while made.out():
        made.step(data.draw(st.sampled_from(made.out())), size=case.sizes[turn % len(case.sizes)])
        turn += 1
    assert made.is_in(State.SUCCEEDED)
    done = sum(made.counts)
    left = {row: case.rows[row - 1][1] for row in case.wrong}
    while left:
        is_sound(made)
        chosen = data.draw(st.lists(st.sampled_from(sorted(left)), min_size=1, unique=True))
        spoiled = set(data.draw(st.lists(st.sampled_from(chosen), unique=True)))
        made.correct({row: {"n": "bad" if row in spoiled else left[row]} for row in chosen})
        assert made.is_in(State.QUEUED)
        if data.draw(st.booleans()):
            (n,) = made.out()
            made.step(n, size=1, chunks=data.draw(st.integers(1, 2)))
            is_sound(made)
            if made.is_in(State.QUEUED, State.RUNNING):
                made.ask(Verb.PAUSE)
                is_sound(made)
                made.ask(Verb.RESUME)
        made.run(size=data.draw(st.integers(1, 3)))
        assert made.is_in(State.SUCCEEDED)
        assert sum(made.counts) == done
        left = {row: n for row, n in left.items() if row not in chosen or row in spoiled}
    is_sound(made)
    right = start(db, case, right=True)
    right.run()
    assert seen(made) == seen(right)
    assert made.counts == right.counts
    told = [
        {row: (one["code"], one["message"], one["line"]) for row, one in job.rejected().items()}
        for job in (made, right)
    ]
    assert told[0] == told[1]


@given(case=cases(), data=st.data())
@settings(max_examples=30)
def test_undo_takes_corrections_back_like_everything_else(db: Database, case: Case, data: st.DataObject) -> None:
    forget_all(db)
    made = start(db, case)
    before = made.rows()
    made.run()
    rows = data.draw(st.lists(st.sampled_from(sorted(case.wrong)), min_size=1, unique=True))
    made.correct({row: {"n": "7"} for row in rows})
    n = made.out()[0]
    if data.draw(st.booleans()):
        made.step(n, size=1, chunks=1)
        if made.is_in(State.QUEUED, State.RUNNING):
            made.ask(Verb.TERMINATE)
    else:
        made.run(size=1)
        made.ask(Verb.UNDO)
    made.run()
    if made.is_in(State.SUCCEEDED):
        made.ask(Verb.UNDO)
        made.run()
    assert made.is_in(State.TERMINATED, State.UNDONE)
    assert made.rows() == before
    assert not findings(made)


def small(db: Database, text: str, *, mode: str = "insert", cut_at: tuple[int, ...] = ()) -> CorrectedJob:
    """A job of its own whose rows are these, run to its end."""
    forget_all(db)
    made = CorrectedJob.begin(db, MemoryBlobs(), text.encode(), dataset=new_dataset(db, TEMPLATE), mode=mode)
    made.plan(cut_at=cut_at)
    made.run()
    return made


def test_a_corrected_row_from_further_up_displaces_the_one_below_it_which_keeps_its_own_text(db: Database) -> None:
    made = small(db, "k,n\na,x\nb,x\nb,2\na,4\n", cut_at=(3,))
    assert (made.counts, sorted(made.rejected())) == ((2, 2), [1, 2])
    made.correct({2: {"n": "5", "k": "c"}})
    made.run()
    made.correct({1: {"k": "c", "n": "7"}})
    made.run()
    rejected = made.rejected()
    assert (made.counts, sorted(rejected)) == ((3, 1), [2])
    assert (rejected[2]["line"], rejected[2]["code"], rejected[2]["revision"]) == ("c,5", "duplicate_key", 2)
    assert "is that of row 1;" in rejected[2]["message"]
    assert {key: (row["row"], row["values"]["n"]) for key, row in made.rows().items()} == {
        "a": (4, 4), "b": (3, 2), "c": (1, 7),
    }  # fmt: skip
    made.correct({2: {"k": "d"}})
    made.run()
    assert made.counts == (4, 0)
    assert made.rows()["d"]["values"] == {"k": "d", "n": 5}
    told = [(one["row"], one["revision"], one["code"], one["became"]) for one in made.history()]
    assert told == [
        (1, 1, "not_an_integer", "written"), (2, 1, "not_an_integer", "written"), (2, 2, "duplicate_key", "written"),
    ]  # fmt: skip


def test_in_an_upsert_a_corrected_row_loses_to_a_later_one_and_counts_as_written(db: Database) -> None:
    made = small(db, "k,n\na,x\na,2\n", mode="upsert")
    made.correct({1: {"n": "1"}})
    made.run()
    assert made.counts == (2, 0)
    assert (made.rows()["a"]["row"], made.rows()["a"]["values"]["n"]) == (2, 2)


def test_each_revision_is_kept_with_what_was_wrong_and_what_became_of_it(db: Database) -> None:
    made = small(db, "k,n\na,x\nb,2\n")
    made.correct({1: {"n": "still bad"}})
    first = made.rejected()[1]
    assert (first["revision"], first["correction"]) == (1, 1)
    made.run()
    again = made.rejected()[1]
    assert (again["revision"], again["correction"], again["line"], made.counts) == (2, None, "a,still bad", (1, 1))
    made.correct({1: {"n": "3"}})
    made.run()
    assert (made.rejected(), made.counts) == ({}, (2, 0))
    told = [
        (one["revision"], one["line"], one["corrected_line"], one["became"], one["audit_seq"]) for one in made.history()
    ]
    asked = [entry["seq"] for entry in db.audit.find({"job_id": made.job_id, "verb": "correct"}).sort("seq", 1)]
    assert told == [(1, "a,x", "a,still bad", "rejected", asked[0]), (2, "a,still bad", "a,3", "written", asked[1])]
    following = None
    for expected in (1, 2):
        page, following = made_page(db, made, following)
        assert [one["revision"] for one in page] == [expected]
    assert following is None


def made_page(db: Database, made: CorrectedJob, after: tuple[int, int] | None) -> Any:
    return corrections.page(db, org_id=ORG, job_id=made.job_id, limit=1, after=after)


def test_rows_that_cannot_be_corrected_are_named_and_nothing_is_written(db: Database) -> None:
    made = small(db, "k,n\na,x\nb,2\nc,x\n")
    made.correct({1: {"n": "1"}})
    made.run()
    made.correct({3: {"n": "1"}})
    made.ask(Verb.PAUSE)
    job = made.job
    with pytest.raises(Conflict) as refused:
        made.prepare({1: {"n": "2"}, 2: {"n": "2"}, 3: {"n": "2"}, 9: {"n": "2"}})
    assert refused.value.code == "row_not_rejected"
    assert [(error.field, error.code) for error in refused.value.errors] == [
        ("1", "already_corrected"), ("2", "row_not_rejected"), ("3", "correction_under_way"), ("9", "row_not_rejected"),
    ]  # fmt: skip
    assert made.job == job


def test_of_two_corrections_of_one_row_that_were_prepared_at_once_the_first_is_taken(db: Database) -> None:
    made = small(db, "k,n\na,x\n")
    first, second = made.prepare({1: {"n": "bad"}}), made.prepare({1: {"n": "2"}})
    made.ask(Verb.CORRECT, corrected=first)
    made.run()
    with pytest.raises(Conflict) as refused:
        made.ask(Verb.CORRECT, corrected=second)
    assert [(error.field, error.code) for error in refused.value.errors] == [("1", "corrected_meanwhile")]
    assert made.is_in(State.SUCCEEDED)
