"""A row of teams: what it makes, or the sentence with which it is refused."""

import csv
import io
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.csv import phones
from collect.csv.grammar import Grammar
from collect.csv.layout import Layout
from collect.csv.reading import Lot
from collect.csv.validation import Validator
from collect.errors import FieldError
from collect.teams import rows as teams_rows
from collect.teams.rows import Team
from collect.teams.template import MOST_FORMS, MOST_MANAGERS, MOST_MEMBERS, MOST_NAME_CHARACTERS, TEMPLATE

FORMS = frozenset({"household-survey", "school visit"})
PHONE, OTHER = "9845012345", "9845012346"


def read(rows: list[dict[str, str]]) -> tuple[list[Team], dict[int, tuple[FieldError, ...]]]:
    """What is read of rows that all have the columns of the first one."""
    names = list(rows[0])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([row[name] for name in names] for row in rows)
    grammar = Grammar(",")
    records = grammar.split(text.getvalue().encode(), final=True).lines
    layout = Layout(delimiter=",", columns=tuple(names))
    valid, rejects = Validator(template=TEMPLATE, layout=layout).validate(Lot.of(records, row=1, grammar=grammar))
    found = teams_rows.read(valid, forms=FORMS)
    assert len(found.said) + len(rejects) == len(rows)
    return found.teams, {**found.wrong, **{reject.row: reject.errors for reject in rejects}}


def one(**cells: str) -> Team | tuple[FieldError, ...]:
    teams, wrong = read([{"team_name": "North", "country_code": "91", **cells}])
    return teams[0] if teams else wrong[1]


def errors(**cells: str) -> list[tuple[str, str]]:
    found = one(**cells)
    assert isinstance(found, tuple), found
    return [(error.field, error.code) for error in found]


def values(**cells: str) -> dict[str, Any]:
    found = one(**cells)
    assert isinstance(found, Team), found
    return found.values


def test_a_team_has_the_fields_that_the_file_has_columns_for() -> None:
    assert values() == {"team_name": "North"}
    assert values(manager_phone=PHONE) == {"team_name": "North", "managers": [f"+91{PHONE}"]}
    assert values(description="", member_phones="", form_ids="") == {
        "team_name": "North", "description": None, "members": [], "form_ids": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    "spelt",
    [
        PHONE,
        f"+91{PHONE}",
        f"0{PHONE}",
        f"91{PHONE}",
        "98450 12345",
        "(98450)-12345",
        " 9845012345 ",
        "98450\u00a012345",
        "98450\u201112345",
        "\u202a+919845012345\u202c",
        f"0091{PHONE}",
        f"'{PHONE}",
        "+91 98450/12345",
        "+91.98450.12345",
    ],
)
def test_a_phone_is_the_same_however_it_is_spelt(spelt: str) -> None:
    assert values(manager_phone=spelt)["managers"] == [f"+91{PHONE}"]


@pytest.mark.parametrize("code", ["91", "+91", "0091", " 91 ", "IN", "in"])
def test_a_country_is_a_calling_code_or_its_own(code: str) -> None:
    assert values(country_code=code, manager_phone=PHONE)["managers"] == [f"+91{PHONE}"]


@pytest.mark.parametrize("code", ["999", "Indien", "9x", "-91", "0", "٩١", "800"])
def test_an_unknown_country_is_named_once_and_its_phones_are_not_blamed(code: str) -> None:
    assert errors(country_code=code, manager_phone=PHONE) == [("country_code", "unknown_country_code")]


def test_a_number_with_its_own_calling_code_needs_no_country() -> None:
    found = values(country_code="", manager_phone=f"+91{PHONE}", member_phones="+447911123456")
    assert (found["managers"], found["members"]) == ([f"+91{PHONE}"], ["+447911123456"])
    assert errors(country_code="", manager_phone=PHONE) == [("country_code", "country_code_missing")]
    teams, wrong = read([{"team_name": "North", "manager_phone": PHONE}])
    assert not teams
    assert [error.code for error in wrong[1]] == ["country_code_missing"]


@pytest.mark.parametrize("spelt", ["\u202a+919845012345\u202c", "(+91) 98450-12345", "'+919845012345"])
def test_the_plus_is_seen_behind_what_comes_along_with_a_number(spelt: str) -> None:
    assert values(country_code="", manager_phone=spelt)["managers"] == [f"+91{PHONE}"]


def test_decimals_do_not_make_another_number() -> None:
    # with its zero it would be one: 812345678 and 8123456780 are both given out in Indonesia
    assert values(country_code="62", manager_phone="8123456780")["managers"] == ["+628123456780"]
    assert errors(country_code="62", manager_phone="812345678.0") == [("manager_phone", "phone_with_decimals")]


def test_numbers_of_countries_that_share_a_calling_code_are_read() -> None:
    assert values(country_code="1", manager_phone="(604) 555-0199")["managers"] == ["+16045550199"]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("12345", "not_a_phone"),
        ("9.84E+09", "phone_in_scientific_notation"),
        ("984501234.0", "phone_with_decimals"),
        ("+9198450123.00", "phone_with_decimals"),
        ("'98450 1234.0", "phone_with_decimals"),
        ("9.845012345", "phone_with_decimals"),
        ("9845O12345", "phone_with_letters"),
        ("=9845012345+1", "not_a_phone"),
        ("=9845012345", "not_a_phone"),
        ("9845012345*", "not_a_phone"),
        ("9845012345%", "not_a_phone"),
        ("##9845012345", "not_a_phone"),
        ("''9845012345", "not_a_phone"),
        ("9845012345'", "not_a_phone"),
        ("9845012345 ext. 1", "phone_with_extension"),
        ("1-800-FLOWERS", "phone_with_letters"),
        ("९८४५०१२३४५", "not_a_phone"),
        ("98450123459845012345", "not_a_phone"),
        ("n/a", "not_a_phone"),
    ],
)
def test_what_is_no_phone_rejects_the_whole_row(cell: str, code: str) -> None:
    assert errors(manager_phone=cell, member_phones=PHONE) == [("manager_phone", code)]
    assert errors(manager_phone=PHONE, member_phones=f"{OTHER};{cell}") == [("member_phones", code)]


def test_the_entry_of_a_list_that_is_wrong_is_named() -> None:
    found = one(member_phones=f"{PHONE}; 123 ;{OTHER}")
    assert isinstance(found, tuple)
    (error,) = found
    assert error.message == "member_phones '123', entry 2 of 3, is no phone number valid in IN."


@pytest.mark.parametrize(
    "cell", [f"{PHONE};{OTHER}", f" {PHONE} ; {OTHER};", f"{PHONE},{OTHER}", f"{PHONE}|{OTHER}", f"{PHONE}\n{OTHER}",
             f";{PHONE};;{OTHER};{PHONE};+91{OTHER}"],
)  # fmt: skip
def test_a_list_has_everybody_once_in_its_order(cell: str) -> None:
    assert values(member_phones=cell)["members"] == [f"+91{PHONE}", f"+91{OTHER}"]


@pytest.mark.parametrize("cell", ["\u200b", "\u00a0\ufeff", "\u2800;\u200d", "\u3164 , \u00ad"])
def test_a_cell_that_shows_nothing_lists_nobody(cell: str) -> None:
    members = f"{cell};\u200b{PHONE}\u200b"
    found = values(manager_phone=cell, member_phones=members, form_ids=cell, country_code="91\u200b")
    assert (found["managers"], found["members"], found["form_ids"]) == ([], [f"+91{PHONE}"], [])
    assert values(country_code="\u200b", manager_phone=cell)["managers"] == []


def test_a_manager_may_be_a_member_too_and_is_one_person() -> None:
    found = one(manager_phone=PHONE, member_phones=f"{OTHER};{PHONE}")
    assert isinstance(found, Team)
    assert (found.values["managers"], found.values["members"]) == ([f"+91{PHONE}"], [f"+91{OTHER}", f"+91{PHONE}"])
    assert found.people == [f"+91{PHONE}", f"+91{OTHER}"]


def test_lists_are_not_endless() -> None:
    many = ";".join(f"+9198450{n:05}" for n in range(MOST_MEMBERS + 1))
    assert errors(member_phones=many) == [("member_phones", "too_many_members")]
    managers = ";".join(f"98450{n:05}" for n in range(MOST_MANAGERS + 1))
    assert errors(manager_phone=managers) == [("manager_phone", "too_many_managers")]
    assert errors(form_ids="household-survey;" * (MOST_FORMS + 1)) == [("form_ids", "too_many_form_ids")]
    assert len(values(member_phones=many.rpartition(";")[0])["members"]) == MOST_MEMBERS


def test_forms_are_those_that_there_are() -> None:
    assert values(form_ids="school visit; household-survey")["form_ids"] == ["school visit", "household-survey"]
    found = one(form_ids="household-survey;Household-Survey")
    assert isinstance(found, tuple)
    (error,) = found
    assert (error.code, error.field) == ("unknown_form", "form_ids")
    assert "household-survey, school visit" in error.message


@pytest.mark.parametrize(
    ("cell", "name"),
    [("  North ", "North"), ("Cafe\u0301", "Café"), ("a/b|c", "a/b|c"), ("=1+1", "=1+1"), ("__proto__", "__proto__"),
     ("$set.a", "$set.a"),
     ("ශ්\u200dරී", "ශ්\u200dරී"), ("क्\u200dष", "क्\u200dष"),
     ("x" * MOST_NAME_CHARACTERS, "x" * MOST_NAME_CHARACTERS)],
)  # fmt: skip
def test_a_name_is_kept_composed_and_without_blanks_around_it(cell: str, name: str) -> None:
    assert values(team_name=cell)["team_name"] == name


@pytest.mark.parametrize("cell", ["", "   ", "\u00a0\u200b", "\u200d\ufeff\u2060", "\u3164", "\u200e\u00ad\t"])
def test_a_name_that_shows_nothing_is_required(cell: str) -> None:
    assert errors(team_name=cell) == [("team_name", "required")]


@pytest.mark.parametrize("cell", ["two\nlines", "x" * (MOST_NAME_CHARACTERS + 1), "\u202eright to left"])
def test_a_name_that_cannot_be_shown_is_refused(cell: str) -> None:
    assert errors(team_name=cell) == [("team_name", "bad_name")]


def test_all_that_is_wrong_with_a_row_is_told_and_other_rows_are_read() -> None:
    teams, wrong = read(
        [
            {"team_name": "a\u200bb", "country_code": "91", "manager_phone": "1", "form_ids": "none"},
            {"team_name": "B", "country_code": "91", "manager_phone": PHONE, "form_ids": ""},
        ]
    )
    assert [(team.row, team.name) for team in teams] == [(2, "B")]
    assert [error.field for error in wrong[1]] == ["team_name", "manager_phone", "form_ids"]


COUNTRIES = ("IN", "KE", "US", "CA", "JM", "DE", "BY", "NG", "GB", "IM", "RU", "KZ", "IT", "NO", "BR", "AR", None)
EXAMPLES = [
    phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for country in COUNTRIES
    for kind in range(11)
    if country and (number := phonenumbers.example_number_for_type(country, kind))
]


@st.composite
def nearly(draw: st.DrawFn) -> str:
    """An example of some country's numbers with other digits at its end, or as people write it."""
    number = draw(st.sampled_from(EXAMPLES))
    kept = number[: draw(st.integers(1, len(number)))]
    end = draw(st.text("0123456789", min_size=len(number) - len(kept), max_size=len(number) - len(kept)))
    return draw(st.sampled_from(["", "0", " ", "("])) + kept + draw(st.sampled_from(["", " ", "-"])) + end


SPELT = st.one_of(
    nearly(),
    nearly().map(lambda text: text.replace("+", "")),
    st.from_regex(r"\+?[0-9]{2,15}", fullmatch=True),
    st.from_regex(r"0?[6-9][0-9]{9}", fullmatch=True),
    st.text(alphabet="0123456789+-() x", max_size=16),
    st.sampled_from(["49301234567", "4930123456", "8100751292", "+3758100751292", "+4949708512285"]),
)


@given(texts=st.lists(SPELT, max_size=8), country=st.sampled_from(COUNTRIES))
def test_many_numbers_at_once_are_read_as_each_alone(texts: list[str], country: str | None) -> None:
    assert phones.all_e164(texts, country) == {text: phones.e164(text, country) for text in texts}


@pytest.mark.parametrize(
    ("text", "country"),
    [("9845012345", "IN"), ("98450 12345", "IN"), ("+919845012345", None), ("(+91) 98450-12345", "US"),
     ("+12015550123", None), ("6045550199", "CA"), ("+447911123456", "IN"), ("+79161234567", None),
     ("+393123456789", None)],
)  # fmt: skip
def test_a_number_that_is_beyond_doubt_is_not_parsed_by_itself(text: str, country: str | None) -> None:
    before = phones._parsed.cache_info()
    assert phones.all_e164([text], country)[text] is not None
    assert phones._parsed.cache_info() == before


def test_a_cell_is_kept_no_longer_than_it_is_looked_at() -> None:
    # caches live as long as the process, and a file may hold anything
    before = phones._parsed.cache_info().currsize, phones._country_of.cache_info().currsize
    for n in range(3):
        long = f"{n}" * (phones.MOST_CHARACTERS + 1)
        assert (phones.e164(long, "IN"), phones.country_of(long)) == (None, None)
    assert (phones._parsed.cache_info().currsize, phones._country_of.cache_info().currsize) == before


@given(country=st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_every_country_has_example_numbers_that_are_read_by_its_calling_code(country: str) -> None:
    number = phonenumbers.example_number(country)
    assert number is not None
    code = phones.country_of(str(phonenumbers.country_code_for_region(country)))
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert code is not None
    assert phones.all_e164([national], code) == {national: national}
