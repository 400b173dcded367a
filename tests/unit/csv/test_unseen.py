"""What shows nothing is empty: one definition, for every column, by Python and by Arrow alike."""

import sys

import pyarrow as pa
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from collect.checks import profiles
from collect.csv import cells, unseen
from collect.csv.cell_rules import CellRules
from collect.jobs.template import Column
from collect.teams import names

BY_UNICODE = regex.compile(
    r"[[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\u2800\U0001d159]--[\p{Prepended_Concatenation_Mark}]]",
    regex.V1,
)
UNSEEN = [chr(code) for first, last in unseen.RANGES for code in range(first, last + 1)]
NOTHING = st.text(st.sampled_from(UNSEEN).filter(lambda letter: letter != "\0"), min_size=1, max_size=8)
TYPES = ("string", "integer", "number", "boolean", "date", "datetime", "phone", "latitude", "longitude", "enum")


def column(kind: str) -> Column:
    return Column(name="c", type=kind, values=("a", "b") if kind == "enum" else None)


def test_the_characters_are_those_of_unicode() -> None:
    every = map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1)))
    assert [letter for letter in every if BY_UNICODE.fullmatch(letter)] == UNSEEN


@given(texts=st.lists(st.one_of(NOTHING, st.text(max_size=5)), max_size=5))
def test_arrow_and_python_agree_on_what_shows_nothing(texts: list[str]) -> None:
    found = unseen.mask(pa.array(texts, pa.string()))
    expected = [unseen.shows_nothing(text) for text in texts]
    assert (found.to_pylist() if found is not None else [False] * len(texts)) == expected


@pytest.mark.parametrize("kind", TYPES)
@given(nothing=NOTHING)
def test_a_required_cell_that_shows_nothing_is_required_whatever_its_type(kind: str, nothing: str) -> None:
    checked = cells.check(column(kind), pa.array([nothing, "", nothing], pa.string()), required=True)
    assert sorted((index, error.code) for index, error in checked.errors) == [(n, "required") for n in range(3)]
    assert checked.values.null_count == 3


@pytest.mark.parametrize("kind", TYPES)
@given(nothing=NOTHING)
def test_an_optional_cell_that_shows_nothing_is_null_and_text_stays_as_it_is(kind: str, nothing: str) -> None:
    checked = cells.check(column(kind), pa.array([nothing], pa.string()), required=False)
    assert not checked.errors
    assert checked.values.to_pylist() == [nothing if kind == "string" else None]
    trimmed = cells.check(column(kind), pa.array([nothing], pa.string()), required=False, rules=CellRules(trim=True))
    assert trimmed.values.to_pylist() == [None]


@given(nothing=NOTHING)
def test_a_name_of_a_team_that_shows_nothing_is_no_name(nothing: str) -> None:
    name = names.name_of(nothing)
    assert not name or names.what_is_wrong(name)


@pytest.mark.parametrize("text", ["ß", "x", "\u0600", "\u00a0x", "।", "🙂", "\u0301", "-", "\ufffd"])
def test_what_shows_something_is_not_empty(text: str) -> None:
    assert not unseen.shows_nothing(text)
    assert cells.check(column("string"), pa.array([text]), required=True).values.to_pylist() == [text]


def test_columns_that_begin_with_what_shows_are_not_looked_at_closely() -> None:
    assert unseen.mask(pa.array(["R1", "~", "!x\u200b"])) is None


def test_the_checks_that_compare_columns_pass_over_cells_that_show_nothing() -> None:
    reading = profiles.read(column("integer"), ["7", "\u00a0", " ", "x"])
    assert (reading.filled, reading.valid, list(reading.values)) == (2, 1, [7.0])
