"""Teams on a real server: found by name, by the beginning of a name, by phone; and only those of the organisation."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collect.errors import NotFound
from collect.storage import teams
from collect.storage.database import Database
from support.team_jobs import person, team

NAMES = st.text(
    st.one_of(st.sampled_from("ab|.*\\/ é\ud7ff\ue000\U0010ffff"), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=6,
)


def names(db: Database, prefix: str = "", *, org_id: str = "labs", limit: int = 1_000) -> list[str]:
    found, _ = teams.page(db, org_id=org_id, prefix=prefix, limit=limit)
    return [each["values"]["team_name"] for each in found]


def test_a_team_is_found_by_its_whole_name_and_only_by_that(db: Database) -> None:
    team(db, "North / 1", members=["+919800000001"])
    assert teams.get(db, org_id="labs", name="North / 1")["values"]["members"] == ["+919800000001"]
    for other in ("North / ", "North / 12", "north / 1", ""):
        with pytest.raises(NotFound, match="no team"):
            teams.get(db, org_id="labs", name=other)


@pytest.mark.parametrize(("org_id", "name"), [("other", "a"), ("labs|a", "b"), ("lab", "s|a")])
def test_a_team_of_somebody_else_is_not_there(db: Database, org_id: str, name: str) -> None:
    team(db, "a")
    team(db, "a|b")
    with pytest.raises(NotFound):
        teams.get(db, org_id=org_id, name=name)
    assert names(db, name, org_id=org_id) == []
    assert teams.stored(db, org_id=org_id, names=[name]) == {}


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", ["A.1", "A.2", "Ab1", "a.1"]),
        ("A", ["A.1", "A.2", "Ab1"]),
        ("A.", ["A.1", "A.2"]),
        (".*", []),
        ("A.1", ["A.1"]),
        ("A.11", []),
    ],
)
def test_the_beginning_of_a_name_means_just_itself(db: Database, prefix: str, found: list[str]) -> None:
    for name in ("A.1", "A.2", "Ab1", "a.1"):
        team(db, name)
    team(db, "A.1", org_id="other")
    assert names(db, prefix) == found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(there=st.lists(NAMES, unique=True, max_size=12), prefix=st.one_of(NAMES, st.just("")))
def test_any_names_are_found_by_any_beginning_in_the_order_of_their_letters(
    db: Database, there: list[str], prefix: str
) -> None:
    db.teams.delete_many({})
    for name in there:
        team(db, name)
    prefixes = [prefix, *(name[: len(name) // 2] for name in there), *there]
    for each in prefixes:
        assert names(db, each) == sorted(name for name in there if name.startswith(each))


def test_pages_follow_each_other_without_gap_or_twice(db: Database) -> None:
    wanted = [f"Team {n:02}" for n in range(7)]
    for name in wanted:
        team(db, name)
    team(db, "Other")
    found: list[str] = []
    after: str | None = None
    while True:
        some, after = teams.page(db, org_id="labs", prefix="Team", limit=3, after=after)
        found += [each["values"]["team_name"] for each in some]
        if after is None:
            break
    assert found == wanted
    assert teams.page(db, org_id="labs", prefix="Team", limit=3, after="other|Zzz") == ([], None)
    assert teams.page(db, org_id="labs", limit=7)[1] == "labs|Team 05"


def test_a_page_reads_no_team_that_is_not_on_it(db: Database) -> None:
    for n in range(50):
        team(db, f"t{n:02}")
        team(db, f"t{n:02}", org_id="other")
    among = {"$gte": "labs|t1", "$lt": "labs|t2", "$gt": "labs|t12"}
    ran = db.teams.find({"_id": among, "org_id": "labs"}).sort("_id", 1).limit(5).explain()
    assert ran["executionStats"]["totalDocsExamined"] == 5
    assert teams.page(db, org_id="labs", prefix="t1", limit=4, after="labs|t12")[0][0]["_id"] == "labs|t13"


def test_phones_lead_to_the_teams_that_they_belong_to_whether_as_manager_or_member(db: Database) -> None:
    team(db, "b", managers=["+911"], members=["+912", "+913"])
    team(db, "a", managers=["+912"], members=["+912", "+911"])
    team(db, "c", org_id="other", managers=["+911"], members=["+914"])
    found = teams.of_phones(db, org_id="labs", phones=["+911", "+912", "+913", "+914"])
    assert found == {"+911": ["a", "b"], "+912": ["a", "b"], "+913": ["b"]}


@pytest.mark.parametrize("more", [0, 10], ids=["few others", "many others"])
def test_phones_lead_to_the_teams_that_are_not_named(db: Database, more: int) -> None:
    team(db, "b", managers=["+911"], members=["+912", "+913"])
    team(db, "a", managers=["+912"], members=["+912", "+911"])
    team(db, "c", managers=["+913"])
    team(db, "a", org_id="other", managers=["+911"])
    for n in range(more):
        team(db, f"t{n}", managers=["+919"])
    wanted = {"+911", "+912", "+913", "+914"}
    assert teams.elsewhere(db, org_id="labs", phones=wanted, names=["b", "none"]) == {
        "+911": ["a"], "+912": ["a"], "+913": ["c"],
    }  # fmt: skip
    assert teams.elsewhere(db, org_id="labs", phones=wanted, names=["a", "b", "c"]) == {}


def test_phones_are_looked_up_in_an_index(db: Database) -> None:
    for n in range(50):
        team(db, f"t{n}", managers=[f"+91{n}"], members=[f"+92{n}"])
    for role in teams.ROLES:
        ran = db.teams.find({"org_id": "labs", f"values.{role}": {"$in": ["+917", "+927"]}}).explain()
        assert ran["executionStats"]["totalDocsExamined"] == 1


def test_more_than_fit_into_one_question_are_asked_for_in_several(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teams, "ASKED_AT_ONCE", 2)
    for n in range(5):
        team(db, f"t{n}", managers=[f"+91{n}"], members=[f"+91{n + 1}"])
        person(db, f"+91{n}")
    phones = [f"+91{n}" for n in range(7)]
    assert teams.stored(db, org_id="labs", names=[f"t{n}" for n in range(9)]).keys() == {f"t{n}" for n in range(5)}
    assert teams.known(db, org_id="labs", phones=iter(phones)) == set(phones[:5])
    assert teams.of_phones(db, org_id="labs", phones=iter(phones))["+914"] == ["t3", "t4"]
    assert "+916" not in teams.of_phones(db, org_id="labs", phones=phones)


def test_people_of_another_organisation_are_not_known(db: Database) -> None:
    person(db, "+911", org_id="other")
    assert teams.known(db, org_id="labs", phones=["+911"]) == set()
    assert teams.known(db, org_id="other", phones=["+911"]) == {"+911"}


def test_marks_of_a_job_are_counted_and_no_others(db: Database) -> None:
    team(db, "a", written_by="job1:1:0")
    team(db, "b", written_by="job1:2:7")
    team(db, "c", written_by="job10:1:0")
    team(db, "d", org_id="other", written_by="job1:1:0")
    person(db, "+911", written_by="job1:1:0")
    assert teams.marked(db, org_id="labs", job_id="job1") == (2, 1)


def test_the_lock_is_one_for_an_organisation(db: Database) -> None:
    assert teams.holder(db, org_id="labs") is None
    db.locks.insert_one({"_id": teams.lock_name(org_id="labs"), "queue": ["first", "second"]})
    assert teams.holder(db, org_id="labs") == "first"
    assert teams.holder(db, org_id="other") is None
