"""What a preview says of teams is what the job would then do."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collect.teams import changes
from collect.teams.changes import Change, TeamChanges
from collect.teams.rows import Team

PHONES = ("+919845000001", "+919845000002", "+919845000003")


def team(row: int, name: str, *, managers: tuple[str, ...] = (), **more: Any) -> Team:
    return Team(row, {"team_name": name, "managers": list(managers), **more})


def stored(name: str, *managers: str) -> dict[str, Any]:
    return {"team_name": name, "description": None, "managers": list(managers), "members": [], "form_ids": []}


def judge(teams: list[Team], there: list[dict[str, Any]], *, upsert: bool, known: tuple[str, ...] = ()) -> TeamChanges:
    by_name = {one["team_name"]: one for one in there}
    others = [one for one in there if one["team_name"] not in {team.name for team in teams}]
    linked = {phone: [one["team_name"] for one in others if phone in one["managers"]] for phone in PHONES}
    linked = {phone: names for phone, names in linked.items() if names}
    return changes.judge(teams, by_name, known=set(known), linked=linked, upsert=upsert, examined_rows=len(teams))


def test_an_upsert_counts_what_is_made_what_changes_and_what_stays() -> None:
    there = [stored("A", PHONES[0]), stored("B", PHONES[1])]
    seen = judge(
        [team(1, "A", managers=PHONES[:1]), team(2, "B", managers=PHONES[2:]), team(3, "C", managers=PHONES[:1])],
        there, upsert=True, known=PHONES[:2],
    )  # fmt: skip
    assert (seen.created, seen.changed, seen.unchanged, seen.managers_changed) == (1, 1, 1, 1)
    assert seen.changes == (Change(team="B", field="managers", before=[PHONES[1]], after=[PHONES[2]]),)
    assert (seen.new_members, seen.new_phones) == (1, (PHONES[2],))
    assert (seen.phones_in_several_teams, seen.several) == (1, ((PHONES[0], ("A", "C")),))


def test_a_name_that_stands_twice_counts_once() -> None:
    rows = [team(1, "A", managers=PHONES[:1]), team(2, "A", managers=PHONES[1:2])]
    for upsert in (False, True):
        seen = judge(rows, [], upsert=upsert)
        assert (seen.created, seen.duplicate_names, seen.duplicates) == (1, 1, (("A", (1, 2)),))
        assert seen.new_phones == (PHONES[:2] if upsert else PHONES[:1])  # an upsert writes the first row, too


def test_creating_leaves_what_is_there() -> None:
    seen = judge([team(1, "A", managers=PHONES[1:2])], [stored("A", PHONES[0])], upsert=False)
    assert (seen.created, seen.changed, seen.unchanged, seen.new_members) == (0, 0, 0, 0)


def test_somebody_who_leaves_a_team_for_another_is_in_one() -> None:
    rows = [team(1, "A", managers=PHONES[1:2]), team(2, "B", managers=PHONES[:1])]
    assert judge(rows, [stored("A", PHONES[0])], upsert=True).phones_in_several_teams == 0


def test_whoever_stays_in_a_team_is_counted_where_the_file_has_no_column_of_people() -> None:
    there = [{**stored("A"), "members": [PHONES[0]]}, stored("B")]
    rows = [team(1, "A", managers=PHONES[1:2]), team(2, "B", managers=PHONES[:1])]
    assert judge(rows, there, upsert=True).several == ((PHONES[0], ("A", "B")),)
    rows = [team(1, "A", managers=(), members=[]), team(2, "B", managers=PHONES[:1])]
    assert judge(rows, there, upsert=True).several == ()


def test_the_words_say_what_becomes_of_a_team_that_is_there() -> None:
    columns = {"team_name", "manager_phone", "form_ids"}
    said = " ".join(changes.effects(columns, upsert=True))
    assert "managers and form_ids become those of its row, and are empty where its cell is" in said
    assert "Its description and members stay" in said
    assert "stays as it is, and its row is rejected" in " ".join(changes.effects(columns, upsert=False))


@given(
    rows=st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(PHONES)), max_size=8),
    there=st.dictionaries(st.sampled_from("ABC"), st.sampled_from(PHONES)),
)
def test_made_changed_and_unchanged_are_all_teams_that_an_upsert_writes(
    rows: list[tuple[str, str]], there: dict[str, str]
) -> None:
    teams = [team(row, name, managers=(phone,)) for row, (name, phone) in enumerate(rows, start=1)]
    seen = judge(teams, [stored(*one) for one in there.items()], upsert=True)
    after = dict(rows)
    assert seen.created == len(after.keys() - there.keys())
    assert seen.changed == sum(there[name] != after[name] for name in after.keys() & there.keys())
    assert seen.created + seen.changed + seen.unchanged == len(after)


def test_where_blanks_keep_a_field_is_that_of_the_rows_above_and_then_what_is_stored() -> None:
    above: dict[str, dict[str, Any]] = {}
    rows = [team(1, "A", managers=PHONES[1:2]), team(2, "A", managers=()), team(3, "B", managers=())]
    kept = [*changes.keeping(rows[:1], above), *changes.keeping(rows[1:], above)]
    assert [one.values for one in kept] == [
        {"team_name": "A", "managers": [PHONES[1]]},
        {"team_name": "A", "managers": [PHONES[1]]},
        {"team_name": "B"},
    ]
    seen = judge(kept, [stored("A", PHONES[0]), stored("B", PHONES[2])], upsert=True)
    assert (seen.changed, seen.unchanged, seen.managers_changed) == (1, 1, 1)


def test_the_effects_say_what_a_blank_cell_does() -> None:
    columns = {"team_name", "manager_phone"}
    assert "and are empty where its cell is." in " ".join(changes.effects(columns, upsert=True))
    kept = " ".join(changes.effects(columns, upsert=True, keeps_blanks=True))
    assert "and stay where its cell is empty." in kept
