"""What the lines of a file are made of: ends, quotes, lengths, and rows that are too short or too long."""

import csv
import gzip
import io
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from integration.files.desk import Desk, peak_bytes, reset_peak

MIB = 1024 * 1024
HEADER = b"k,n,s\n"
ROWS = b"a,1,x\nb,2,y\n"
NO_ROWS = "The file has a header and no rows: nothing follows 'k,n,s'. If that is a row, set has_header to false."
HEADER_TOO_LONG = (
    "The first line, which is to be the header, does not end within 1 MiB. It begins with "
    f"'{'z' * 100}…'. Is a line end missing, or a quote not closed?"
)
BOTH = {"a": {"k": "a", "n": 1, "s": "x"}, "b": {"k": "b", "n": 2, "s": "y"}}


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"", "empty_file", ["The file is empty"]),
        (b" \r\n\n\n", "empty_file", ["The file is empty"]),
        (b"\xef\xbb\xbf", "empty_file", ["The file is empty"]),
        (HEADER, "no_rows", [NO_ROWS]),
        (HEADER.strip() + b"\r\n\r\n", "no_rows", [NO_ROWS]),
    ],
)
def test_a_file_without_rows_is_refused(desk: Desk, data: bytes, code: str, says: list[str]) -> None:
    outcome = desk.refused(data)
    assert outcome.code == code
    assert all(words in outcome.sentence for words in says)


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (
            (HEADER + ROWS).replace(b"\n", b"\r"),
            "lone_carriage_return",
            ["(the header)", "carriage returns (CR) alone"],
        ),
        (HEADER + ROWS + b"c\rd,3,z\n", "lone_carriage_return", ["(row 3)", "carriage return (CR)", "in quotes"]),
        (
            HEADER + ROWS + b'c,3,"z\n' + ROWS * 9,
            "unclosed_quote",
            ["row 3, column 3, before 'z\\na,1,x", "never closed"],
        ),
        (HEADER + b'"' + ROWS, "unclosed_quote", ["row 1, column 1, before 'a,1,x", "never closed"]),
        (b'k,n,"s\n' + ROWS, "unclosed_quote", ["the header, column 3, before 's", "never closed"]),
        (HEADER + b'"a,x",1,"z\n' + ROWS, "unclosed_quote", ["row 1, column 3, before 'z", "never closed"]),
        (HEADER + ROWS + b"c,3," + b"z" * 20 * MIB + b"\n", "row_too_long", ["row 3", "8 MiB"]),
        (HEADER + ROWS + b'c,3,"' + b"z" * 20 * MIB + b'"\n', "unclosed_quote", ["row 3", "within 8 MiB"]),
        (b"z" * 3 * MIB, "header_too_long", [HEADER_TOO_LONG]),
        (b'"z' + b",z" * 2 * MIB, "header_too_long", ["a quote not closed"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_cut_into_rows_is_refused_with_the_row_where_it_goes_wrong(
    desk: Desk, data: bytes, code: str, says: list[str]
) -> None:
    outcome = desk.refused(data)
    assert outcome.code == code
    assert [words for words in says if words not in outcome.sentence] == []
    assert outcome.job.reason is not None
    left = None if outcome.job.reason.where == "the header" else data
    assert desk.unprocessed_bytes(outcome.job.id) == left


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + HEADER + ROWS,
        b"\xef\xbb\xbf" + b'"k","n","s"\n' + ROWS,
        (HEADER + ROWS).replace(b"\n", b"\r\n"),
        HEADER + b"\n\r\n" + ROWS.replace(b"\n", b"\n\n\n"),
        (HEADER + ROWS).rstrip(b"\n"),
    ],
)
def test_marks_and_line_ends_make_no_difference(desk: Desk, data: bytes) -> None:
    outcome = desk.run(data)
    assert (outcome.state, outcome.rows) == ("succeeded", BOTH)
    assert outcome.numbers == {"a": 1, "b": 2}


def test_quoted_cells_are_as_csv_reads_them_and_others_as_they_stand(desk: Desk) -> None:
    data = (
        b'k,n,s\r\n"a",1,"one\r\ntwo\nthree\rfour"\r\nb,2,5" pipe\r\nc,3,"he said ""no"", twice"\r\n'
        b'd,4,""""\r\ne,5, "not opened"\r\n'
    )
    outcome = desk.run(data)
    _, *expected = csv.reader(io.StringIO(data.decode(), newline=""))
    assert outcome.state == "succeeded"
    assert {key: row["s"] for key, row in outcome.rows.items()} == {key: s for key, _, s in expected}
    assert outcome.numbers == {key: number for number, (key, _, _) in enumerate(expected, start=1)}


@pytest.mark.parametrize(
    ("dress", "params"),
    [
        (lambda text: text.encode(), {}),
        (lambda text: text.removesuffix("\n").replace("\n", "\r\n").encode("utf-8-sig"), {}),
        (lambda text: text.removeprefix("k,n,s\n").encode(), {"has_header": False}),
        (lambda text: ("sep=;\n" + text.replace(",", ";")).encode("cp1252"), {"encoding": "cp1252"}),
        (lambda text: text.encode("utf-16"), {"encoding": "utf-16"}),
        (lambda text: gzip.compress(text.encode(), 1), {}),
    ],
    ids=["plain", "marked", "without header", "for Excel", "utf-16", "gzip"],
)
@pytest.mark.parametrize("at", [100, 20_000])
def test_a_job_that_pauses_in_the_middle_has_written_rejected_or_left_each_row(
    desk: Desk, dress: Callable[[str], bytes], params: dict[str, Any], at: int
) -> None:
    """Some parts, of rows with line breaks, with empty lines between them."""
    bad = range(at, at + 200)
    lines = [f'k{row},{"x" if row in bad else row},"{"é" * 150}\n{row}"\n' for row in range(1, 30_001)]
    text = "k,n,s\n" + "".join(line + "\n" * (row % 1_000 == 0) for row, line in enumerate(lines))
    outcome = desk.run(dress(text), max_rejected={"rows": 50}, **params)
    assert (outcome.state, outcome.job.progress.total) == ("paused", 30_000)
    assert outcome.job.progress.done < 30_000


def test_rows_that_are_too_short_or_too_long_are_rejected_alone(desk: Desk) -> None:
    outcome = desk.run(HEADER + b"a,1,x\nc,3\nd\ne,5,x,y\nf,6,one, two\n\nb,2,y\n")
    assert (outcome.state, outcome.rows) == ("succeeded", BOTH)
    assert outcome.numbers == {"a": 1, "b": 6}
    assert outcome.rejected == {
        2: ("", "wrong_number_of_cells", "c,3"),
        3: ("", "wrong_number_of_cells", "d"),
        4: ("", "wrong_number_of_cells", "e,5,x,y"),
        5: ("", "wrong_number_of_cells", "f,6,one, two"),
    }
    assert (
        outcome.said[2]
        == "The row has 2 cells; the file has 3 columns. A cell that holds a line break must be in quotes."
    )
    assert outcome.said[4] == (
        "The row has 4 cells; the file has 3 columns. A cell that holds ',' must be in quotes. Where the row is shown "
        "with the file's columns, what is behind them is left out: 'y'."
    )


def test_a_cell_of_200_kb_is_stored_and_one_of_2_mb_is_rejected_with_its_line(desk: Desk) -> None:
    stored, rejected = b"y" * 200_000, b"z" * 2 * MIB
    outcome = desk.run(HEADER + b"a,1," + stored + b"\nb,2," + rejected + b"\nc,3,x\n")
    assert outcome.state == "succeeded"
    assert {key: len(row["s"]) for key, row in outcome.rows.items()} == {"a": 200_000, "c": 1}
    assert outcome.rejected == {2: ("s", "field_too_long", f"b,2,{rejected.decode()}")}
    assert "2,097,152" in outcome.said[2]
    assert "1,048,576" in outcome.said[2]


@pytest.mark.parametrize(
    ("begin", "mebibytes", "says"),
    [
        (HEADER + b"a,1,", 1024, "row 1): The row is longer than 8 MiB"),
        (HEADER + b'a,1,"', 100, "row 1, column 3, before 'xxx"),
        (b"", 100, "does not end within 1 MiB"),
    ],
    ids=["row", "quoted", "header"],
)
def test_a_line_of_a_gigabyte_is_refused_in_flat_memory(desk: Desk, begin: bytes, mebibytes: int, says: str) -> None:
    """Neither the gateway that receives and previews it nor the slot that reads it holds more than some pieces."""
    pids = [*desk.gateway_service.children(), *desk.worker_service.children()]
    before = {pid: reset_peak(pid) for pid in pids}
    outcome = desk.refused(itertools.chain([begin], itertools.repeat(b"x" * MIB, mebibytes)))
    assert says in outcome.sentence
    grown = {pid: (peak_bytes(pid) - before[pid]) // MIB for pid in pids}
    assert max(grown.values()) < 100, grown
