"""Corrected rows: their numbers, the names of their columns, and their text."""

import csv
import io
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.csv import corrections, layout
from collect.csv.corrections import Given, Sheet
from collect.csv.grammar import Grammar
from collect.csv.layout import REJECT_COLUMNS
from collect.errors import InvalidInput, TooLarge
from collect.jobs.template import Template
from support.in_memory import MemoryBlobs

TEMPLATE = Template.model_validate(
    {"key": ["k"], "columns": [{"name": name, "type": "string"} for name in ("k", "n", "row")]}
)
SHEET = Sheet(headers=("k", "Number", "note"), columns=("k", "n", None), delimiter=",")
SWAPPED = Sheet(headers=("k", "n"), columns=("n", "k"), delimiter=",")
MOST_BYTES = 10_000
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


def read(text: str | bytes, sheet: Sheet = SHEET, most_bytes: int = MOST_BYTES) -> dict[int, dict[int, str]]:
    data = text.encode() if isinstance(text, str) else text
    found = corrections.from_csv(MemoryBlobs({"c": data}), "c", sheet=sheet, template=TEMPLATE, most_bytes=most_bytes)
    return {one.row: dict(one.cells) for one in found}


def codes(ask: Any, *asked: Any, **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refused:
        ask(*asked, **options)
    return [(error.field, error.code) for error in refused.value.errors]


def test_values_are_called_as_in_the_template_and_where_it_has_no_such_name_as_in_the_file() -> None:
    given = corrections.from_values([(7, {"n": "1", "note": "x"}), (3, {"Number": "2"})], SHEET)
    assert given == [Given(row=3, cells={1: "2"}), Given(row=7, cells={1: "1", 2: "x"})]


def test_of_two_columns_that_were_exchanged_json_means_the_template_and_csv_the_file() -> None:
    assert corrections.from_values([(1, {"k": "x"})], SWAPPED) == [Given(row=1, cells={1: "x"})]
    assert read("row,k\n1,x\n", SWAPPED) == {1: {0: "x"}}


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([(1, {"x": "1"})], [("x", "unknown_column")]),
        ([(1, {"n": "1", "Number": "2"})], [("Number", "duplicate_column")]),
        ([(1, {"n": "1"}), (1, {"n": "2"})], [("1", "duplicate_row")]),
        ([], [("rows", "no_rows")]),
    ],
)
def test_what_is_wrong_with_values_is_said(rows: list[tuple[int, dict[str, str]]], wrong: list[Any]) -> None:
    assert codes(corrections.from_values, rows, SHEET) == wrong


def test_a_file_of_rejects_is_read_as_it_is_given_out() -> None:
    tail = ",".join(REJECT_COLUMNS)
    text = f"k,Number,note,{tail}\na,1,,7,not_an_integer,n,It is none.\nb,2,x,3,,,\n"
    assert read(text) == {7: {0: "a", 1: "1", 2: ""}, 3: {0: "b", 1: "2", 2: "x"}}
    assert read("\ufeff" + text.replace(",", ";").replace("\n", "\r\n")) == read(text)


def test_columns_may_be_moved_or_missing_and_then_stay_as_they_are() -> None:
    assert read("row,n\n4,5\n") == {4: {1: "5"}}
    assert read("message,Number,row\nwrong,5,4\n") == {4: {1: "5"}}


def test_a_column_of_the_file_that_is_called_row_is_told_from_the_rows_number() -> None:
    own = Sheet(headers=("k", "row"), columns=("k", "row"), delimiter=",")
    assert read(f"k,row,{','.join(REJECT_COLUMNS)}\na,9,3,,,\n", own) == {3: {0: "a", 1: "9"}}
    assert codes(read, "k,row\na,3\n", own) == [("row", "missing_column")]


def test_a_line_in_which_nothing_stands_is_passed_over() -> None:
    assert read("k,Number,note,row,code,field,message\na,1,,2,,,\n,,,,more_not_stored,,7 more\n") == {
        2: {0: "a", 1: "1", 2: ""}
    }


GIVEN_OUT = "k,Number,note,row,code,field,message\na b,1,,7,not_an_integer,n,It is none.\né,2,x,3,,,\n"
MEANT = {7: {0: "a b", 1: "1", 2: ""}, 3: {0: "é", 1: "2", 2: "x"}}


def saved(lines: list[list[str]], *, delimiter: str, newline: str, quoted: bool, sep_line: bool) -> str:
    text = io.StringIO()
    quoting: Any = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(lines)
    return (f"sep={delimiter}{newline}" if sep_line else "") + text.getvalue()


@given(
    delimiter=st.sampled_from(layout.DELIMITERS),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoted=st.booleans(),
    sep_line=st.booleans(),
    empty_columns=st.integers(0, 3),
    blank_lines=st.integers(0, 3),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    numbers=st.sampled_from(["{}", "{}.0", " {} ", "0{}"]),
    without_message=st.booleans(),
)
@settings(max_examples=200)
def test_what_a_spreadsheet_does_to_a_file_on_the_way_does_no_harm(
    delimiter: str, newline: str, quoted: bool, sep_line: bool, empty_columns: int, blank_lines: int, encoding: str,
    numbers: str, without_message: bool,
) -> None:  # fmt: skip
    header, *rows = csv.reader(io.StringIO(GIVEN_OUT))
    rows = [[*row[:3], numbers.format(row[3]), *row[4 : 5 if without_message else 7]] for row in rows]
    blanks = [[""] * len(header)] * blank_lines
    lines = [line if without_message else [*line, *[""] * empty_columns] for line in (header, *rows, *blanks)]
    text = saved(lines, delimiter=delimiter, newline=newline, quoted=quoted, sep_line=sep_line)
    assert read(text.encode(encoding)) == MEANT


@pytest.mark.parametrize("cell", ["x", " x"])
def test_a_surplus_cell_in_which_something_stands_is_no_harmless_one(cell: str) -> None:
    assert codes(read, f"row,k\n1,a,{cell}\n") == [("", "wrong_number_of_cells")]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("k,Number\na,1\n", [("row", "missing_column")]),
        ("row,k,k\n1,a,b\n", [("k", "duplicate_column")]),
        ("row,k,what\n1,a,b\n", [("what", "unknown_column")]),
        ("row,k\nx,a\n,b\n0,c\n1.5,d\n1.0.0,e\n.0,f\n", [("row", "not_a_row")] * 6),
        ("row,k\n１,a\n", [("row", "not_a_row")]),
        (f"row,k\n{10**15},a\n", [("row", "not_a_row")]),
        ("row,k\n1,a\n1,b\n", [("1", "duplicate_row")]),
        ("row,k\n1,a,b\n2\n", [("", "wrong_number_of_cells")] * 2),
        ("row,k\n", [("rows", "no_rows")]),
    ],
)
def test_what_is_wrong_with_a_csv_is_said(text: str, wrong: list[Any]) -> None:
    assert codes(read, text) == wrong


@pytest.mark.parametrize("data", [b"", b'row,k\n1,"a\n', b"PK\x03\x04", b"row,k\n1,\xff\n", b"row,k\r1,a\r"])
def test_what_is_no_csv_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(data)


def test_text_after_a_closing_quote_is_an_error_that_names_the_line() -> None:
    with pytest.raises(InvalidInput) as refused:
        read('row,k,n\n3,a,1\n4,"b"x,2\n\n5,"c "d" e",3\n')
    assert [error.code for error in refused.value.errors] == ["text_after_quote", "text_after_quote"]
    assert "opens in line 3, column 2, before 'b\"x,2', is closed in line 3, and 'x,2' follows" in refused.value.detail
    assert "in line 5" in refused.value.detail
    with pytest.raises(InvalidInput, match=r"opens in line 2, column 2, .* is closed in line 3, and 'c,2'") as refused:
        read('row,k,n\n3,"a,1\n4,"c,2\n')
    assert refused.value.code == "text_after_quote"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("row,k\n1,a\n,b\n", "Line 3: '' is no number of a row."),
        ("\ufeffsep=,\nrow,k\n\n\n1,a\nx,b\n", "Line 6: 'x' is no number of a row."),
        ('row,k\n1,"a\n\nb"\n2,c,d\n', "Line 5 has 3 cells; the header has 2."),
        ('row,k\n1,a\n\n2,"b\n', "opens in line 4, column 2, before 'b"),
        ("row,k\n1,a\r2,b\n", "line 2: A carriage return"),
    ],
)
def test_errors_name_the_line_of_the_file_with_its_header_counted(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(text)
    assert said in refused.value.detail


def test_lines_that_are_skipped_are_counted_too() -> None:
    blobs = MemoryBlobs({"c": b"Title\n\nrow,k\n,a\n"})
    with pytest.raises(InvalidInput, match="Line 4: '' is no number"):
        corrections.from_csv(blobs, "c", sheet=SHEET, template=TEMPLATE, skip_lines=2, most_bytes=MOST_BYTES)


@pytest.mark.parametrize("header", ["Row,k", " ROW ,k", "k,Number,note, Row,CODE,Field ,Message"])
def test_the_column_row_is_known_in_any_case_and_with_blanks(header: str) -> None:
    line = "7,a" if header.endswith("k") else "a,1,x,7,c,f,m"
    assert read(f"{header}\n{line}\n")[7][0] == "a"


def test_a_header_without_one_column_row_is_named() -> None:
    with pytest.raises(InvalidInput, match="The header has: 'k', 'line'"):
        read("k,line\na,1\n")
    with pytest.raises(InvalidInput, match=r"Several columns .*: 'row', 'Row'\. Keep one"):
        read("k,row,Row\na,1,2\n")


def test_lines_above_the_header_are_named() -> None:
    with pytest.raises(InvalidInput, match="remove the first 2 lines or set skip_lines to 2") as refused:
        read("Rejects of the north\n\nrow,k,n\n3,a,1\n")
    assert refused.value.code == "unknown_column"


def test_more_rows_or_bytes_than_are_put_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge):
        read("row,k\n1,aaaaaaaaaaaaaaaa\n", most_bytes=10)
    monkeypatch.setattr(corrections, "MOST_ROWS", 2)
    assert codes(read, "row,k\n1,a\n2,b\n3,c\n4,d\n") == [("rows", "too_many_rows")]


def test_only_the_first_errors_are_told_and_all_are_counted() -> None:
    rows = [(n, {"x": "1"}) for n in range(1, 100)]
    with pytest.raises(InvalidInput, match="And 79 more") as refused:
        corrections.from_values(rows, SHEET)
    assert len(refused.value.errors) == 20


def test_a_row_keeps_the_cells_that_are_not_given() -> None:
    given = [Given(row=2, cells={1: "5"}), Given(row=9, cells={0: 'b "x"', 2: "c,d"})]
    lines = {2: 'a,"x, y",z', 9: "b,1,"}
    assert corrections.text_of(given, lines, SHEET, lacking={}) == b'a,5,z\n"b ""x""",1,"c,d"\n'


def test_a_row_with_another_number_of_cells_needs_all_of_its_columns() -> None:
    lines = {1: "a,1,x,y"}
    with pytest.raises(InvalidInput, match="give all of its columns") as refused:
        corrections.text_of([Given(row=1, cells={1: "5"})], lines, SHEET, lacking={})
    assert refused.value.code == "incomplete_row"
    assert corrections.text_of([Given(row=1, cells={0: "a", 1: "5"})], lines, SHEET, lacking={}) == b"a,5,\n"


def shown(line: str) -> Given:
    """The row as a file of rejects shows it, sent back as it is."""
    return Given(row=1, cells=dict(enumerate(SHEET.shown(SHEET.parsed(line)))), is_line=True)


@pytest.mark.parametrize(
    ("line", "read_again"), [("a,1,x,y", "a,1,x"), ("a", "a,,"), ("a,1", "a,1,"), ('"a""b', '"a""b",,')]
)
def test_a_line_of_another_number_of_cells_that_comes_back_untouched_is_read_as_it_was_shown(
    line: str, read_again: str
) -> None:
    assert corrections.text_of([shown(line)], {1: line}, SHEET, lacking={}) == f"{read_again}\n".encode()


def test_of_a_row_that_was_cut_a_cell_that_the_file_does_not_send_back_stays() -> None:
    back = Given(row=1, cells={0: "a", 1: "5"}, is_line=True)
    assert corrections.text_of([back], {1: "a,1,x,y"}, SHEET, lacking={}) == b"a,5,x\n"


@given(own=st.lists(cells, max_size=6), delimiter=st.sampled_from(layout.DELIMITERS))
def test_any_row_that_comes_back_as_it_was_shown_has_the_cells_that_were_shown(own: list[str], delimiter: str) -> None:
    sheet = Sheet(headers=("k", "Number", "note"), columns=("k", "n", None), delimiter=delimiter)
    line = corrections.record(own, delimiter)
    back = Given(row=1, cells=dict(enumerate(sheet.shown(layout.parse(line.encode(), delimiter)))), is_line=True)
    text = corrections.text_of([back], {1: line}, sheet, lacking={})
    assert layout.parse(text.removesuffix(b"\n"), delimiter) == [*own, "", "", ""][:3]


@pytest.mark.parametrize(
    ("given", "is_said"),
    [
        (Given(row=1, cells={0: "a", 1: "", 2: "x"}, is_line=True), False),
        (Given(row=1, cells={0: "a", 1: "5", 2: "x"}, is_line=True), True),
        (Given(row=1, cells={0: "b"}), False),
        (Given(row=1, cells={1: ""}), True),
    ],
)
def test_a_cell_that_a_moved_column_does_not_have_has_to_be_given(given: Given, is_said: bool) -> None:
    lines, lacking = {1: "a,,x"}, {1: [SHEET.columns[1] or ""]}
    if is_said:
        assert corrections.text_of([given], lines, SHEET, lacking=lacking)
    else:
        with pytest.raises(InvalidInput, match="since that was moved: give one"):
            corrections.text_of([given], lines, SHEET, lacking=lacking)


def test_a_row_and_its_correction_fit_into_its_history_together() -> None:
    line = f"a,1,{'x' * (8 * 1024 * 1024 - 100)}"
    with pytest.raises(InvalidInput, match="together"):
        corrections.text_of([Given(row=1, cells={1: "5"})], {1: line}, SHEET, lacking={})


@given(own=st.lists(cells, min_size=1, max_size=4), data=st.data(), delimiter=st.sampled_from(layout.DELIMITERS))
@settings(max_examples=200)
def test_what_is_put_together_is_read_as_it_was_meant(own: list[str], data: st.DataObject, delimiter: str) -> None:
    names = tuple(f"c{place}" for place in range(len(own)))
    sheet = Sheet(headers=names, columns=names, delimiter=delimiter)
    changes: Mapping[int, str] = data.draw(st.dictionaries(st.integers(0, len(own) - 1), cells))
    text = corrections.text_of(
        [Given(row=1, cells=changes)], {1: corrections.record(own, delimiter)}, sheet, lacking={}
    )
    (record,) = Grammar(delimiter, strict=False, every_line=True).split(text, final=True).lines
    assert layout.parse(record, delimiter) == [changes.get(place, cell) for place, cell in enumerate(own)]


def test_a_delimiter_and_lines_above_the_header_may_be_said() -> None:
    data = "Rejects of May\nrow|k\n1|a,b\n"
    found = corrections.from_csv(
        MemoryBlobs({"c": data.encode()}), "c", sheet=SHEET, template=TEMPLATE, delimiter="|", skip_lines=1,
        most_bytes=MOST_BYTES,
    )  # fmt: skip
    assert [(one.row, dict(one.cells)) for one in found] == [(1, {0: "a,b"})]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_without_a_header_the_delimiter_is_that_which_makes_the_columns_of_a_file_of_rejects(delimiter: str) -> None:
    rows = [["a", "x, y, z, 1, 2, 3, 4", "", "3", "required", "k", "Say, what"], ["b", "", "", "4", "", "", ""]]
    text = "".join(corrections.record(row, delimiter) + "\n" for row in rows)
    data = MemoryBlobs({"c": text.encode()})
    given = corrections.from_csv(data, "c", sheet=SHEET, template=TEMPLATE, has_header=False, most_bytes=MOST_BYTES)
    assert [(one.row, one.cells[0], one.cells[1]) for one in given] == [(3, "a", rows[0][1]), (4, "b", "")]


def test_columns_without_a_name_keep_their_places() -> None:
    sheet = Sheet(headers=("k", "", "n", ""), columns=("k", None, "n", None), delimiter=",")
    assert read("k,,n,,row,code,field,message\na,,1,!,3,unnamed_column,,x\n", sheet) == {
        3: {0: "a", 1: "", 2: "1", 3: "!"}
    }
