"""Files without a header, headers with blanks or gaps, and rows with another number of cells than the file."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.checks.preview import CsvPreview, preview
from collect.csv import unseen
from collect.jobs.template import Template
from support.in_memory import MemoryBlobs
from support.texts import LINES, look, read

STREETS = b"A;Main st, 5;Smith, J\nB;High st, 7;Brown, P\n"
TEXTS = Template.model_validate(
    {"key": ["k"], "columns": [{"name": name, "type": "string"} for name in ("k", "a", "b")]}
)


def texts_of(data: bytes, **params: Any) -> tuple[list[tuple[str, ...]], CsvPreview]:
    """Return the first rows of a file of three texts, and its preview."""
    seen = preview(MemoryBlobs({"f": data}), "f", template=TEXTS, params=params)
    return [tuple(row.values()) for row in seen.first_rows], seen


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_without_a_header_the_delimiter_is_found_by_several_rows(delimiter: str) -> None:
    data = b"A;Main st, 5;Smith, J\nB;High st;Brown\nC;x;y, z\n".replace(b";", delimiter.encode())
    rows, seen = texts_of(data, has_header=False)
    assert (seen.errors, seen.delimiter) == ((), delimiter)
    assert rows[0] == ("A", "Main st, 5", "Smith, J")


@pytest.mark.parametrize(
    "data",
    [
        STREETS,
        STREETS.replace(b";", b"|"),
        STREETS.replace(b";", b"\t"),
        b"1;1,5;2,5\n",
        b"A;Main st, 5, Berlin\nB;High st, 7, Bonn\n",
        b"A;Main st, 5;x, y;z\nB;High st, 7;x, y;z\n",
    ],
)
def test_two_delimiters_that_may_be_meant_are_refused(data: bytes) -> None:
    _, seen = texts_of(data, has_header=False)
    assert [error.code for error in seen.errors] == ["unknown_delimiter"]
    assert "Set delimiter" in seen.errors[0].message


@pytest.mark.parametrize("given", [{"delimiter": ";"}, {"decimal": ","}])
def test_a_given_delimiter_or_a_decimal_comma_decides(given: dict[str, Any]) -> None:
    rows, seen = texts_of(b"1;1,5;2,5\n2;3,5;4,5\n", has_header=False, **given)
    assert (seen.errors, rows[0]) == ((), ("1", "1,5", "2,5"))


def test_a_comma_that_is_the_only_one_to_fit_is_taken_though_decimals_have_it_too() -> None:
    rows, seen = texts_of(b'1,"1,5",x\n2,"3,5",y\n', has_header=False, decimal=",")
    assert (seen.errors, rows[0]) == ((), ("1", "1,5", "x"))


def test_one_row_with_another_number_of_cells_does_not_change_the_delimiter() -> None:
    _, seen = texts_of(b"1;a;b\n2;a\n3;a;b\n", has_header=False)
    assert (seen.delimiter, seen.rejects.rejected_rows) == (";", 1)


def test_a_row_that_is_noticed_as_such_is_cut_by_the_delimiter_that_fits() -> None:
    seen = look(b"a;1;x, y, z, w\nb;2;y\n")
    assert (seen.errors, seen.delimiter, seen.has_header) == ((), ";", False)


def test_a_file_of_two_columns_is_never_read_into_one() -> None:
    template = Template.model_validate({"key": ["k"], "columns": [{"name": "k", "type": "string"}]})
    seen = preview(MemoryBlobs({"f": b"1,x\n2,y\n"}), "f", template=template, params={"has_header": False})
    assert [error.code for error in seen.errors] == ["wrong_number_of_columns"]


@pytest.mark.parametrize("header", [b" k, n,s \n", b"\xc2\xa0k,n\t, s\n"])
def test_trim_reaches_the_names_of_columns(header: bytes) -> None:
    assert look(header + b"a, 1 , x\n", trim=True).errors == ()
    errors = look(header + b"a,1,x\n").errors
    assert "Set trim to true" in errors[0].message


def test_a_name_that_column_map_has_with_its_blanks_is_left_as_it_is() -> None:
    seen = look(b"k,n, s\na,1,x\n", trim=True, column_map={" s": "s"})
    assert (seen.errors, [column.header for column in seen.columns]) == ((), ["k", "n", " s"])


def test_names_that_are_the_same_without_blanks_are_two_of_one_column() -> None:
    assert [error.code for error in look(b"k,n,s, s\na,1,x,y\n", trim=True).errors] == ["duplicate_column"]


@pytest.mark.parametrize(
    ("line", "says", "says_not"),
    [
        (b"1;2;y", ["has 1 cell;", "a semicolon between its cells", "Write it with a comma"], "line break"),
        (b"Total: 1", ["has 1 cell;", "a total or a note"], "semicolon"),
        (b'c,"x\ny"', ["has 2 cells;", "holds a line break, in quotes"], "must be in quotes"),
        (b"c,3", ["has 2 cells;", "A cell that holds a line break must be in quotes"], "total"),
        (b"c,3,x,y", ["has 4 cells;", "left out: 'y'."], "line break"),
    ],
)
def test_a_row_with_a_wrong_number_of_cells_says_what_it_may_be(line: bytes, says: list[str], says_not: str) -> None:
    _, rejects = read(LINES + line + b"\n")
    message = rejects[0].errors[0].message
    assert all(part in message for part in says), message
    assert says_not not in message


@pytest.mark.parametrize("lines", [1, 2, 1_000])
@pytest.mark.parametrize("tail", [b",\xc2\xa0", b',"\t"', b', ,"",\xe2\x80\x8b', b","])
def test_cells_behind_that_show_nothing_do_no_harm_however_many_rows_have_them(tail: bytes, lines: int) -> None:
    data = b"k,n,s\n" + b"".join(b"a%d,1,x" % row + tail * (row % 3 == 0) + b"\n" for row in range(lines))
    rows, rejects = read(data)
    assert (len(rows), rejects) == (lines, ())


@given(st.lists(st.sampled_from(["", " ", "\u200b", "\t", '"', "x", ",", "\n"]), max_size=4), st.integers(0, 6))
def test_cells_behind_are_judged_alike_in_any_company(tail: list[str], others: int) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(["a", "1", "x", *tail])
    data = b"k,n,s\n" + b"b,2,y, \n" * others + text.getvalue().encode() + b"b,2,y\n" * others
    rows, _ = read(data)
    assert (others + 1 in rows) == all(map(unseen.shows_nothing, tail))
