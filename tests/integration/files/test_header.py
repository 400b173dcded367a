"""Headers: what a column may be called, and what is said when it is not."""

import pytest

from integration.files.desk import Desk


@pytest.mark.parametrize(
    ("header", "code", "says"),
    [
        (b"k,n,s,n", "duplicate_column", ["Columns 2 and 4 are both 'n'"]),
        (b"k,n,s,N", "unknown_column", ["Column 4, 'N'", "Column 2 is 'n' already"]),
        (b"K,n,s", "unknown_column", ["Column 1, 'K'", "Do you mean 'k'?", 'column_map to {"K": "k"}']),
        (
            b"k, n,s",
            "unknown_column",
            ["Column 2, ' n'", "Do you mean 'n'?", "Set trim to true", 'column_map to {" n": "n"}'],
        ),
        (b"k,n ,s", "unknown_column", ["Column 2, 'n '", "Do you mean 'n'?"]),
        ("k,ｎ,s".encode(), "unknown_column", ["Column 2, 'ｎ'", "Do you mean 'n'?"]),
        ("k,n\u200b,s".encode(), "unknown_column", [r"Column 2, 'n\u200b'", "Do you mean 'n'?"]),
        (b"k,n,s,$set", "unknown_column", ["Column 4, '$set'", "map it to null in column_map"]),
        (b"k,n,s,a.b", "unknown_column", ["Column 4, 'a.b'", "map it to null in column_map"]),
        (b"k,n,s,_id", "unknown_column", ["Column 4, '_id'", "map it to null in column_map"]),
        (b"k,n,s,__proto__", "unknown_column", ["Column 4, '__proto__'", "map it to null in column_map"]),
        (b"k,n,s," + b"c" * 300, "unknown_column", ["Column 4, '" + "c" * 100 + "…'"]),
        (b"s,n", "missing_column", ["Column 'k' is missing"]),
        (b"n,x,y", "unknown_column", ["Column 2, 'x'", "Column 3, 'y'", "Column 'k' is missing"]),
        (b"id,age,name", "unknown_column", ["'id,age,name'", "k, n, s", "has_header to false"]),
        (b"k!n!s", "unknown_column", ["'k!n!s'", "a comma between its cells"]),
    ],
)
def test_a_header_that_is_not_the_datasets_names_each_column_that_is_wrong(
    desk: Desk, header: bytes, code: str, says: list[str]
) -> None:
    outcome = desk.refused(header + b"\n" + b",".join([b"1"] * (header.count(b",") + 1)) + b"\n")
    assert outcome.code == code
    for words in says:
        assert words in outcome.sentence
    assert outcome.sentence.startswith("Failed (the header): ")
    assert outcome.sentence.endswith(" Nothing was written.")


def test_headers_whose_unicode_form_differs_are_told_apart_and_the_other_one_is_shown(desk: Desk) -> None:
    """é is one character in the file of one spreadsheet and two in that of another; a template's names are ASCII."""
    outcome = desk.refused("k,n,s,caf\u00e9,cafe\u0301\nа,1,x,2,3\n".encode())
    assert "Column 4, 'caf\u00e9'" in outcome.sentence
    assert "Column 5, 'cafe\u0301'" in outcome.sentence
    mapped = desk.run("k,n,caf\u00e9\na,1,x\n".encode(), column_map={"caf\u00e9": "s"})
    assert mapped.rows == {"a": {"k": "a", "n": 1, "s": "x"}}


def test_columns_in_another_order_are_found_by_their_names(desk: Desk) -> None:
    outcome = desk.run(b"s,k,n\nx,a,1\n,b,2\n")
    assert outcome.state == "succeeded"
    assert outcome.rows == {"a": {"k": "a", "n": 1, "s": "x"}, "b": {"k": "b", "n": 2, "s": None}}


def test_a_column_that_may_be_missing_is_not_missed(desk: Desk) -> None:
    outcome = desk.run(b"n,k\n1,a\n")
    assert (outcome.state, outcome.rows) == ("succeeded", {"a": {"k": "a", "n": 1}})


def test_a_column_that_is_mapped_to_null_is_left_out(desk: Desk) -> None:
    outcome = desk.run(b"k,n,$set,__proto__\na,1,x,y\n", column_map={"$set": None, "__proto__": None})
    assert (outcome.state, outcome.rows) == ("succeeded", {"a": {"k": "a", "n": 1}})


@pytest.mark.parametrize(("delimiter", "name"), [(";", "a semicolon"), ("\t", "a tab"), ("|", "a bar (|)")])
def test_another_delimiter_is_seen_and_said(desk: Desk, delimiter: str, name: str) -> None:
    data = f"k{delimiter}n{delimiter}s\na{delimiter}1{delimiter}x, y\n".encode()
    dataset = desk.new_dataset()
    seen = desk.client.jobs.preview("upload", {"file_id": desk.send(data), "dataset": dataset})
    assert seen.delimiter == delimiter
    outcome = desk.run(data, dataset=dataset)
    assert outcome.rows == {"a": {"k": "a", "n": 1, "s": "x, y"}}
    wrong = desk.refused(data, delimiter=",")
    assert f"It looks as if its cells were separated by {name}" in wrong.sentence
    assert "read with a comma between its cells" in wrong.sentence


@pytest.mark.parametrize("first", [b"sep=;", b"\xef\xbb\xbfSEP=;\r", b'"sep=;"'])
@pytest.mark.parametrize("header", [b"k;n;s\n", b""])
def test_the_first_line_that_names_the_delimiter_to_excel_is_no_row(desk: Desk, first: bytes, header: bytes) -> None:
    outcome = desk.run(first + b"\n" + header + b"a;1;x, y\nb;two;z\n", has_header=bool(header))
    assert (outcome.state, outcome.rows) == ("succeeded", {"a": {"k": "a", "n": 1, "s": "x, y"}})
    assert outcome.rejected == {2: ("n", "not_an_integer", "b;two;z")}


def test_a_delimiter_that_is_set_counts_more_than_the_one_that_excel_is_told(desk: Desk) -> None:
    outcome = desk.run(b"sep=;\nk,n,s\na,1,x\n", delimiter=",")
    assert (outcome.state, outcome.rows) == ("succeeded", {"a": {"k": "a", "n": 1, "s": "x"}})


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"sep=;", "empty_file", "The file is empty."),
        (b"sep=;\n\n", "empty_file", "The file is empty."),
        (b"sep=;\nk,n,s\na,1,x\n", "unknown_column", "separated by a comma: set delimiter to that"),
    ],
)
def test_a_file_that_is_wrong_behind_that_line_is_refused_as_any_other(
    desk: Desk, data: bytes, code: str, says: str
) -> None:
    outcome = desk.refused(data)
    assert outcome.code == code
    assert says in outcome.sentence


def test_the_rejects_of_a_file_with_semicolons_come_back_with_semicolons(desk: Desk) -> None:
    outcome = desk.run(b"k;n;s\na;1;x\nb;1,5;y\n")
    assert outcome.rejected == {2: ("n", "not_an_integer", "b;1,5;y")}
    header, row = desk.rejects_csv(outcome.job.id, delimiter=";")
    assert header == ["k", "n", "s", "row", "code", "field", "message"]
    assert row[:6] == ["b", "1,5", "y", "2", "not_an_integer", "n"]


@pytest.mark.parametrize("columns", [2_001, 100_000])
def test_a_header_of_thousands_of_columns_is_refused_with_their_number(desk: Desk, columns: int) -> None:
    header = ",".join(f"c{n}" for n in range(columns)).encode()
    outcome = desk.refused(header + b"\n" + b",".join([b"1"] * columns) + b"\n")
    assert outcome.code == "too_many_columns"
    said = f"The header has {columns:,} columns; at most 2,000 are read. Remove those that the dataset does not have."
    assert said in outcome.sentence


def test_a_row_of_a_hundred_thousand_cells_is_rejected_alone(desk: Desk) -> None:
    row = b",".join([b"1"] * 100_000)
    outcome = desk.run(b"k,n,s\na,1,x\n" + row + b"\nb,2,y\n")
    assert (outcome.state, set(outcome.rows)) == ("succeeded", {"a", "b"})
    assert outcome.rejected == {2: ("", "wrong_number_of_cells", row.decode())}
    assert "100,000 cells" in outcome.said[2]


def test_a_file_without_a_header_is_read_by_place_when_its_rows_fit(desk: Desk) -> None:
    outcome = desk.run(b"a,1,x\nb,2,y\n")
    assert outcome.rows == {"a": {"k": "a", "n": 1, "s": "x"}, "b": {"k": "b", "n": 2, "s": "y"}}
    told = desk.run(b"a,one,x\nb,2,y\n", has_header=False)
    assert (set(told.rows), told.rejected) == ({"b"}, {1: ("n", "not_an_integer", "a,one,x")})


def test_a_file_without_a_header_whose_rows_do_not_fit_is_told_how_many_columns_it_has(desk: Desk) -> None:
    outcome = desk.refused(b"a,1\nb,2\n", has_header=False)
    assert outcome.code == "wrong_number_of_columns"
    assert (
        "The file has no header and 2 columns, with a comma between its cells; the dataset has 3: k, n, s. Give it a "
        "header, or all of these in this order." in outcome.sentence
    )
