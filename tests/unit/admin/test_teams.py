"""Made-up rosters: what people send, and what they send by mistake."""

import csv
import io
from collections import Counter
from pathlib import Path

import phonenumbers
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from collect.admin.cli import collect_admin
from collect.admin.connection import Admin
from collect.demo import survey
from collect.demo.teams import COLUMNS, NUMBERS_EACH, Roster, save_csv, write_csv
from collect.errors import InvalidInput
from collect.teams.template import TEMPLATE


def made(roster: Roster) -> str:
    out = io.StringIO()
    write_csv(roster, out)
    return out.getvalue()


def rows(roster: Roster) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made(roster))))


def column(roster: Roster, name: str) -> list[str]:
    return [row[name] for row in rows(roster)]


def phones(roster: Roster) -> list[str]:
    return [phone for row in rows(roster) for phone in (row["manager_phone"], *row["member_phones"].split(";"))]


def test_a_roster_has_the_columns_of_the_template_and_is_always_the_same(tmp_path: Path) -> None:
    roster = Roster(teams=20)
    assert tuple(rows(roster)[0]) == COLUMNS == TEMPLATE.names
    assert made(roster) == made(Roster(teams=20))
    assert made(Roster(teams=30)).startswith(made(roster))
    save_csv(roster, tmp_path / "teams.csv")
    assert (tmp_path / "teams.csv").read_bytes().decode() == made(roster)
    assert made(Roster(teams=0)) == ",".join(COLUMNS) + "\n"


def test_each_team_has_a_name_of_its_own_a_manager_five_members_and_the_form_of_the_demo() -> None:
    found = rows(Roster(teams=1_000))
    assert len({row["team_name"] for row in found}) == 1_000
    assert {len(row["member_phones"].split(";")) for row in found} == {5}
    assert {(row["country_code"], row["form_ids"]) for row in found} == {("91", survey.FORM_ID)}
    assert all(row["description"] for row in found)


def test_nobody_is_in_two_teams_and_every_number_is_a_mobile_number_of_india() -> None:
    found = phones(Roster(teams=2_000))
    assert len(set(found)) == len(found) == 12_000
    for phone in found:
        number = phonenumbers.parse(phone, "IN")
        assert phonenumbers.is_valid_number_for_region(number, "IN")
        assert phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE
        assert phonenumbers.national_significant_number(number) == phone


def test_rosters_that_begin_behind_each_other_have_nothing_in_common() -> None:
    one, other = Roster(teams=500), Roster(teams=500, first=501)
    assert set(phones(one)).isdisjoint(phones(other))
    assert set(column(one, "team_name")).isdisjoint(column(other, "team_name"))
    assert made(Roster(teams=1_000)) == made(one) + made(other).partition("\n")[2]


def test_several_teams_in_a_row_may_have_one_manager() -> None:
    assert set(Counter(column(Roster(teams=12, first=4, managers_each=4), "manager_phone")).values()) == {4}
    shared = Counter(column(Roster(teams=10, managers_each=3), "manager_phone"))
    assert sum(shared.values()) == 10
    assert sorted(shared.values()) == [2, 2, 3, 3]


def test_a_column_that_has_slipped_down_is_empty_at_the_top_and_has_lost_its_end() -> None:
    right, wrong = Roster(teams=50), Roster(teams=50, shift={"manager_phone": 10})
    assert column(wrong, "manager_phone") == [""] * 10 + column(right, "manager_phone")[:40]
    others = [name for name in COLUMNS if name != "manager_phone"]
    assert [[row[name] for name in others] for row in rows(wrong)] == [
        [row[name] for name in others] for row in rows(right)
    ]


def test_or_its_first_cells_stand_there_twice() -> None:
    cells = column(Roster(teams=50), "manager_phone")
    assert column(Roster(teams=50, shift={"manager_phone": 10}, gap="kept"), "manager_phone") == cells[:10] + cells[:40]
    assert column(Roster(teams=50, shift={"manager_phone": -3}, gap="kept"), "manager_phone") == cells[3:] + cells[-3:]


@given(teams=st.integers(0, 12), by=st.integers(-20, 20), gap=st.sampled_from(["empty", "kept"]))
def test_a_shift_of_any_size_keeps_the_number_of_rows(teams: int, by: int, gap: str) -> None:
    cells = column(Roster(teams=teams), "description")
    found = column(Roster(teams=teams, shift={"description": by}, gap=gap), "description")  # type: ignore[arg-type]
    assert len(found) == teams
    for at, cell in enumerate(found):
        free = cells[at] if gap == "kept" else ""
        assert cell == (cells[at - by] if 0 <= at - by < teams else free)


def test_it_says_who_manages_what() -> None:
    roster = Roster(teams=30, shift={"manager_phone": 2})
    told = list(roster.managers())
    assert [name for name, _ in told] == column(roster, "team_name")
    assert [phone for _, phone in told[:2]] == [None, None]
    assert [phone for _, phone in told[2:]] == [f"+91{phone}" for phone in column(roster, "manager_phone")[2:]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"shift": {"phone": 1}}, {"first": 0}, {"teams": -1}, {"members_each": NUMBERS_EACH}, {"managers_each": 0},
        {"first": 20_000_000},
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        Roster(**{"teams": 1, **wrong})  # type: ignore[arg-type]


def test_a_roster_is_to_be_had_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "teams.csv"
    words = ["seed", "teams-csv", "--rows", "30", "--first", "5", "--shift", "manager_phone=-2", "-o", str(path)]
    told = CliRunner().invoke(collect_admin, words, obj=Admin())
    assert told.exit_code == 0, told.output
    assert path.read_text() == made(Roster(teams=30, first=5, shift={"manager_phone": -2}))


@pytest.mark.parametrize(
    "shift", ["phone=1", "manager_phone", "manager_phone=", "manager_phone=x", "manager_phone=--1"]
)
def test_a_shift_names_a_column_and_a_number_of_rows(shift: str) -> None:
    told = CliRunner().invoke(collect_admin, ["seed", "teams-csv", "--rows", "1", "-o", "-", "--shift", shift])
    assert told.exit_code == 2
    assert "manager_phone" in told.stderr
