"""trim, value_map, decimal and date_formats: what they change, in which order, and what errors say of them."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.csv import cells
from collect.csv.cell_rules import CellRules
from collect.csv.grammar import Grammar
from collect.csv.layout import Layout
from collect.csv.reading import Lot
from collect.csv.validation import Validator
from collect.jobs.template import Column, Template


def values(texts: list[str], rules: CellRules, *, required: bool = False, **column: Any) -> list[Any]:
    checked = cells.check(Column(name="c", **column), pa.array(texts, pa.string()), required=required, rules=rules)
    errors = {index: error.code for index, error in checked.errors}
    return [errors.get(index, value) for index, value in enumerate(checked.values.to_pylist())]


def message(text: str, rules: CellRules | None = None, **column: Any) -> str:
    (error,) = cells.check(Column(name="c", **column), pa.array([text]), required=False, rules=rules).errors
    return error[1].message


def day(year: int, month: int, of_month: int, hour: int = 0) -> datetime:
    return datetime(year, month, of_month, hour, tzinfo=UTC).replace(tzinfo=None)


def test_trim_takes_every_kind_of_blank_from_both_ends_and_none_from_within() -> None:
    rules = CellRules(trim=True)
    assert values([" a  b\u00a0", "\t\u3000x", "\ufeff"], rules, type="string") == ["a  b", "x", None]
    assert values([" 7", "8\u00a0", " "], rules, type="integer") == [7, 8, None]
    assert values([" M "], rules, type="enum", values=["M"]) == ["M"]
    assert values([" NA "], rules, type="string", null_values=["NA"]) == [None]


def test_a_joiner_at_the_end_of_a_word_is_no_blank() -> None:
    assert values(["അവന്‍"], CellRules(trim=True), type="string") == ["അവന്‍"]


def test_value_map_comes_behind_trim_and_before_everything_else() -> None:
    rules = CellRules(trim=True, value_map={"c": {"male": "M", "?": "", "": "F", "none": "NA"}, "d": {"M": "X"}})
    column: dict[str, Any] = {"type": "enum", "values": ["M", "F"], "null_values": ["NA"]}
    assert values([" male ", "?", "", "none", "F", "Male"], rules, **column) == [
        "M", None, "F", None, "F", "not_in_values",
    ]  # fmt: skip
    assert values(["?"], rules, required=True, **column) == ["required"]
    assert values(["many"], CellRules(value_map={"c": {"many": "12"}}), type="integer") == [12]


def test_a_value_map_is_read_once_and_not_again_of_what_it_gave() -> None:
    assert values(["a", "b"], CellRules(value_map={"c": {"a": "b", "b": "a"}}), type="string") == ["b", "a"]


def test_numbers_have_the_decimal_mark_that_is_set_and_no_other() -> None:
    comma = CellRules(decimal=",")
    assert values(["1,5", "-,5", "7", "1,5e3", "2,"], comma, type="number") == [1.5, -0.5, 7.0, 1500.0, 2.0]
    assert values(["1.5", "1.234,5", "1,2,3"], comma, type="number") == ["not_a_number"] * 3
    assert values(["51,25"], comma, type="latitude") == [51.25]
    assert values(["1,0", "12"], comma, type="integer") == ["not_an_integer", 12]
    assert values(["1,5"], CellRules(), type="number") == ["not_a_number"]


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_each_number_is_the_same_with_either_mark(number: float) -> None:
    texts = [repr(number), repr(number).replace(".", ",")]
    assert values(texts[1:], CellRules(decimal=","), type="number") == values(texts[:1], CellRules(), type="number")


def test_a_number_that_seems_to_have_the_other_mark_says_so() -> None:
    assert "set decimal to ','" in message("51,25", type="number")
    assert "set decimal to '.'" in message("51.25", CellRules(decimal=","), type="latitude")
    assert "set decimal to ','" in message("1,234", type="number")
    assert "group thousands" in message("1,234", type="number")
    assert "thousands: leave it out" in message("1,234", type="integer")
    assert "thousands: leave it out" in message("1.234,5", type="number")
    assert "decimal" not in message("abc", type="number")


def test_dates_are_read_by_the_formats_and_by_iso_8601() -> None:
    rules = CellRules(date_formats=("%d/%m/%Y", "%m/%d/%Y"))
    assert values(["31/05/2017", "2017-05-31", "05/31/2017", "05/06/2017"], rules, type="date") == [
        day(2017, 5, 31), day(2017, 5, 31), day(2017, 5, 31), day(2017, 6, 5),
    ]  # fmt: skip
    assert values(["32/05/2017", "31.05.2017"], rules, type="date") == ["not_a_date"] * 2


def test_iso_8601_is_left_out_beside_a_format_that_reads_its_texts_as_other_days() -> None:
    rules = CellRules(date_formats=("%Y-%d-%m",))
    assert values(["2017-31-05", "2017-05-06", "2017-05-31"], rules, type="date") == [
        day(2017, 5, 31), day(2017, 6, 5), "not_a_date",
    ]  # fmt: skip


def test_a_day_with_a_time_is_a_day_at_midnight_only() -> None:
    rules = CellRules(date_formats=("%d/%m/%Y %H:%M",))
    assert values(["31/05/2017 00:00", "31/05/2017 09:30"], rules, type="date") == [day(2017, 5, 31), "not_a_date"]


def test_times_need_a_zone_whatever_the_format() -> None:
    rules = CellRules(date_formats=("%d/%m/%Y %H:%M%z", "%d/%m/%Y %H:%M", "%d/%m/%Y"))
    texts = ["31/05/2017 09:30+0530", "31/05/2017 09:30Z", "2017-05-31T09:00:00Z", "31/05/2017 09:30", "31/05/2017"]
    assert values(texts, rules, type="datetime") == [
        datetime(2017, 5, 31, 4, 0, tzinfo=UTC).replace(tzinfo=None),
        datetime(2017, 5, 31, 9, 30, tzinfo=UTC).replace(tzinfo=None),
        day(2017, 5, 31, 9), "not_a_datetime", "not_a_datetime",
    ]  # fmt: skip
    assert "needs %z" in message("31/05/2017 09:30", rules, type="datetime")


@pytest.mark.parametrize("form", ["%d%d", "%", "%Q", "(", "%d/%m/%Y%"])
def test_a_format_that_is_none_reads_nothing_and_breaks_nothing(form: str) -> None:
    rules = CellRules(date_formats=(form,))
    assert values(["2017-05-31", "x"], rules, type="date") == [day(2017, 5, 31), "not_a_date"]


def test_errors_name_the_parameter_that_would_help() -> None:
    assert message("31/05/2017", type="date").endswith('set date_formats, as in ["%d/%m/%Y"].')
    assert message("05/31/2017", type="date").endswith('set date_formats, as in ["%m/%d/%Y"].')
    assert "%d.%m.%Y %H:%M%z" in message("31.05.2017 09:30+0200", type="datetime")
    assert "set trim to true" in message(" 7", type="integer")
    assert "set trim to true" in message("\t+4930901820", type="phone")
    assert "set value_map" in message("ja", type="boolean")
    assert "If it means 'M', set value_map" in message("m ", type="enum", values=["M", "F"])


TEMPLATE = Template.model_validate(
    {
        "key": ["k"],
        "columns": [
            {"name": "k", "type": "string"},
            {"name": "n", "type": "integer", "required": True},
            {"name": "s", "type": "string"},
        ],
    }
)


def validate(lines: list[str], rules: CellRules, *, keeps_blanks: bool = False) -> tuple[list[Any], dict[int, str]]:
    layout = Layout(delimiter=",", columns=("k", "n", "s"))
    validator = Validator(template=TEMPLATE, layout=layout, rules=rules, keeps_blanks=keeps_blanks)
    lot = Lot.of([line.encode() for line in lines], row=1, grammar=Grammar(","))
    valid, rejects = validator.validate(lot)
    rows = zip(*(valid.columns[name].to_pylist() for name in ("k", "n", "s")), strict=True)
    return list(rows), {reject.row: reject.errors[0].code for reject in rejects}


def test_keys_are_read_by_the_rules_too() -> None:
    rules = CellRules(trim=True, value_map={"k": {"b": "a"}})
    assert validate([" a ,1,x", "b,2, y", "\u00a0,3,z"], rules) == ([("a", 1, "x"), ("a", 2, "y")], {3: "required"})


def test_where_blanks_keep_only_the_key_is_required() -> None:
    assert validate(["a,,x", " ,1,x", "b,\u200b,"], CellRules(), keeps_blanks=True) == (
        [("a", None, "x"), ("b", None, None)],
        {2: "required"},
    )
    assert validate(["a,,x"], CellRules()) == ([], {1: "required"})


def test_the_keys_of_a_value_map_are_trimmed_where_cells_are() -> None:
    params = {"trim": True, "value_map": {"c": {"pune ": "Pune", " agra": "x", "agra": "Agra", "\u00a0": "Goa"}}}
    column: dict[str, Any] = {"type": "enum", "values": ["Pune", "Agra", "Goa"]}
    read = values(["pune ", "pune", " agra", " "], CellRules.of(params), **column)
    assert read == ["Pune", "Pune", "Agra", "Goa"]
    kept = CellRules.of({"value_map": {"c": {"pune ": "Pune"}}})
    assert values(["pune ", "pune"], kept, **column) == ["Pune", "not_in_values"]


def test_an_error_of_a_replaced_value_names_the_cell_in_the_file() -> None:
    rules = CellRules(trim=True, value_map={"c": {"seven": "7x", "y": "z"}})
    said = message(" seven ", rules, type="integer")
    assert said == (
        "c '7x' is no whole number as 1024 is one. The cell in the file is ' seven '; value_map replaced it."
    )
    assert "value_map replaced" not in message(" 8x ", rules, type="integer")
    assert "'seven'; value_map replaced it" in message("seven", CellRules(value_map=rules.value_map), type="integer")
