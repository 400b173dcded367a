"""A template that makes no sense is refused with a sentence that says why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from collect.jobs.template import Template, key_text

KEY = {"name": "k", "type": "string"}


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ({"name": "Age", "type": "integer"}, "should match pattern"),
        ({"name": "$set", "type": "integer"}, "should match pattern"),
        ({"name": "a.b", "type": "integer"}, "should match pattern"),
        ({"name": "a", "type": "money"}, "Input should be"),
        ({"name": "a", "type": "string", "pattern": "("}, "the pattern is refused"),
        ({"name": "a", "type": "string", "pattern": "a)(b"}, "the pattern is refused"),
        ({"name": "a", "type": "string", "pattern": "(?=a)"}, "look-around"),
        ({"name": "a", "type": "integer", "pattern": "1"}, "only strings and phones"),
        ({"name": "a", "type": "string", "minimum": 1}, "only numbers"),
        ({"name": "a", "type": "integer", "minimum": 5, "maximum": 1}, "above the maximum"),
        ({"name": "a", "type": "integer", "minimum": 0.5}, "whole numbers"),
        ({"name": "a", "type": "integer", "minimum": 2**63}, "64 bits"),
        ({"name": "a", "type": "number", "minimum": float("nan")}, "finite"),
        ({"name": "a", "type": "number", "minimum": "1"}, "in finite numbers"),
        ({"name": "a", "type": "latitude", "maximum": 91}, "between -90 and 90"),
        ({"name": "a", "type": "date", "minimum": 5}, "ISO 8601 text"),
        ({"name": "a", "type": "date", "minimum": "31 May"}, "no date or time"),
        ({"name": "a", "type": "datetime", "minimum": "2017-01-01T00:00:00"}, "no time zone"),
        ({"name": "a", "type": "datetime", "minimum": "0001-01-01T00:00:00+23:00"}, "outside the calendar"),
        ({"name": "a", "type": "enum"}, "list their values"),
        ({"name": "a", "type": "enum", "values": ["x", "x"]}, "distinct"),
        ({"name": "a", "type": "string", "values": ["x"]}, "list their values"),
        ({"name": "a", "type": "phone", "country": "India"}, "no country code"),
        ({"name": "a", "type": "string", "country": "IN"}, "only phones have a country"),
        ({"name": "a", "type": "string", "epoch": 1}, "Extra inputs"),
        ({"name": "k", "type": "string"}, "columns stand twice: k"),
    ],
)
def test_a_column_that_makes_no_sense_is_refused(column: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Template.model_validate({"key": ["k"], "columns": [KEY, column]})


@pytest.mark.parametrize(
    ("key", "column", "why"),
    [
        ([], KEY, "at least 1 item"),
        (["x"], KEY, "which is no column"),
        (["k", "k"], KEY, "names a column twice"),
        (["k"], {**KEY, "required": False}, "a column of the key is required"),
        (["k"], {**KEY, "type": "number"}, "cannot be part of the key"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(key: list[str], column: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Template.model_validate({"key": key, "columns": [column]})


def test_a_column_of_the_key_is_required_without_saying_so() -> None:
    assert Template.model_validate({"key": ["k"], "columns": [KEY]}).is_required("k")


def test_what_is_stored_reads_as_the_same_template() -> None:
    column = {"name": "d", "type": "date", "minimum": "2017-01-01", "null_values": ["-"]}
    template = Template.model_validate({"key": ["k"], "columns": [KEY, column]})
    stored = template.model_dump(mode="json", exclude_unset=True)
    assert Template.model_validate(stored).fingerprint() == template.fingerprint()


@given(one=st.lists(st.text(alphabet="a|\\", max_size=3), min_size=2, max_size=2),
       other=st.lists(st.text(alphabet="a|\\", max_size=3), min_size=2, max_size=2))  # fmt: skip
def test_two_composite_keys_have_one_text_only_when_they_are_one(one: list[str], other: list[str]) -> None:
    assert (key_text(one) == key_text(other)) == (one == other)


def test_a_template_says_the_same_whether_or_not_it_says_that_its_key_is_required() -> None:
    silent = Template.model_validate({"key": ["a"], "columns": [{"name": "a", "type": "string"}]})
    explicit = Template.model_validate({"key": ["a"], "columns": [{"name": "a", "type": "string", "required": True}]})
    assert silent.fingerprint() == explicit.fingerprint()
    assert silent.explicit.columns == explicit.columns
