"""For any small file of teams, cut and ordered anyhow, the outcome is that of reading it downwards; undo is exact."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ulid import ULID

from collect.csv.reading import Source, cursor
from collect.errors import ChunkTooBig
from collect.jobs.forms import Form
from collect.jobs.model import Counts, Job, part_id
from collect.runtime.task import ChunkSize
from collect.storage import forms, indexes
from collect.storage.database import Database, connect
from support import team_jobs
from support.in_memory import MemoryBlobs
from support.upload_driver import Upload, new_job
from teams_worker import task
from teams_worker.task import TeamsTask

HEADER = "team_name,description,country_code,manager_phone,member_phones,form_ids\n"
NAMES = ("North", "South", "East / West")
NUMBERS = tuple(f"98450000{n:02}" for n in range(1, 7))
BAD = "12345"
OTHER_JOB = "another"
FORM = "household-survey"


@pytest.fixture(scope="module")
def db(mongodb_url: str, database_name: str) -> Iterator[Database]:
    database = connect(mongodb_url, database=database_name, app_name="tests")
    indexes.migrate(database)
    yield database
    database.close()


def e164(number: str) -> str:
    return f"+91{number}"


@dataclass(frozen=True)
class Row:
    name: str
    manager: str
    members: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return BAD not in (self.manager, *self.members)

    @property
    def line(self) -> str:
        return f"{self.name},of {self.name},91,{self.manager},{';'.join(self.members)},{FORM}\n"

    @property
    def values(self) -> dict[str, Any]:
        return {
            "team_name": self.name,
            "description": f"of {self.name}",
            "managers": [e164(self.manager)] if self.manager else [],
            "members": [e164(number) for number in dict.fromkeys(self.members)],
            "form_ids": [FORM],
        }


@dataclass(frozen=True)
class Case:
    """A file, what is there before it, and how it is worked on."""

    mode: str
    rows: list[Row]
    teams_before: dict[str, list[str]]
    people_before: set[str]
    cut_at: list[int]
    sizes: list[int]
    order: list[int]
    tries: int
    undo_order: list[int]
    data: bytes = field(init=False)

    @property
    def params(self) -> dict[str, str]:
        """Of the job. By ``keep`` a blank cell leaves what is stored."""
        return {"mode": "upsert", "blank": "keep"} if self.mode == "keep" else {"mode": self.mode}

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", (HEADER + "".join(row.line for row in self.rows)).encode())


NUMBER = st.sampled_from(NUMBERS)
ROW = st.builds(
    Row,
    name=st.sampled_from(NAMES),
    manager=st.one_of(NUMBER, st.just(""), st.just(BAD)),
    members=st.lists(NUMBER, max_size=3).map(tuple),
)
RIGHT = ROW.filter(lambda row: row.is_good)
CASES = st.builds(
    Case,
    mode=st.sampled_from(["create", "upsert", "keep"]),
    rows=st.lists(ROW, min_size=1, max_size=10),
    teams_before=st.dictionaries(st.sampled_from(NAMES), st.lists(NUMBER, max_size=2), max_size=2),
    people_before=st.sets(NUMBER, max_size=3),
    cut_at=st.lists(st.integers(2, 10), max_size=3),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    order=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    tries=st.integers(1, 2),
    undo_order=st.lists(st.integers(0, 9), min_size=1, max_size=9),
)


class Work:
    """A case in an organisation of its own, or in one that is there."""

    def __init__(self, db: Database, case: Case, *, org: str | None = None) -> None:
        self.db, self.case = db, case
        self.org = org or f"o{str(ULID()).lower()}"
        forms.ensure(db, Form.model_validate({"_id": f"{self.org}:{FORM}", "org_id": self.org, "form_id": FORM,
            "title": "t", "version": 1, "fields": []}))  # fmt: skip
        there = set(case.people_before).union(*case.teams_before.values())
        for number in sorted(there):
            team_jobs.person(db, e164(number), org_id=self.org, written_by=f"{OTHER_JOB}:1:0")
        for name, members in case.teams_before.items():
            team_jobs.team(
                db, name, org_id=self.org, written_by=f"{OTHER_JOB}:1:1", members=[e164(one) for one in members]
            )
        self.before = self.all()
        job = new_job(blob="f", dataset="none")
        self.job: Job = job.model_copy(update={"org_id": self.org, "kind": "teams", "params": case.params})
        self.hands = Upload(db, MemoryBlobs({"f": case.data}), self.job, make_task=TeamsTask)

    def all(self) -> dict[str, dict[str, Any]]:
        """Every team and everybody of the organisation, document for document."""
        return {
            f"{name} {document['_id']}": document
            for name in ("teams", "members")
            for document in self.db[name].find({"org_id": self.org})
        }

    def values(self, collection: str) -> list[dict[str, Any]]:
        found = self.db[collection].find({"org_id": self.org}).sort("_id", 1)
        return [document["values"] for document in found]

    def run(self) -> None:
        self.hands.plan(cut_at=self.case.cut_at or [1])
        size = ChunkSize(rows=1)
        running = {n: self.hands.chunks(n, size) for n in self.hands.parts}
        turn = 0
        while running:
            waiting = sorted(running)
            n = waiting[self.case.order[turn % len(self.case.order)] % len(waiting)]
            size.rows = self.case.sizes[turn % len(self.case.sizes)]
            turn += 1
            chunk = next(running[n], None)
            if chunk is None:
                del running[n]
            else:
                self.hands.commit(n, chunk, tries=self.case.tries)
        self.hands.finish()

    def correct(self, rows: Sequence[Row]) -> None:
        """Run rejected rows once more, from the first on, as these; then finish again."""
        rejected = sorted(reject["row"] for reject in self.db.rejects.find({"job_id": self.job.id}))
        numbers = tuple(rejected[: len(rows)])
        if not numbers:
            return
        self.db.rejects.delete_many({"job_id": self.job.id, "row": {"$in": list(numbers)}})
        text = "".join(row.line for row, _ in zip(rows, numbers, strict=False)).encode()
        self.hands.blobs.write("corrected", [text])
        source = Source(blob="corrected", start=0, end=len(text), first_row=1, delimiter=",", numbers=numbers)
        part, n = self.hands.parts[1], max(self.hands.parts) + 1
        corrected = {"id": part_id(self.job.id, n), "n": n, "seq": 0, "cursor": cursor(0, 1), "counts": Counts()}
        corrected["source"] = {**part.source, **source.document()}
        self.hands.parts[n] = part.model_copy(update=corrected)
        self.db.parts.insert_one(self.hands.parts[n].model_dump(by_alias=True))
        for chunk in self.hands.chunks(n, ChunkSize(rows=self.case.sizes[0])):
            self.hands.commit(n, chunk, tries=self.case.tries)
        self.hands.finish()

    def undo(self) -> dict[str, str]:
        """Take back all entries in the case's order, but those that are; id → why of what was left alone."""
        left = list(self.db.ledger.find({"job_id": self.job.id}).sort("_id", 1))
        conflicts: dict[str, str] = {}
        for turn in range(len(left)):
            at = self.case.undo_order[turn % len(self.case.undo_order)] % len(left)
            entry = left.pop(at)
            if not entry["undone"] or entry["conflicts"]:
                taken = self.hands.undo(entry["_id"], entry["undo"])
                found = {conflict.id: conflict.why for conflict in taken.conflicts}
                self.db.ledger.update_one({"_id": entry["_id"]}, {"$set": {"undone": True, "conflicts": list(found)}})
                conflicts.update(found)
        return conflicts


def read_downwards(case: Case) -> tuple[dict[str, dict[str, Any]], set[str], set[int]]:
    """The teams, everybody's phone, and the rejected rows."""
    teams: dict[str, dict[str, Any]] = {
        name: {"team_name": name, "description": None, "managers": [], "members": [e164(one) for one in members],
               "form_ids": []}
        for name, members in case.teams_before.items()
    }  # fmt: skip
    people = {e164(one) for one in set(case.people_before).union(*case.teams_before.values())}
    rejected: set[int] = set()
    for number, row in enumerate(case.rows, start=1):
        if not row.is_good or (case.mode == "create" and row.name in teams):
            rejected.add(number)
            continue
        kept = teams.get(row.name, {}) if case.mode == "keep" else {}
        teams[row.name] = {name: value or kept.get(name, value) for name, value in row.values.items()}
        people.update(row.values["managers"], row.values["members"])
    return teams, people, rejected


def a_case(mode: str, rows: list[Row], **more: Any) -> Case:
    given: dict[str, Any] = {
        "teams_before": {}, "people_before": set(), "cut_at": [], "sizes": [1], "order": [0], "tries": 1,
        "undo_order": [0], **more,
    }  # fmt: skip
    return Case(mode=mode, rows=rows, **given)


BLANKS_OVER_AND_UNDER = a_case(
    "keep",
    [Row("North", NUMBERS[0], ()), Row("North", "", (NUMBERS[2],)), Row("North", NUMBERS[1], ()), Row("North", "", ())],
    teams_before={"North": [NUMBERS[4]]}, cut_at=[2, 3], order=[2, 0, 1],
)  # fmt: skip
SAME_TEAM_LATER_FIRST = a_case(
    "create", [Row("North", NUMBERS[0], ()), Row("North", NUMBERS[1], (NUMBERS[2],))], cut_at=[1, 2], order=[1]
)


@settings(max_examples=60)
@given(case=CASES)
@example(case=SAME_TEAM_LATER_FIRST)
@example(case=BLANKS_OVER_AND_UNDER)
def test_the_outcome_is_that_of_reading_downwards_and_undo_restores_every_document(db: Database, case: Case) -> None:
    work = Work(db, case)
    work.run()
    teams, people, rejected = read_downwards(case)
    assert {one["team_name"]: one for one in work.values("teams")} == teams
    assert {one["phone"] for one in work.values("members")} == people
    stored = {reject["row"] for reject in db.rejects.find({"job_id": work.job.id})}
    assert stored == rejected
    succeeded, counted = work.hands.counts
    assert (succeeded, counted) == (len(case.rows) - len(rejected), len(rejected))

    assert work.undo() == {}
    assert work.all() == work.before


AND_A_TEAM = replace(SAME_TEAM_LATER_FIRST, rows=[*SAME_TEAM_LATER_FIRST.rows, Row("South", NUMBERS[3], ())])
WITHOUT_MANAGER = a_case("upsert", [Row("South", "", ())])


@settings(max_examples=40)
@given(
    case=CASES,
    other=CASES,
    corrected=st.lists(RIGHT, max_size=5),
    corrected_later=st.booleans(),
    undone=st.lists(st.booleans(), max_size=4),
)
@example(case=AND_A_TEAM, other=WITHOUT_MANAGER, corrected=[Row("North", "", ())], corrected_later=True, undone=[True])
def test_two_jobs_and_a_correction_are_taken_back_in_any_order(
    db: Database, case: Case, other: Case, corrected: list[Row], corrected_later: bool, undone: list[bool]
) -> None:
    first = Work(db, case)
    first.run()
    if not corrected_later:
        first.correct(corrected)
    second = Work(db, replace(other, teams_before={}, people_before=set()), org=first.org)
    second.run()
    if corrected_later:
        first.correct(corrected)

    for is_second in (*undone, False, True, False):
        (second if is_second else first).undo()
    assert first.all() == first.before


@settings(max_examples=40)
@given(case=CASES, touched=st.sampled_from(NAMES))
def test_what_others_have_changed_since_is_left_alone_with_its_people_and_listed(
    db: Database, case: Case, touched: str
) -> None:
    work = Work(db, case)
    work.run()
    key = {"_id": f"{work.org}|{touched}"}
    ours = db.teams.find_one({**key, "written_by": {"$regex": f"^{work.job.id}:"}})
    db.teams.update_one(key, {"$set": {"values.description": "by hand", "written_by": "hand:0:0"}})
    by_hand = db.teams.find_one(key)

    conflicts = work.undo()
    left = work.all()
    if by_hand is None or ours is None:
        assert conflicts == {}
        return
    assert left[f"teams {by_hand['_id']}"] == by_hand
    people = {f"{work.org}|{one}" for one in (*by_hand["values"]["managers"], *by_hand["values"]["members"])}
    new = {id_ for id_ in people if f"members {id_}" not in work.before}
    assert set(conflicts) == {by_hand["_id"], *new}
    assert all(f"members {id_}" in left for id_ in people)
    others = {name: document for name, document in left.items() if document["_id"] not in {by_hand["_id"], *new}}
    before = {name: document for name, document in work.before.items() if document["_id"] != by_hand["_id"]}
    assert others == before


def test_a_team_that_is_gone_is_no_conflict_where_it_was_made_and_one_where_it_was_changed(db: Database) -> None:
    rows = [Row("North", NUMBERS[0], ()), Row("South", NUMBERS[1], ())]
    work = Work(db, a_case("upsert", rows, teams_before={"South": [NUMBERS[2]]}))
    work.run()
    db.teams.delete_many({"org_id": work.org})
    conflicts = work.undo()
    assert conflicts == {f"{work.org}|South": "Deleted since."}
    assert {one["phone"] for one in work.values("members")} == {e164(NUMBERS[2])}


def test_columns_that_the_file_does_not_have_stay_as_they_are(db: Database) -> None:
    work = Work(db, a_case("upsert", [Row("North", "", ())], teams_before={"North": [NUMBERS[3]]}))
    work.hands.blobs.write("f", [b"team_name,country_code,manager_phone\nNorth,+91," + NUMBERS[0].encode() + b"\n"])
    work.run()
    (north,) = work.values("teams")
    assert north == {
        "team_name": "North", "description": None, "managers": [e164(NUMBERS[0])], "members": [e164(NUMBERS[3])],
        "form_ids": [],
    }  # fmt: skip
    assert work.undo() == {}
    assert work.all() == work.before


def test_a_team_that_is_made_has_every_field_even_of_columns_that_its_file_does_not_have(db: Database) -> None:
    work = Work(db, a_case("upsert", [Row("North", "", ())], teams_before={"South": [NUMBERS[3]]}))
    work.hands.blobs.write("f", [b"team_name,description\nNorth,a\nSouth,b\nNorth,c\n"])
    work.run()
    assert work.values("teams") == [
        {"team_name": "North", "description": "c", "managers": [], "members": [], "form_ids": []},
        {"team_name": "South", "description": "b", "managers": [], "members": [e164(NUMBERS[3])], "form_ids": []},
    ]
    assert work.undo() == {}
    assert work.all() == work.before


def test_whoever_has_left_a_team_is_there_when_it_becomes_what_it_was(db: Database) -> None:
    first = Work(db, a_case("create", [Row("North", NUMBERS[0], (NUMBERS[1],))]))
    first.run()
    second = Work(db, a_case("upsert", [Row("North", NUMBERS[2], ())]), org=first.org)
    made = first.all()
    second.run()

    gone = {f"{first.org}|{e164(number)}" for number in NUMBERS[:2]}
    assert set(first.undo()) == {f"{first.org}|North", *gone}  # the second job would name them again
    assert second.undo() == {}
    assert first.all() == made
    assert first.undo() == {}
    assert first.all() == first.before


def test_a_chunk_that_touches_too_many_people_is_made_of_fewer_rows(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "MOST_PEOPLE", 2)
    case = a_case("upsert", [Row("North", "", ()), Row("South", "", ())], sizes=[2])
    work = Work(db, replace(case, teams_before={"North": list(NUMBERS[:2]), "South": list(NUMBERS[2:4])}))
    with pytest.raises(ChunkTooBig) as too_big:
        work.run()
    assert too_big.value.rows == 2
    work = Work(db, replace(work.case, sizes=[1]))
    work.run()
    assert work.undo() == {}


def test_whom_a_displaced_row_named_and_a_correction_names_again_is_no_conflict_of_the_job(db: Database) -> None:
    rows = [Row("North", NUMBERS[0], ()), Row("North", NUMBERS[1], (NUMBERS[2],))]
    work = Work(db, a_case("create", rows, cut_at=[2], order=[1]))
    work.run()
    assert {one["phone"] for one in work.values("members")} == {e164(NUMBERS[0])}
    for number in (NUMBERS[1], NUMBERS[2]):  # as a correction of the second row makes them
        team_jobs.person(db, e164(number), org_id=work.org, written_by=f"{work.job.id}:3:0")
    assert work.undo() == {}


def test_two_jobs_that_share_people_are_taken_back_in_any_order(db: Database) -> None:
    first = Work(db, a_case("create", [Row("North", NUMBERS[0], (NUMBERS[1],))]))
    first.run()
    second = Work(db, a_case("create", [Row("South", NUMBERS[1], (NUMBERS[2],))]), org=first.org)
    forms_before = first.all()
    second.run()

    assert set(first.undo()) == {f"{first.org}|{e164(NUMBERS[1])}"}  # the second job has taken this person over
    assert {one["team_name"] for one in first.values("teams")} == {"South"}
    assert second.undo() == {}
    left = first.all()
    assert left == {name: document for name, document in forms_before.items() if name in left}
    assert first.undo() == {}
    assert first.all() == first.before
