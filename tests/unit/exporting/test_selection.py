"""What an export may ask for: every operator with every type, every kind of date, and nothing that is a query."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.errors import FieldError, InvalidInput
from collect.exporting.selection import EARLIEST, MOST_VALUES, OPERATORS, PINNED, Selection, select
from collect.jobs.forms import NUMBERS, TEXTS, TIMES, FieldType, Form, FormField

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
PINNED_AT = datetime(2026, 3, 1, 11, 59, 50, 123_000, tzinfo=UTC)
FIELDS = tuple(FormField(name=f"a_{type_}", type=type_) for type_ in FieldType)
FORM = Form(org_id="labs", form_id="survey", title="Survey", version=1, fields=FIELDS)
NAMES = {f"a_{type_}" for type_ in FieldType}
ORDERED = ("lt", "lte", "gt", "gte")
VALUES: dict[FieldType, Any] = {
    **dict.fromkeys(TEXTS, "text"), **dict.fromkeys(NUMBERS, 1.5), **dict.fromkeys(TIMES, "2017-08-01"),
    FieldType.INTEGER: 7, FieldType.BOOLEAN: True, FieldType.JSON: "text",
}  # fmt: skip
STORED = {**VALUES, **dict.fromkeys(TIMES, datetime(2017, 8, 1, tzinfo=UTC))}
MATCHERS = {f"${operator}" for operator in OPERATORS if operator != "exists"}


def chosen(**params: Any) -> Selection:
    return select(params, FORM, created_at=NOW)


def wrong(**params: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refused:
        chosen(**params)
    assert all(isinstance(error, FieldError) and error.message for error in refused.value.errors)
    return [(error.field, error.code) for error in refused.value.errors]


def only(field: str, op: str, value: Any) -> Any:
    (condition,) = chosen(filters=[{"field": field, "op": op, "value": value}]).match["$and"]
    return condition


def refused(field: str, op: str, value: Any) -> list[tuple[str, str]]:
    return wrong(filters=[{"field": field, "op": op, "value": value}])


# --- dates


def test_without_dates_it_is_everything_until_ten_seconds_before_the_job() -> None:
    found = chosen()
    assert (found.start, found.end) == (EARLIEST, PINNED_AT)
    assert (NOW - found.end) // timedelta(seconds=1) == PINNED.total_seconds()
    assert (found.match, found.format, found.formula_safe) == ({}, "csv", True)
    assert found.columns == FIELDS


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2017-08-01", datetime(2017, 8, 1, tzinfo=UTC)),
        ("2016-02-29", datetime(2016, 2, 29, tzinfo=UTC)),
        ("2000-02-29", datetime(2000, 2, 29, tzinfo=UTC)),
        ("2017-08-01T10:30:00Z", datetime(2017, 8, 1, 10, 30, tzinfo=UTC)),
        ("2017-08-01T10:30Z", datetime(2017, 8, 1, 10, 30, tzinfo=UTC)),
        ("2017-08-01 10:30:00.123456+00:00", datetime(2017, 8, 1, 10, 30, 0, 123_000, tzinfo=UTC)),
        ("2017-08-01T00:00:00+05:30", datetime(2017, 7, 31, 18, 30, tzinfo=UTC)),
        ("2017-03-26T02:30:00+01:00", datetime(2017, 3, 26, 1, 30, tzinfo=UTC)),
        ("2017-03-26T03:30:00+02:00", datetime(2017, 3, 26, 1, 30, tzinfo=UTC)),
        ("2017-10-29T02:30:00+02:00", datetime(2017, 10, 29, 0, 30, tzinfo=UTC)),
        ("2017-10-29T02:30:00+01:00", datetime(2017, 10, 29, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_date_is_its_midnight_and_a_time_is_what_its_offset_says(text: str, moment: datetime) -> None:
    assert chosen(from_date=text).start == moment
    assert chosen(to_date=text).end == moment
    assert only("a_datetime", "eq", text) == {"a_datetime": {"$eq": moment}}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2017-02-29", "bad_date"), ("1900-02-29", "bad_date"), ("2017-13-01", "bad_date"), ("2017-8-1", "bad_date"),
        ("01/08/2017", "bad_date"), ("yesterday", "bad_date"), ("", "bad_date"), ("2017", "bad_date"),
        ("2017-W31-2", "bad_date"), ("20170801", "bad_date"), ("2017-08-01T25:00:00Z", "bad_date"),
        ("2017-08-01T10:00:00Z; drop", "bad_date"), ("2017-08-01\n", "bad_date"), ("٢٠١٧-٠٨-٠١", "bad_date"),
        ("0001-01-01T00:00:00+05:30", "bad_date"), ("9999-12-31T23:59:59-05:30", "bad_date"),
        ("2017-08-01T00:00:00", "no_time_zone"), ("2017-08-01 00:00", "no_time_zone"),
    ],
)  # fmt: skip
def test_a_date_that_is_none_and_a_time_without_zone_are_refused(text: str, code: str) -> None:
    assert wrong(from_date=text) == [("params.from_date", code)]
    assert wrong(to_date=text) == [("params.to_date", code)]
    assert refused("a_date", "lt", text) == [("params.filters.0.value", code)]


@pytest.mark.parametrize(
    ("dates", "code"),
    [
        ({"from_date": "2018-01-01", "to_date": "2017-08-01"}, "dates_reversed"),
        ({"from_date": "2017-08-01", "to_date": "2017-08-01"}, "dates_reversed"),
        ({"from_date": "2017-08-01T00:00:00Z", "to_date": "2017-08-01T05:30:00+05:30"}, "dates_reversed"),
        ({"from_date": "2026-03-02"}, "from_in_future"),
        ({"from_date": "2099-01-01", "to_date": "2100-01-01"}, "from_in_future"),
        ({"from_date": "2026-03-01T11:59:51Z"}, "from_in_future"),
    ],
)
def test_dates_that_can_have_nothing_between_them_are_refused(dates: dict[str, str], code: str) -> None:
    assert wrong(**dates) == [("params.from_date", code)]


def test_an_end_in_the_future_is_ten_seconds_before_the_job() -> None:
    assert chosen(from_date="2026-01-01", to_date="2099-01-01").end == PINNED_AT


@given(st.dates(date(1, 1, 2), date(2026, 2, 28)))
def test_every_date_is_the_midnight_at_which_it_begins(day: date) -> None:
    assert chosen(from_date=day.isoformat()).start == datetime(day.year, day.month, day.day, tzinfo=UTC)


@given(
    st.integers(0, 25 * 365 * 86_400_000_000).map(lambda us: datetime(2000, 1, 1) + timedelta(microseconds=us)),  # noqa: DTZ001
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_every_time_is_what_its_offset_says_to_the_millisecond(at: datetime, zone: timezone) -> None:
    found = chosen(from_date=at.replace(tzinfo=zone).isoformat()).start
    assert found.tzinfo == UTC
    assert timedelta() <= at.replace(tzinfo=zone) - found < timedelta(milliseconds=1)


# --- filters


@pytest.mark.parametrize("type_", FieldType)
@pytest.mark.parametrize("operator", [operator for operator in OPERATORS if operator not in ("in", "exists")])
def test_each_operator_goes_with_its_types(type_: FieldType, operator: str) -> None:
    name = f"a_{type_}"
    if type_ is FieldType.JSON or (type_ is FieldType.BOOLEAN and operator in ORDERED):
        assert refused(name, operator, VALUES[type_]) == [("params.filters.0.op", "unknown_operator")]
    else:
        assert only(name, operator, VALUES[type_]) == {name: {f"${operator}": STORED[type_]}}


@pytest.mark.parametrize("type_", FieldType)
def test_in_takes_a_list_of_the_field_s_type(type_: FieldType) -> None:
    name = f"a_{type_}"
    if type_ is FieldType.JSON:
        assert refused(name, "in", ["text"]) == [("params.filters.0.op", "unknown_operator")]
        return
    assert only(name, "in", [VALUES[type_]] * 2) == {name: {"$in": [STORED[type_]] * 2}}
    for value in ([], VALUES[type_], None, [VALUES[type_]] * (MOST_VALUES + 1), {"0": VALUES[type_]}):
        assert refused(name, "in", value) == [("params.filters.0.value", "wrong_type")]
    assert refused(name, "in", [VALUES[type_], {"$gt": ""}]) == [("params.filters.0.value.1", "wrong_type")]


@pytest.mark.parametrize("type_", FieldType)
def test_exists_goes_with_every_type_and_takes_yes_or_no(type_: FieldType) -> None:
    name = f"a_{type_}"
    assert only(name, "exists", True) == {name: {"$ne": None}}
    assert only(name, "exists", False) == {name: {"$eq": None}}
    for value in (None, 1, 0, "true", {"$exists": True}):
        assert refused(name, "exists", value) == [("params.filters.0.value", "wrong_type")]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (FieldType.STRING, 7), (FieldType.STRING, None), (FieldType.STRING, True), (FieldType.STRING, ["a"]),
        (FieldType.STRING, "a\0b"), (FieldType.STRING, "x" * 10_001), (FieldType.INTEGER, 1.5),
        (FieldType.INTEGER, "7"), (FieldType.INTEGER, True), (FieldType.INTEGER, 2**63), (FieldType.NUMBER, "1"),
        (FieldType.NUMBER, False), (FieldType.NUMBER, -(2**63) - 1), (FieldType.BOOLEAN, 1),
        (FieldType.BOOLEAN, "true"), (FieldType.DATE, 20170801), (FieldType.DATETIME, None),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(type_: FieldType, value: Any) -> None:
    assert refused(f"a_{type_}", "eq", value) == [("params.filters.0.value", "wrong_type")]


@pytest.mark.parametrize("type_", FieldType)
@pytest.mark.parametrize(
    "value", [{"$gt": ""}, {"$ne": None}, {"$where": "1"}, {"$regex": ".*"}, {"$expr": {}}, [{"$gt": ""}], {}]
)
def test_a_query_for_a_value_is_refused(type_: FieldType, value: Any) -> None:
    for operator in OPERATORS:
        ((field, _),) = refused(f"a_{type_}", operator, value)
        assert field.startswith(("params.filters.0.value", "params.filters.0.op"))


@pytest.mark.parametrize("name", ["$where", "$expr", "$or", "a_string.$gt", "a_json.inner", "_id", "org_id", "", "*"])
def test_what_is_no_field_of_the_form_cannot_be_asked_of_it(name: str) -> None:
    assert refused(name, "eq", "1") == [("params.filters.0.field", "unknown_column")]
    assert wrong(columns=["a_string", name]) == [("params.columns", "unknown_column")]


@pytest.mark.parametrize("operator", ["$eq", "$where", "regex", "$regex", "not", "EQ", "like", "", "eq ", "$in"])
def test_an_operator_that_is_not_listed_is_refused(operator: str) -> None:
    assert refused("a_string", operator, "x") == [("params.filters.0.op", "unknown_operator")]


@pytest.mark.parametrize("text", [".*", "/a/i", "^a", "a|b", "$where", "{'$gt': ''}", "(?i)x", "a\\d"])
def test_text_that_looks_like_a_pattern_or_a_query_is_text(text: str) -> None:
    assert only("a_string", "eq", text) == {"a_string": {"$eq": text}}
    assert only("a_string", "in", [text]) == {"a_string": {"$in": [text]}}


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(["$gt", ".*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(["$gt", "$where", "$regex", "$ne"]), inner, max_size=3)
    ),
    max_leaves=6,
)
ANY_FILTER = st.fixed_dictionaries(
    {
        "field": st.sampled_from([*sorted(NAMES), "$where", "a_string.$ne"]) | st.text(),
        "op": st.sampled_from([*OPERATORS, "$eq", "regex"]) | st.text(),
        "value": ANY_JSON,
    }
)


@given(st.lists(ANY_FILTER, max_size=4))
def test_no_text_of_a_caller_becomes_a_query(filters: list[dict[str, Any]]) -> None:
    try:
        match = chosen(filters=filters).match
    except InvalidInput:
        return
    conditions = match.get("$and", [])
    assert set(match) <= {"$and"}
    assert len(conditions) == len(filters)
    for condition in conditions:
        ((name, test),) = condition.items()
        ((operator, value),) = test.items()
        assert name in NAMES
        assert operator in MATCHERS
        for one in value if operator == "$in" else [value]:
            assert one is None or isinstance(one, (str, int, float, bool, datetime))


@given(st.sampled_from(sorted(NAMES)), st.sampled_from(OPERATORS), ANY_JSON)
def test_whatever_the_value_is_it_is_taken_or_refused_by_its_place(field: str, op: str, value: Any) -> None:
    try:
        chosen(filters=[{"field": field, "op": op, "value": value}])
    except InvalidInput as error:
        places = {one.field for one in error.errors}
    else:
        places = set()
    assert all(place.startswith("params.filters.0.") for place in places)


# --- columns, and all of it together


def test_columns_come_in_the_order_in_which_they_are_asked_for() -> None:
    assert [field.name for field in chosen(columns=["a_json", "a_date"]).columns] == ["a_json", "a_date"]
    assert wrong(columns=[]) == [("params.columns", "no_columns")]
    assert wrong(columns=["a_date", "a_json", "a_date"]) == [("params.columns", "column_twice")]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    filters = [
        {"field": "a_string", "op": "eq", "value": "right"},
        {"field": "nothing", "op": "eq", "value": 1},
        {"field": "a_integer", "op": "in", "value": [1, "2", 3, None]},
    ]
    assert wrong(from_date="x", to_date="2017-01-01T00:00", filters=filters, columns=["no"]) == [
        ("params.from_date", "bad_date"),
        ("params.to_date", "no_time_zone"),
        ("params.filters.1.field", "unknown_column"),
        ("params.filters.2.value.1", "wrong_type"),
        ("params.columns", "unknown_column"),
    ]


def test_organisation_and_form_are_the_form_s_own() -> None:
    found = chosen(org_id="other", form_id="theirs", format="jsonl", formula_safe=False)
    assert (found.org_id, found.form_id) == ("labs", "survey")
    assert (found.format, found.formula_safe) == ("jsonl", False)
