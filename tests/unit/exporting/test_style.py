"""What an export can be asked for beside its format: zones, delimiters, nulls, choices. Values stay what they were."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import bson
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.errors import InvalidInput
from collect.exporting import clocks, formats, zones
from collect.exporting.formats import Rendered
from collect.exporting.selection import Selection, select, split
from collect.exporting.splitting import choices_of
from collect.jobs.forms import FieldType, Form, FormField

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = {
    "name": FieldType.STRING,
    "age": FieldType.INTEGER,
    "at": FieldType.DATETIME,
    "born_on": FieldType.DATE,
    "crops": FieldType.JSON,
}
ZONES = ("Asia/Kolkata", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Monrovia")


def form(**fields: FieldType) -> Form:
    named = tuple(FormField(name=name, type=kind) for name, kind in (fields or FIELDS).items())
    return Form(org_id="labs", form_id="f", title="f", version=1, fields=named)


def selected(of: Form | None = None, **params: Any) -> Selection:
    return select({"form_id": "f", **params}, of or form(), created_at=NOW)


def rendered(documents: list[dict[str, Any]], selection: Selection) -> Rendered:
    return formats.render(selection, [b"".join(bson.encode(each) for each in documents)])


def text(documents: list[dict[str, Any]], selection: Selection) -> str:
    return (formats.header(selection) + rendered(documents, selection).data).decode()


def rows(documents: list[dict[str, Any]], **params: Any) -> list[dict[str, str]]:
    selection = selected(**params)
    delimiter = params.get("delimiter") or ","
    return list(csv.DictReader(io.StringIO(text(documents, selection), newline=""), delimiter=delimiter))


moments = st.integers(clocks.FIRST_MS, clocks.LAST_MS)


@given(st.lists(moments, max_size=8), st.sampled_from(ZONES))
def test_a_time_of_any_zone_is_the_same_moment(found: list[int], zone: str) -> None:
    stored = [{"at": bson.datetime_ms.DatetimeMS(moment)} for moment in found]
    written = [row["at"] for row in rows(stored, time_zone=zone, columns=["at", "name"])]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    read = [datetime.fromisoformat(each) for each in written]
    assert [(each - epoch) // timedelta(milliseconds=1) for each in read] == found


@given(st.integers(clocks.MINUTE_MS, 4 * 10**12), st.sampled_from(ZONES))
def test_clocks_show_what_they_show_there(moment: int, zone: str) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)
    offset = at.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    found = clocks.offsets(np.array([moment], dtype=np.int64), zone)[0]
    assert found == int(offset.total_seconds() / 60)


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (datetime(2017, 3, 26, 0, 59, 59, 999_000, tzinfo=UTC), "2017-03-26T01:59:59.999+01:00"),
        (datetime(2017, 3, 26, 1, 0, tzinfo=UTC), "2017-03-26T03:00:00.000+02:00"),
        (datetime(2017, 10, 29, 0, 30, tzinfo=UTC), "2017-10-29T02:30:00.000+02:00"),
        (datetime(2017, 10, 29, 1, 30, tzinfo=UTC), "2017-10-29T02:30:00.000+01:00"),
        (datetime(1850, 1, 1, tzinfo=UTC), "1850-01-01T00:53:00.000+00:53"),
    ],
)
def test_where_clocks_change_the_offset_says_which_hour_it_is(at: datetime, written: str) -> None:
    (row,) = rows([{"at": at}], time_zone="Europe/Berlin")
    assert row["at"] == written


def test_a_date_is_the_same_date_in_every_zone(tmp_path: Any) -> None:
    stored = [{"born_on": datetime(1986, 2, 28, tzinfo=UTC), "crops": {"at": datetime(2017, 8, 1, tzinfo=UTC)}}]
    (row,) = rows(stored, time_zone="America/New_York")
    assert row["born_on"] == "1986-02-28"
    assert json.loads(row["crops"]) == {"at": "2017-07-31T20:00:00.000-04:00"}
    selection = selected(time_zone="America/New_York", format="parquet")
    table = pq.read_table(pa.BufferReader(rendered(stored, selection).data))
    assert table["born_on"].to_pylist() == [date(1986, 2, 28)]
    assert str(table.schema.field("at").type) == "timestamp[ms, tz=America/New_York]"


def test_utc_is_written_as_if_no_zone_were_asked_for() -> None:
    stored = [{"at": datetime(2017, 8, 1, tzinfo=UTC)}]
    assert text(stored, selected(time_zone="UTC")) == text(stored, selected())
    assert selected(time_zone="UTC").shape == selected().shape != selected(time_zone="Asia/Kolkata").shape


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_cells_with_the_delimiter_are_quoted(delimiter: str) -> None:
    names = ["a,b", "a;b", "a\tb", "a|b", 'a"b', "a\nb", "a\rb", " a "]
    found = rows([{"name": name} for name in names], delimiter=delimiter, formula_safe=False)
    assert [row["name"] for row in found] == names
    assert list(found[0]) == list(FIELDS)


def test_a_byte_order_mark_stands_once_before_the_header() -> None:
    assert formats.header(selected(bom=True)) == b"\xef\xbb\xbf" + formats.header(selected())


@given(st.lists(st.none() | st.sampled_from(["", "NA", "-", "x", "0"]) | st.text(max_size=4), max_size=8))
def test_a_null_differs_from_every_text(names: list[str | None]) -> None:
    names = [None if name is None else name.replace("\0", "") for name in names]
    for null_text in ("", "NA", "-", "0"):
        selection = selected(
            form(name=FieldType.STRING, other=FieldType.STRING), null_text=null_text, formula_safe=False
        )
        made = rendered([{"name": name, "other": "x"} for name in names], selection)
        bare = [line.removesuffix(",x") for line in _lines(made.data.decode())]
        assert [line == null_text for line in bare] == [name is None for name in names]
        count = sum(1 for name in names if name == null_text)
        assert made.like_null == ({"name": count} if count else {})


def _lines(found: str) -> list[str]:
    """Lines of a CSV as they stand, without those within quotes."""
    lines, quoted = [""], False
    for character in found:
        quoted ^= character == '"'
        if character == "\n" and not quoted:
            lines.append("")
        else:
            lines[-1] += character
    return lines[:-1]


def test_a_row_of_one_column_is_a_line_that_shows_something() -> None:
    selection = selected(columns=["name"])
    assert rendered([{"name": None}, {"name": ""}, {"name": " "}], selection).data == b'""\n""\n" "\n'
    assert rendered([{"name": None}, {}], selected(columns=["name"], null_text="NA")).data == b"NA\nNA\n"


@pytest.mark.parametrize(
    ("params", "field", "code"),
    [
        ({"time_zone": "India"}, "params.time_zone", "unknown_time_zone"),
        ({"time_zone": "../../etc/passwd"}, "params.time_zone", "unknown_time_zone"),
        ({"bom": True, "format": "jsonl"}, "params.bom", "wrong_format"),
        ({"bom": True, "format": "parquet"}, "params.bom", "wrong_format"),
        ({"delimiter": ";", "format": "jsonl"}, "params.delimiter", "wrong_format"),
        ({"null_text": "NA", "format": "parquet"}, "params.null_text", "wrong_format"),
        ({"null_text": 'a"b'}, "params.null_text", "bad_null_text"),
        ({"null_text": "a;b"}, "params.null_text", "bad_null_text"),
        ({"null_text": " "}, "params.null_text", "bad_null_text"),
        ({"null_text": "\u200b"}, "params.null_text", "bad_null_text"),
        ({"null_text": "\u2060\u200d"}, "params.null_text", "bad_null_text"),
        ({"null_text": "NA\u200b"}, "params.null_text", "bad_null_text"),
        ({"null_text": "=1"}, "params.null_text", "bad_null_text"),
        ({"null_text": "'x"}, "params.null_text", "bad_null_text"),
        ({"null_text": "x" * 51}, "params.null_text", "bad_null_text"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(params: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        selected(**params)
    assert [(error.field, error.code) for error in refused.value.errors] == [(field, code)]


@pytest.mark.parametrize("null_text", ["NA", "-", "--", "-99", "NULL", "n/a", "\\N", "0"])
def test_usual_texts_for_a_missing_value_are_taken(null_text: str) -> None:
    assert selected(null_text=null_text, bom=False, delimiter=None).style.null_text == null_text


def test_a_zone_that_is_nearly_right_is_named() -> None:
    assert "Asia/Kolkata" in zones.nearest("asia/kolkatta")


CROPS = {"crops": ("rice", "wheat")}


def test_each_choice_is_a_column_and_the_answer_stays_whole() -> None:
    found = [["rice"], ["wheat", "rice"], [], None, "wheat", "rice wheat", ["maize", "rice"], {"a": 1}, [["rice"]]]
    stored = [{"name": "x", "crops": value} for value in found]
    selection = split(selected(), CROPS)
    made = list(csv.DictReader(io.StringIO(text(stored, selection), newline="")))
    assert list(made[0]) == ["name", "age", "at", "born_on", "crops", "crops/rice", "crops/wheat"]
    rice = ["true", "true", "", "", "false", "true", "true", "false", "false"]
    assert [row["crops/rice"] for row in made] == rice
    assert [row["crops/wheat"] for row in made][:6] == ["false", "true", "", "", "true", "true"]
    assert made[6]["crops"] == '["maize","rice"]'
    assert rendered(stored, selection).choices_left_out == {"crops": 3}


PLACES = {"crops": ("New Delhi", "Delhi", "Pune", "New")}


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        ("New Delhi", {"New Delhi"}),
        ("Pune New Delhi", {"Pune", "New Delhi"}),
        ("Delhi New", {"Delhi", "New"}),
        ("New Delhi Delhi", {"New Delhi", "Delhi"}),
        (["Delhi", "New Delhi"], {"New Delhi", "Delhi"}),
        ("Old Delhi", {"Delhi"}),
        (["", "Pune"], {"Pune"}),
        ("", None),
        (" ", None),
        ([], None),
        (["", " "], None),
    ],
)
def test_a_text_is_cut_into_the_longest_choices(answer: Any, taken: set[str] | None) -> None:
    selection = split(selected(), PLACES)
    (row,) = csv.DictReader(io.StringIO(text([{"crops": answer}], selection), newline=""))
    found = {choice: row[f"crops/{choice}"] for choice in PLACES["crops"]}
    assert found == {
        choice: "" if taken is None else str(choice in taken).lower() for choice in PLACES["crops"]
    }  # fmt: skip
    left_out = rendered([{"crops": answer}], selection).choices_left_out
    assert left_out == ({"crops": 1} if answer == "Old Delhi" else {})


def test_a_blank_choice_is_no_column() -> None:
    assert choices_of(["", " ", "rice", 3, True, None, {}]) == ["rice", "3", "true"]


def test_choices_are_columns_of_json_lines_and_parquet_too() -> None:
    stored = [{"crops": ["rice"]}, {}]
    lines = rendered(stored, split(selected(format="jsonl", columns=["crops"]), CROPS)).data.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"crops": ["rice"], "crops/rice": True, "crops/wheat": False},
        {"crops": None, "crops/rice": None, "crops/wheat": None},
    ]
    table = pq.read_table(pa.BufferReader(rendered(stored, split(selected(format="parquet"), CROPS)).data))
    assert table["crops/rice"].to_pylist() == [True, None]


def test_two_columns_of_one_name_are_refused() -> None:
    of = form(**{"crops": FieldType.JSON, "crops/rice": FieldType.STRING})
    with pytest.raises(InvalidInput) as refused:
        split(selected(of), CROPS)
    assert refused.value.errors[0].field == "params.split_multiple"


names = st.sampled_from(("name", "age", "caste", "a.b", "$x", "_id", "org_id", "é", "submitted_at"))
values = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3) | st.integers(0, 9)


@given(st.lists(st.dictionaries(names, values, max_size=6), max_size=12))
def test_fields_that_the_form_has_no_more_are_counted(found: list[dict[str, Any]]) -> None:
    made = rendered(found, selected(form(name=FieldType.STRING, age=FieldType.INTEGER)))
    expected: dict[str, int] = {}
    for document in found:
        for name in ("caste", "a.b", "$x", "é"):
            if document.get(name) is not None:
                expected[name] = expected.get(name, 0) + 1
    assert made.left_out == expected


def test_of_chosen_columns_nothing_is_left_out_unasked() -> None:
    assert rendered([{"name": "x", "caste": "y"}], selected(columns=["name"])).left_out == {}
