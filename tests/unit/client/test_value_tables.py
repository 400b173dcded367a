"""Tables of values come back from a spreadsheet in many forms, and mean the same."""

import codecs
import csv
import io
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.client.cli import value_tables
from collect.client.cli.file_options import Values
from collect.client.cli.value_tables import NotATable

TABLE = 'column,code,value,count,replacement\ndistrict,not_in_values,Puna,7,Pune\nage,not_an_integer,"1,5",2,1\n'
PLAIN = "Puna,Pune\nNasik,Nashik\n"
PAIRS = {"district": {"Puna": "Pune", "Nasik": "Nashik"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "values.csv"


def read(path: Path, data: str | bytes, column: str | None = None) -> dict[str, dict[str, Any]]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return value_tables.read(path, column=column)[0]


@pytest.mark.parametrize(
    "data",
    [
        PLAIN, PLAIN.replace("\n", "\r\n"), PLAIN.replace(",", ";"), PLAIN.replace(",", "\t"), "bad,good\n" + PLAIN,
        "From,To\n" + PLAIN, codecs.BOM_UTF8 + PLAIN.encode(), PLAIN.replace(",", "\t").encode("utf-16"),
        "sep=;\n" + PLAIN.replace(",", ";"), PLAIN.replace("\n", ",,\n") + ",,\n", "value,replacement\n" + PLAIN,
        "replacement;value\nPune;Puna\nNashik;Nasik\n", '"Puna","Pune"\n"Nasik","Nashik"\n',
    ],
)  # fmt: skip
def test_two_columns_are_the_bad_and_the_good_values(path: Path, data: str | bytes) -> None:
    assert read(path, data, "district") == PAIRS


def test_a_summary_is_a_table_of_several_columns_or_of_the_one_that_is_asked_for(path: Path) -> None:
    assert read(path, TABLE) == {"district": {"Puna": "Pune"}, "age": {"1,5": "1"}}
    assert read(path, TABLE.replace(",", ";").replace("1;5", "1,5"), "age") == {"age": {"1,5": "1"}}


def test_lines_without_a_replacement_are_left_out_and_counted(path: Path) -> None:
    path.write_text("column,value,replacement\na,x,\na,y,z\na,w\n")
    assert value_tables.read(path, column=None) == ({"a": {"y": "z"}}, 2)


@pytest.mark.parametrize(
    ("data", "column", "says"),
    [
        ("a,b,c\n", "district", "more than two cells"),
        ("", "district", "empty"),
        (PLAIN, None, "COLUMN=FILE"),
        ("value,replacement\nx,y\n", None, "COLUMN=FILE"),
        ("Puna,Pune\nPuna,Poona\n", "district", "two replacements"),
        (b"Puna,P\xfcne\n", "district", "not UTF-8"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(
    path: Path, data: str | bytes, column: str | None, says: str
) -> None:
    with pytest.raises(NotATable, match=says):
        read(path, data, column)


def test_values_are_typed_as_a_table_of_a_column_as_a_table_or_as_json(path: Path, tmp_path: Path) -> None:
    path.write_text(PLAIN)
    assert Values().convert(f"district={path}", None, None) == PAIRS
    assert Values().convert('{"district": {"x": null}}', None, None) == {"district": {"x": None}}
    whole = tmp_path / "map.json"
    whole.write_text('{"district": {"x": "y"}, "age": {"k": 1}}')
    assert Values().convert(str(whole), None, None) == {"district": {"x": "y"}, "age": {"k": 1}}
    assert Values().convert(f"age={whole}", None, None) == {"age": {"k": 1}}
    for wrong in ("{", "[]", '{"a": 1}', "district=nowhere.csv", "nowhere.csv", str(path)):
        with pytest.raises(click.BadParameter):
            Values().convert(wrong, None, None)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)


@given(pairs=st.dictionaries(cells, cells, min_size=1, max_size=5), delimiter=st.sampled_from(",;\t|"))
@settings(max_examples=200)
def test_any_values_come_back_from_a_filled_in_summary(
    tmp_path_factory: pytest.TempPathFactory, pairs: dict[str, str], delimiter: str
) -> None:
    written = io.StringIO()
    lines = [["district", "x", bad, "1", good] for bad, good in pairs.items()]
    csv.writer(written, delimiter=delimiter).writerows([["column", "code", "value", "count", "replacement"], *lines])
    path = tmp_path_factory.mktemp("table") / "values.csv"
    assert read(path, written.getvalue()) == {"district": pairs}
