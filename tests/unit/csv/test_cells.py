"""What each type takes, and what it says to the rest."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.csv import cells, phones
from collect.jobs.template import Column

DAY = datetime(2017, 5, 31, tzinfo=UTC)


def check(texts: list[str], *, required: bool = False, **column: Any) -> tuple[list[Any], list[tuple[int, str]]]:
    """Values and errors. Each text is checked alone too: its neighbours must not matter."""
    made = Column(name="c", **column)
    whole = cells.check(made, pa.array(texts, pa.string()), required=required)
    for index, text in enumerate(texts):
        alone = cells.check(made, pa.array([text], pa.string()), required=required)
        assert alone.values.to_pylist() == whole.values.slice(index, 1).to_pylist()
        assert [error for _, error in alone.errors] == [error for at, error in whole.errors if at == index]
    return whole.values.to_pylist(), sorted((index, error.code) for index, error in whole.errors)


def test_integers_are_of_64_bits_and_in_ascii_digits() -> None:
    good = ["0", "-7", "+5", "007", "9223372036854775807", "-9223372036854775808"]
    assert check(good, type="integer") == ([0, -7, 5, 7, 2**63 - 1, -(2**63)], [])
    bad = ["9223372036854775808", "9" * 5000, "1_000", "１２", "1.0", "1e3", "nan", " 1", "0x10", "--1", "1\n"]
    values, errors = check(bad, type="integer")
    assert values == [None] * len(bad)
    assert errors == [(index, "not_an_integer") for index in range(len(bad))]


def test_numbers_are_finite_and_plain() -> None:
    good = ["1.5", "-.5", "+2", "3.", "1e5", "1E-2", "123456789012345680000", "0.1"]
    assert check(good, type="number") == ([float(text) for text in good], [])
    bad = ["nan", "inf", "-Infinity", "1e999", "1_000", "1,5", "١", "0x1p3", "", " 1"]
    values, errors = check(bad, type="number")
    assert values == [None] * len(bad)
    assert errors == [(index, "not_a_number") for index in range(len(bad)) if bad[index]]


def test_a_number_that_would_become_another_one_is_wrong() -> None:
    bad = [
        "9007199254740993",
        "-9007199254740993.0",
        "12345678901234567890",
        "1e-400",
        "-0.0000e0001",
        "0." + "0" * 399 + "1",
    ]
    good = [bad.pop(4), "9007199254740992", "1" + "0" * 22, "73.8567437123456789012", "1234567890123456789e3", "0e5"]
    assert check(good, type="number") == ([float(text) for text in good], [])
    values, errors = check(bad, type="number")
    assert (values, errors) == ([None] * len(bad), [(index, "digits_lost") for index in range(len(bad))])
    (_, error), *_ = cells.check(Column(name="c", type="number"), pa.array(bad), required=False).errors
    assert error.message == (
        "c '9007199254740993' would become 9007199254740992: 64 bits do not hold this number. Round it; if it is a "
        "code or an ID, it needs a column of text."
    )


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_whole_numbers_as_a_float_is_shown_come_back(number: float) -> None:
    shown = format(Decimal(repr(number)), "f")
    if len(shown) < 400:
        assert check([shown, "x"], type="number")[0] == [number, None]


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_python_writes_comes_back_exactly(number: float) -> None:
    assert check([repr(number), "x"], type="number")[0] == [number, None]


def test_dates_are_days_of_the_calendar() -> None:
    assert check(["2017-05-31", ""], type="date")[0] == [DAY.replace(tzinfo=None), None]
    bad = ["0000-00-00", "2017-02-31", "10000-01-01", "31-05-2017", "2017/05/31", "20170531", "2017-5-31", "2017-W05-1"]
    assert check(bad, type="date")[1] == [(index, "not_a_date") for index in range(len(bad))]


def test_times_have_a_zone() -> None:
    good = ["2017-05-31T00:00:00Z", "2017-05-31T05:30:00+05:30"]
    assert check(good, type="datetime")[0] == [DAY.replace(tzinfo=None)] * 2
    bad = ["2017-05-31T00:00:00", "2017-05-31", "2017-05-31T25:00:00Z", "0001-01-01T00:00:00+10:00"]
    assert check(bad, type="datetime")[1] == [(index, "not_a_datetime") for index in range(len(bad))]


def test_booleans_are_a_few_words() -> None:
    assert check(["true", "No", "1", "0", "YES"], type="boolean") == ([True, False, True, False, True], [])
    assert check(["maybe"], type="boolean")[1] == [(0, "not_a_boolean")]


def test_phones_become_e164_whatever_their_spelling() -> None:
    spelled = ["+919876543210", "98765 43210", "09876543210", "+91 98765-43210", "+14155552671"]
    assert check(spelled, type="phone", country="IN") == (["+919876543210"] * 4 + ["+14155552671"], [])
    bad = ["12345", "9.19E+11", "987654321.0", "+91987654321a", "call me", "9" * 300]
    codes = [
        "not_a_phone", "phone_in_scientific_notation", "phone_with_decimals", "phone_with_letters", "not_a_phone",
        "not_a_phone",
    ]  # fmt: skip
    assert check(bad, type="phone", country="IN")[1] == list(enumerate(codes))
    assert check(["9876543210"], type="phone")[1] == [(0, "not_a_phone")], "without a country a plus sign is needed"


@pytest.mark.parametrize("country", ["IN", "DE", "BY", "KE", "NP", "US", "GB", "IT", "BR"])
def test_phones_that_are_taken_as_they_are_are_those_that_would_come_back_the_same(country: str) -> None:
    calling_code = phonenumbers.country_code_for_region(country)
    texts = [
        f"+{calling_code}{digits}" for length in range(4, 13) for digits in ("9" * length, "1234567890123"[:length])
    ]
    kinds = [phonenumbers.example_number_for_type(country, kind) for kind in range(11)]
    texts += [phonenumbers.format_number(number, 0) for number in kinds if number]
    taken = phones.as_they_are(pa.array(texts), country)
    assert taken is not None
    assert pa.compute.any(taken).as_py()
    assert all(
        phones.e164(text, country) == text for text, is_taken in zip(texts, taken.to_pylist(), strict=True) if is_taken
    )


def test_coordinates_lie_on_the_globe_and_in_the_range_of_the_column() -> None:
    assert check(["90", "-90.5", "91"], type="latitude")[1] == [(1, "out_of_range"), (2, "out_of_range")]
    assert check(["-180", "181"], type="longitude")[1] == [(1, "out_of_range")]
    assert check(["5.9", "6", "38.1"], type="latitude", minimum=6, maximum=38)[1] == [
        (0, "out_of_range"),
        (2, "out_of_range"),
    ]


def test_ranges_include_their_ends() -> None:
    assert check(["-1", "0", "120", "121"], type="integer", minimum=0, maximum=120)[1] == [
        (0, "out_of_range"),
        (3, "out_of_range"),
    ]
    texts = ["2016-12-31", "2017-01-01"]
    assert check(texts, type="date", minimum="2017-01-01")[1] == [(0, "out_of_range")]


def test_enums_list_what_they_take() -> None:
    assert check(["M", "m", "X"], type="enum", values=["M", "F"]) == (
        ["M", None, None],
        [(1, "not_in_values"), (2, "not_in_values")],
    )


def test_patterns_match_the_whole_cell() -> None:
    assert check(["ab", "abc", "xab", "ab\n"], type="string", pattern="a|ab")[1] == [
        (1, "pattern"),
        (2, "pattern"),
        (3, "pattern"),
    ]


def test_a_pattern_that_would_hang_a_backtracking_engine_does_not() -> None:
    assert check(["a" * 5000 + "!"], type="string", pattern="(a+)+")[1] == [(0, "pattern")]


def test_empty_cells_and_null_values_are_null_and_text_is_not_trimmed() -> None:
    assert check(["", "NA", " NA", "=1+1"], type="string", null_values=["NA"])[0] == [None, None, " NA", "=1+1"]
    assert check(["", "NA"], type="integer", required=True, null_values=["NA"])[1] == [(0, "required"), (1, "required")]
