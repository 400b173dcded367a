"""Columns of raw documents say what the documents say, whatever they hold."""

import base64
from datetime import UTC, datetime
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from collect.exporting import cells, decoding
from collect.exporting.decoding import Column
from collect.jobs.forms import FieldType, FormField

NAMES = ("a", "b", "respondent_name", "height", "x" * 7, "y" * 8)
FIELDS = tuple(FormField(name=name, type=kind) for name, kind in zip(NAMES, FieldType, strict=False))
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)

moments = st.integers(int(FIRST.timestamp() * 1000), int(LAST.timestamp() * 1000)).map(
    lambda ms: bson.datetime_ms.DatetimeMS(ms)
)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.integers(-(2**63), 2**63 - 1).map(Int64)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
    | moments
)
odd = st.one_of(
    st.binary(max_size=5),
    st.just(ObjectId()),
    st.just(Decimal128("1.5")),
    st.just(Code("x")),
    st.just(Code("x", {"a": 1})),
    st.just(Regex("a.b")),
    st.just(Timestamp(1, 2)),
    st.just(MinKey()),
    st.just(MaxKey()),
    st.lists(plain, max_size=3),
    st.dictionaries(st.sampled_from(("p", "q")), plain, max_size=2),
)
names = st.sampled_from((*NAMES, "_id", "unknown", "yyyyyyyyz"))
documents = st.lists(st.dictionaries(names, plain | odd, max_size=9), max_size=30)


def raw(found: list[dict[str, Any]]) -> bytes:
    return b"".join(bson.encode(document) for document in found)


def columns(found: list[dict[str, Any]], *fields: FormField) -> list[Column]:
    return decoding.columns(raw(found), fields or FIELDS)


def seen(column: Column) -> list[Any]:
    values: list[Any] = column.values.to_pylist()
    for row, value in column.odd.items():
        assert values[row] is None
        values[row] = value
    return values


def same(one: Any, other: Any) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one.replace(tzinfo=UTC) == other.replace(tzinfo=UTC)
    if isinstance(one, Regex):
        return bool(one.pattern == other)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


@given(documents)
def test_every_value_is_what_the_slow_way_sees(found: list[dict[str, Any]]) -> None:
    slow = decoding.documents(raw(found))
    for field, column in zip(FIELDS, columns(found), strict=True):
        assert len(column.values) == len(found)
        for one, other in zip((document.get(field.name) for document in slow), seen(column), strict=True):
            assert same(one, other), (field, one, other)


@given(documents)
def test_every_value_has_a_text_in_csv_and_json(found: list[dict[str, Any]]) -> None:
    for column in columns(found):
        assert len(cells.csv(column, formula_safe=True)) == len(found)
        assert cells.jsonl(column).null_count == 0
        assert len(cells.parquet(column)) == len(found)


@given(st.lists(st.permutations(NAMES), min_size=1, max_size=40))
def test_documents_with_their_fields_in_any_order_are_read_alike(orders: list[list[str]]) -> None:
    found = [{name: f"{name} {n}" for name in order} for n, order in enumerate(orders)]
    for column in columns(found):
        assert seen(column) == [f"{column.field.name} {n}" for n in range(len(orders))]


@given(st.lists(st.dictionaries(st.sampled_from(("a", "b", "_id", *("n" * size for size in range(15, 41)))), plain)))
def test_documents_that_end_while_others_stand_at_a_long_name_are_read_alike(found: list[dict[str, Any]]) -> None:
    fields = tuple(FormField(name=name, type=FieldType.JSON) for name in ("n" * 17, "n" * 40, "b"))
    slow = decoding.documents(raw(found))
    for column in columns(found, *fields):
        expected = [document.get(column.field.name) for document in slow]
        assert all(same(one, other) for one, other in zip(expected, seen(column), strict=True))


def test_whether_a_number_is_made_harmless_does_not_depend_on_its_neighbours() -> None:
    field = FormField(name="n", type=FieldType.NUMBER)
    alone, beside = columns([{"n": float("-inf")}], field)[0], columns([{"n": float("-inf")}, {"n": "=x"}], field)[0]
    assert cells.csv(alone, formula_safe=True).to_pylist() == ["-inf"]
    assert cells.csv(beside, formula_safe=True).to_pylist() == ["-inf", "'=x"]


def test_of_a_name_that_is_there_twice_the_last_value_is_taken() -> None:
    twice = b"\x02a\x00\x02\x00\x00\x00x\x00\x02a\x00\x02\x00\x00\x00y\x00"
    document = (len(twice) + 5).to_bytes(4, "little") + twice + b"\0"
    assert bson.decode(document) == {"a": "y"}
    assert seen(decoding.columns(document, FIELDS)[0]) == ["y"]


def test_numbers_keep_their_kind() -> None:
    kept = columns(
        [{"n": 3}, {"n": 3.7}, {"n": True}, {"n": Int64(2**60)}], FormField(name="n", type=FieldType.INTEGER)
    )[0]
    assert kept.values.to_pylist() == [3, None, None, 2**60]
    assert kept.odd == {1: 3.7, 2: True}
    doubles = columns(
        [{"n": 3}, {"n": 3.5}, {"n": Int64(2**53)}, {"n": Int64(2**53 + 1)}, {"n": Int64(-(2**63))}],
        FormField(name="n", type=FieldType.NUMBER),
    )[0]
    assert doubles.values.to_pylist() == [3.0, 3.5, 2.0**53, None, None]
    assert doubles.odd == {3: 2**53 + 1, 4: -(2**63)}


def test_a_text_that_is_no_utf_8_is_shown_as_well_as_it_can_be() -> None:
    good, bad = bson.encode({"a": "abcd"}), bson.encode({"a": "abcd"}).replace(b"abcd", b"ab\xffd")
    column = decoding.columns(good + bad + good, FIELDS)[0]
    assert seen(column) == ["abcd", "ab\ufffdd", "abcd"]


@pytest.mark.parametrize("size", range(30))
def test_short_and_long_texts_are_whole(size: int) -> None:
    texts = ["é" * size, "x" * size, "", "y" * (29 - size)]
    column = columns([{"a": text} for text in texts], FIELDS[0])[0]
    assert column.values.to_pylist() == texts
    assert pa.types.is_string(column.values.type)


def test_other_types_have_texts_that_people_know() -> None:
    found: list[dict[str, Any]] = [
        {"a": ObjectId("0123456789abcdef01234567")},
        {"a": Binary(b"\x00\xff")},
        {"a": Decimal128("1.50")},
        {"a": {"at": datetime(2017, 8, 1, tzinfo=UTC), "n": float("nan"), "b": b"\x01"}},
        {"a": False},
    ]
    column = columns(found, FIELDS[0])[0]
    assert cells.csv(column, formula_safe=False).to_pylist() == [
        "0123456789abcdef01234567",
        base64.b64encode(b"\x00\xff").decode(),
        "1.50",
        '"{""at"":""2017-08-01T00:00:00.000Z"",""n"":null,""b"":""AQ==""}"',
        "false",
    ]


def test_moments_at_the_ends_of_the_calendar_and_before_1970_are_written_in_full() -> None:
    kind = FormField(name="t", type=FieldType.DATETIME)
    found = [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)]
    found.append(datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC))
    column = columns([{"t": at} for at in found], kind)[0]
    assert cells.csv(column, formula_safe=True).to_pylist() == [
        "0001-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59.999Z",
    ]


def test_a_moment_outside_the_calendar_is_its_milliseconds() -> None:
    far = bson.datetime_ms.DatetimeMS(2**62)
    column = columns([{"t": far}], FormField(name="t", type=FieldType.DATETIME))[0]
    assert cells.csv(column, formula_safe=True).to_pylist() == [str(2**62)]
    assert cells.jsonl(column).to_pylist() == [str(2**62)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-x", "'-x"), ("@a", "'@a"), ("\tx", "'\tx"), ("-", "'-"),
        ("-5", "-5"), ("+3.5e-7", "+3.5e-7"), ("-.5", "-.5"), ("+919431000123", "+919431000123"),
        ("+91 (94310) 00-123", "+91 (94310) 00-123"), ("+91=1", "'+91=1"), ("plain", "plain"), ("1=1", "1=1"),
        ("-1+1", "'-1+1"), ("+1\n=1", "\"'+1\n=1\""), ("\rx", "\"'\rx\""),
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_calculate_begins_with_an_apostrophe(text: str, shown: str) -> None:
    column = columns([{"a": text}], FIELDS[0])[0]
    assert cells.csv(column, formula_safe=True).to_pylist() == [shown]
