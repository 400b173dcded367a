"""A map of values corrects the rejects that have them where they are wrong, and no others."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.csv import correction_effects, corrections, layout, value_maps
from collect.csv.cells import CellRules
from collect.csv.correction_effects import KeyChange, LeftOut
from collect.csv.corrections import Given, Sheet
from collect.errors import InvalidInput
from collect.jobs.template import Template

DISTRICTS = ["Pune", "Nashik"]
TEMPLATE = Template.model_validate(
    {
        "key": ["k"],
        "columns": [
            {"name": "k", "type": "string"},
            {"name": "district", "type": "enum", "values": DISTRICTS},
            {"name": "age", "type": "integer"},
        ],
    }
)
SHEET = Sheet(headers=("Id", "district", "Alter"), columns=("k", "district", "age"), delimiter=",")
PLAIN = CellRules()


def reject(row: int, line: str, *errors: tuple[str, str]) -> dict[str, Any]:
    return {"row": row, "line": line, "errors": [{"field": name, "code": code, "message": ""} for name, code in errors]}


DISTRICT, AGE = ("district", "not_in_values"), ("age", "not_an_integer")
REJECTS = [
    reject(1, "a,Puna,1", DISTRICT),
    reject(2, "b,Puna,x", DISTRICT, AGE),
    reject(3, 'c,"Pune ",x', DISTRICT, AGE),
    reject(4, "d,Pune,x", AGE),
    reject(5, "e,Puna,1,2", ("", "wrong_number_of_cells")),
    reject(6, "a,Pune,1", ("k", "duplicate_key")),
]


def summed(rejects: Sequence[dict[str, Any]], rules: CellRules = PLAIN) -> dict[tuple[str, str], dict[str, int]]:
    return {
        (group.field, group.code): dict(group.values) for group in value_maps.groups(rejects, SHEET, TEMPLATE, rules)
    }


def changed(value_map: dict[str, dict[str, str]], rules: CellRules = PLAIN) -> dict[int, dict[int, str]]:
    found = value_maps.corrected(REJECTS, value_map, SHEET, TEMPLATE, rules)
    return {one.row: dict(one.cells) for one in found}


def test_rejects_are_summed_up_by_column_and_code_with_their_values() -> None:
    assert summed(REJECTS) == {
        ("", "wrong_number_of_cells"): {},
        ("k", "duplicate_key"): {"a": 1},
        DISTRICT: {"Puna": 2, "Pune ": 1},
        AGE: {"x": 3},
    }
    counts = [group.count for group in value_maps.groups(REJECTS, SHEET, TEMPLATE, PLAIN)]
    assert counts == [1, 1, 3, 3]


def test_values_are_those_that_validation_has_seen() -> None:
    rules = CellRules(trim=True, value_map={"age": {"x": "y"}})
    assert summed(REJECTS, rules)[DISTRICT] == {"Puna": 2, "Pune": 1}
    assert summed(REJECTS, rules)[AGE] == {"y": 3}
    assert changed({"age": {"y": "7"}}, rules) == {2: {2: "7"}, 3: {2: "7"}, 4: {2: "7"}}
    assert changed({"age": {"x": "7"}}, rules) == {}
    assert changed({"district": {"Puna ": "Pune"}}, CellRules(trim=True)) == {1: {1: "Pune"}, 2: {1: "Pune"}}


def test_each_row_with_a_value_of_the_map_is_corrected_where_it_is_wrong() -> None:
    assert changed({"district": {"Puna": "Pune"}}) == {1: {1: "Pune"}, 2: {1: "Pune"}}
    assert changed({"Alter": {"x": "7"}, "district": {"Puna": "Pune", "Pune ": "Pune"}}) == {
        1: {1: "Pune"}, 2: {1: "Pune", 2: "7"}, 3: {1: "Pune", 2: "7"}, 4: {2: "7"},
    }  # fmt: skip
    assert changed({"k": {"a": "z"}}) == {6: {0: "z"}}


def test_of_a_key_that_is_there_twice_each_column_may_be_corrected() -> None:
    composite = TEMPLATE.model_copy(update={"key": ("k", "age")})
    found = value_maps.corrected(REJECTS, {"age": {"1": "9"}}, SHEET, composite, PLAIN)
    assert {one.row: dict(one.cells) for one in found} == {6: {2: "9"}}


@pytest.mark.parametrize(
    "value_map",
    [{}, {"district": {}}, {"district": {"Mumbai": "Pune"}}, {"district": {"Puna": "Puna"}}, {"age": {"1": "2"}}],
)
def test_a_row_that_has_none_of_the_values_where_it_is_wrong_is_left(value_map: dict[str, dict[str, str]]) -> None:
    assert changed(value_map) == {}


@pytest.mark.parametrize(
    ("value_map", "field", "code"),
    [
        ({"distrikt": {"a": "b"}}, "value_map.distrikt", "unknown_column"),
        ({"age": {"x": "1"}, "Alter": {"x": "2"}}, "value_map.Alter", "duplicate_column"),
    ],
)
def test_a_map_of_columns_that_are_not_there_is_refused(
    value_map: dict[str, dict[str, str]], field: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        changed(value_map)
    assert [(error.field, error.code) for error in refused.value.errors] == [(field, code)]


def test_the_map_to_begin_with_changes_nothing_as_it_is() -> None:
    listed = {
        (group.field, group.code): group.listed(1_000) for group in value_maps.groups(REJECTS, SHEET, TEMPLATE, PLAIN)
    }
    begun = value_maps.start(listed)
    assert begun == {"district": {"Puna": "Puna", "Pune ": "Pune "}, "age": {"x": "x"}}
    assert changed(begun) == {}


def test_of_very_many_values_the_commonest_are_listed_whole() -> None:
    rows = [reject(row, f"k{row},v{row % 1_500},1", DISTRICT) for row in range(4_000)]
    rows.extend(reject(5_000 + row, f"k,{'x' * 20_000},1", DISTRICT) for row in range(5))
    (group,) = value_maps.groups(rows, SHEET, TEMPLATE, PLAIN)
    listed = group.listed(value_maps.MOST_LISTED_BYTES)
    assert (group.count, len(group.values), len(listed)) == (4_005, 1_501, value_maps.MOST_VALUES)
    assert [count for _, count in listed[:1_000]] == [3] * 1_000
    assert len(group.listed(100)) == 4


def test_a_map_of_everything_that_is_listed_fits_into_a_request() -> None:
    rows = [reject(row, f"k{row},{chr(0x900 + row % 100) * 300}{row},1", DISTRICT) for row in range(3_000)]
    (group,) = value_maps.groups(rows, SHEET, TEMPLATE, PLAIN)
    listed = group.listed(value_maps.MOST_LISTED_BYTES)
    assert len(listed) > 200
    assert len(json.dumps({"value_map": value_maps.start({DISTRICT: listed})})) < 1024 * 1024


words = st.sampled_from(["", " ", "Puna", "Pune ", "Poona", "pune", "x", "1,5", 'a"b', "=1", "line\nbreak"])


@given(
    rows=st.lists(st.tuples(words, words), min_size=1, max_size=30),
    delimiter=st.sampled_from(layout.DELIMITERS),
    trim=st.booleans(),
)
@settings(max_examples=200)
def test_a_map_made_of_the_summary_corrects_every_row_that_it_sums_up(
    rows: list[tuple[str, str]], delimiter: str, trim: bool
) -> None:
    sheet = Sheet(headers=SHEET.headers, columns=SHEET.columns, delimiter=delimiter)
    rules = CellRules(trim=trim)
    rejects = [
        reject(number, corrections.record([f"k{number}", *cells], delimiter), DISTRICT, AGE)
        for number, cells in enumerate(rows, start=1)
    ]
    found = value_maps.groups(rejects, sheet, TEMPLATE, rules)
    good = {"district": "Nashik", "age": "7"}
    value_map = {group.field: {value: good[group.field] for value, _ in group.listed(10**6)} for group in found}
    corrected = value_maps.corrected(rejects, value_map, sheet, TEMPLATE, rules)
    lines = {one["row"]: one["line"] for one in rejects}
    text = corrections.text_of(corrected, lines, sheet, lacking={}).decode()
    assert text == "".join(f"k{number}{delimiter}Nashik{delimiter}7\n" for number in range(1, len(rows) + 1))


def test_a_key_that_becomes_another_is_told_and_whether_it_was_wrong() -> None:
    rejects = {1: REJECTS[0], 6: REJECTS[5]}
    given = [Given(row=1, cells={0: "z", 1: "Pune"}), Given(row=6, cells={0: "y"})]
    assert correction_effects.key_changes(given, rejects, SHEET, TEMPLATE, PLAIN) == [
        KeyChange(row=1, column="k", before="a", after="z", was_wrong=False),
        KeyChange(row=6, column="k", before="a", after="y", was_wrong=True),
    ]
    assert correction_effects.key_changes([Given(row=1, cells={0: "a"})], rejects, SHEET, TEMPLATE, PLAIN) == []


def test_two_spellings_of_one_key_are_the_same_where_the_column_says_so() -> None:
    columns = [column.model_dump(exclude_unset=True) for column in TEMPLATE.columns]
    numbered = Template.model_validate({"key": ["age"], "columns": columns})
    rejects = {1: reject(1, "a,Puna,7", DISTRICT)}
    again = [Given(row=1, cells={2: "007"})]
    assert correction_effects.key_changes(again, rejects, SHEET, numbered, PLAIN) == []
    texts = {1: reject(1, "7,Puna,7", DISTRICT)}
    assert len(correction_effects.key_changes([Given(row=1, cells={0: "007"})], texts, SHEET, TEMPLATE, PLAIN)) == 1


def test_text_behind_the_last_column_that_a_line_loses_is_told() -> None:
    rejects = {5: REJECTS[4]}
    line = Given(row=5, cells=dict(enumerate(["e", "Puna", "1"])), is_line=True)
    assert correction_effects.left_out([line], rejects, SHEET) == [LeftOut(row=5, text="2")]
    assert correction_effects.left_out([Given(row=5, cells=line.cells)], rejects, SHEET) == []
