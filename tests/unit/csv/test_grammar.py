"""Planner and reader cut records exactly where Python's strict ``csv`` does, whatever the blocks."""

import csv
import io
import re
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collect.csv import layout
from collect.csv.blocks import Block, blocks
from collect.csv.grammar import Grammar, LoneCarriageReturn
from collect.csv.reading import Source, cursor, lots
from collect.errors import TaskRefused
from support.in_memory import MemoryBlobs

ROUGH = st.text(alphabet='ab",;\n"é', max_size=60)
"""Anything at all, quotes in odd places included."""


@st.composite
def csv_texts(draw: st.DrawFn) -> str:
    """What a writer would write, with newlines in cells, empty lines, and either line end."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    quotes_all = draw(st.booleans())
    # Old releases of ``csv`` leave a carriage return unquoted where they can.
    cells = st.text(alphabet='ab,"\n\ré' if quotes_all else 'ab,"\né', max_size=6)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL)
    for row in draw(st.lists(st.lists(cells, min_size=2, max_size=3), max_size=8)):
        writer.writerow(row)
        out.write(end * draw(st.integers(0, 2)))
    text = out.getvalue()
    return text.removesuffix(end) if draw(st.booleans()) else text


WIDTH = 3
GRAMMAR = Grammar(",", width=WIDTH)


def by_csv(text: str) -> list[list[str]]:
    """The rows that a strict reader gives, without those whose cells are all empty."""
    return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(row)]


def cut(text: bytes, *, piece: int, block: int, grammar: Grammar = GRAMMAR) -> list[Block]:
    pieces = (text[start : start + piece] for start in range(0, len(text), piece))
    cut_text = blocks(pieces, grammar, offset=0, first_line=1, block_bytes=block)
    return [each for each in cut_text if each is not None]


@given(text=csv_texts(), piece=st.integers(1, 30), block=st.integers(1, 30))
def test_blocks_hold_the_records_that_csv_reads(text: str, piece: int, block: int) -> None:
    check_blocks(text, piece=piece, block=block)


@given(text=ROUGH, piece=st.integers(1, 30), block=st.integers(1, 30))
@example(text='a,"b"x,c\nd,e,f', piece=3, block=3)
@example(text='a,"b\nc,d,e\nf,"g",h\n', piece=3, block=3)
def test_text_that_csv_refuses_is_refused_or_has_rejects_and_all_other_text_is_read_alike(
    text: str, piece: int, block: int
) -> None:
    try:
        by_csv(text)
    except csv.Error:
        found = outcome(text.encode(), piece=piece, block=block)
        if isinstance(found, str):
            assert found.startswith(("text_after_quote row", "unclosed_quote row"))
        else:
            assert found[1]
    else:
        check_blocks(text, piece=piece, block=block)


@given(text=ROUGH | csv_texts())
def test_each_line_is_blank_or_of_a_record_that_ends_where_csv_ends_it(text: str) -> None:
    found = outcome(text.encode(), piece=1_000, block=1_000)
    if isinstance(found, str):
        assert re.search(r"row [1-9]", found)
        return
    lines = text.count("\n") + (not text.endswith("\n") and bool(text))
    records = GRAMMAR.split(text.encode(), final=True)
    assert sum(1 + record.count(b"\n") for record in records.lines) + records.blank == lines
    for index, record in enumerate(records.lines):
        if index in records.strays:
            assert b"\n" not in record
        else:
            assert len(by_csv(record.decode())) == 1


@given(text=ROUGH | csv_texts(), piece=st.integers(1, 30), block=st.integers(1, 30), rows=st.integers(1, 4))
@example(text='a\n"b"x,c\n"d\ne"f', piece=1, block=1, rows=1)
@example(text='é,"é\r\n"é', piece=1, block=1, rows=1)
def test_any_division_of_a_text_has_the_same_outcome(text: str, piece: int, block: int, rows: int) -> None:
    data = text.encode()
    whole = outcome(data, piece=1_000, block=1_000)
    assert outcome(data, piece=piece, block=block) == whole
    if isinstance(whole, str):
        return
    source = Source(blob="f", start=0, end=len(data), first_row=1, delimiter=",", width=WIDTH)
    read: list[bytes] = []
    strays: dict[int, int | None] = {}
    at = cursor(0, 1, 1)
    while found := next(lots(MemoryBlobs({"f": data}), source, at, most_rows=lambda: rows, most_bytes=piece), None):
        strays |= {found.numbers[index]: line for index, line in found.strays.items()}
        read += found.records
        at = cursor(found.end, found.row + found.rows, found.next_line)
    assert (read, strays) == whole[:2]


def outcome(data: bytes, *, piece: int, block: int) -> tuple[list[bytes], dict[int, int | None], int] | str:
    """The records, the lines of those with text after a quote by row, and the blank lines; or why it is refused."""
    try:
        found = cut(data, piece=piece, block=block)
    except TaskRefused as refused:
        return f"{refused.code} {refused.where} {refused.detail}"
    strays: dict[int, int | None] = {}
    for each in found:
        of_block = each.records.strays if each.records else {}
        strays |= {each.first_row + index: (each.first_line or 0) + line for index, line in of_block.items()}
    records = [record for each in found for record in GRAMMAR.split(each.data, final=True).lines]
    return records, strays, sum(each.blank for each in found)


@given(text=csv_texts() | ROUGH, size=st.integers(0, 60))
def test_the_end_of_a_text_is_that_of_its_last_whole_record(text: str, size: int) -> None:
    data = text.encode()[:size]
    lenient = Grammar(",", strict=False)
    assert lenient.end(data) == lenient.split(data.replace(b"\r", b"_")).end


def check_blocks(text: str, *, piece: int, block: int) -> None:
    data = text.encode()
    found = cut(data, piece=piece, block=block)
    rows = by_csv(text)
    assert b"".join(each.data for each in found) == data
    first = first_line = 1
    for each in found:
        assert (each.first_row, each.first_line) == (first, first_line)
        assert len(by_csv(each.data.decode())) == each.rows
        assert not each.records or not each.records.strays
        first += each.rows
        first_line += each.data.count(b"\n")
    assert [row for each in found for row in by_csv(each.data.decode())] == rows


@given(text=csv_texts(), rows=st.integers(1, 4), size=st.integers(1, 40), data=st.data())
def test_a_part_read_from_any_cursor_gives_the_rest_of_the_records(
    text: str, rows: int, size: int, data: st.DataObject
) -> None:
    raw = text.encode()
    source = Source(blob="f", start=0, end=len(raw), first_row=1, delimiter=",")
    blobs = MemoryBlobs({"f": raw})

    def read(at: dict[str, int]) -> list[tuple[int, int, list[list[str]]]]:
        return [
            (lot.offset, lot.row, [layout.parse(record, ",") for record in lot.records])
            for lot in lots(blobs, source, at, most_rows=lambda: rows, most_bytes=size)
        ]

    whole = read(cursor(0, 1))
    assert [row for _, _, found in whole for row in found] == by_csv(text)
    assert all(len(found) <= rows for _, _, found in whole) or '"' in text
    if whole:
        at = data.draw(st.integers(0, len(whole) - 1))
        assert read(cursor(whole[at][0], whole[at][1])) == whole[at:]


@pytest.mark.parametrize(
    ("text", "rows", "blank"),
    [
        ("a,b\r\n\r\n\r\nc,d", 2, 2),
        ('""\n', 0, 1),
        ("\n\n\n", 0, 3),
        ('a,5" pipe\nb,6\n', 2, 0),
        (",,\na,b,c\n,,\r\n", 1, 2),
        ('a,b,c\n"","",""\n,""\n,', 1, 3),
        ("a,b,c\n, ,\n,x,\n", 3, 0),
        ('a,"\n,,\n",c\n', 1, 0),
        ('"",x\n', 1, 0),
    ],
)
@pytest.mark.parametrize("block", [1, 100])
def test_a_line_without_text_is_no_row_and_a_quote_within_a_cell_is_text(
    text: str, rows: int, blank: int, block: int
) -> None:
    found = cut(text.encode(), piece=100, block=block)
    assert (sum(each.rows for each in found), sum(each.blank for each in found)) == (rows, blank)
    old = cut(text.encode(), piece=100, block=block, grammar=Grammar(",", strict=False, every_line=True))
    lines = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    assert sum(each.rows for each in old) == len(lines)


@pytest.mark.parametrize(
    "line",
    [
        'Y2,"b"x,ok',
        'Y2,"say "hi" now",ok',
        'Y2,"12" pipe",ok',
        'Y2,"b" ,ok',
        'Y2,"b" ,ok,,""',
        '"Y2"x,b,ok\r',
        'Y2,"say "hi", now",ok',
        'Y2,"a,"b",ok',
        'Y2,b,"ok"!',
    ],
)
@pytest.mark.parametrize("after", ['Y3,"c",ok\n', 'Y3,"c\nd",ok\n', ""])
def test_a_row_with_text_after_a_closing_quote_ends_with_its_line_where_that_is_beyond_doubt(
    line: str, after: str
) -> None:
    found = outcome(f"Y1,a,ok\n{line}\n{after}".encode(), piece=5, block=5)
    assert found[1] == {2: 2}
    assert found[0][1] == line.removesuffix("\r").encode()
    assert len(found[0]) == 2 + bool(after)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            'Y1,"open here,ok\nY2,b,ok\nY3,"c",ok\nY4,d,ok\n',
            ["row 1, column 2, before 'open here,ok\\nY2,b", "is closed in line 3, and 'c\",ok' follows"],
        ),
        ('Y1,a,ok\n\nY2,"b"x\n', ["row 2, column 2, before 'b\"x'", "in line 3, and 'x' follows"]),
        ('Y1,"b"x,ok,more\n', ["row 1, column 2", "'x,ok,more' follows"]),
        ('Y1,"b"x,"c\nd"\n', ["row 1, column 2"]),
        ('Y1,"a\nb","c"x\n', ["row 1, column 3", "in line 2, and 'x' follows"]),
        ('Y1,"he said "yes"\nand left",ok\n', ["row 1, column 2", "in line 1, and 'yes\"' follows"]),
    ],
)
@pytest.mark.parametrize("block", [1, 7, 1_000])
def test_a_file_is_refused_where_it_is_in_doubt_which_lines_belong_to_a_row(
    text: str, says: list[str], block: int
) -> None:
    with pytest.raises(TaskRefused) as refused:
        cut(text.encode(), piece=block, block=block)
    assert refused.value.code == "text_after_quote"
    assert [words for words in says if words not in refused.value.detail] == []


def test_hostile_quotes_are_cut_in_linear_time() -> None:
    """Each of these would take minutes if anything were looked at again from each quote on."""
    for line in (b'"a"b,' * 3, b'"' * 99, b'""a' * 33, b'","' * 33, b',"' * 50):
        text = line * 20_000
        begin = time.process_time()
        for data in (text, text.replace(b"a", b"\n"), (line + b"\n") * 20_000):
            with suppress(TaskRefused):
                list(blocks(iter([data]), GRAMMAR, offset=0))
        assert time.process_time() - begin < 5


def test_an_open_quote_names_the_row_where_it_opened() -> None:
    with pytest.raises(TaskRefused, match=r"row 3, column 2, before .* is never closed") as refused:
        cut(b'a,b\nc,d\ne,"f\n' + b"g,h\n" * 50, piece=7, block=20)
    assert (refused.value.code, refused.value.where) == ("unclosed_quote", "row 3")


def test_a_lone_carriage_return_names_its_row() -> None:
    with pytest.raises(TaskRefused) as refused:
        cut(b'a,"x\ry"\nc\rd,e\n', piece=100, block=100)
    assert (refused.value.code, refused.value.where) == ("lone_carriage_return", "row 2")
    with pytest.raises(LoneCarriageReturn):
        Grammar(",").split(b"a\rb\rc", final=True)


def test_bytes_that_are_not_utf8_name_their_row_and_byte() -> None:
    with pytest.raises(TaskRefused, match=r"byte 401 is 0xff") as refused:
        cut(b"ab,\n" * 100 + b"c\xff,\n", piece=50, block=60)
    assert (refused.value.code, refused.value.where) == ("encoding", "row 101")


@pytest.mark.parametrize(("begin", "code"), [(b"x", "row_too_long"), (b'"', "unclosed_quote")])
def test_a_record_without_end_is_refused_before_it_fills_the_memory(begin: bytes, code: str) -> None:
    seen: list[int] = []

    def endless() -> Iterator[bytes]:
        yield begin
        while True:
            piece = b"x\n" * 512 * 1024 if begin == b'"' else b"x" * 1024 * 1024
            seen.append(len(piece))
            yield piece

    with pytest.raises(TaskRefused) as refused:
        list(blocks(endless(), Grammar(","), offset=0))
    assert (refused.value.code, refused.value.where) == (code, "row 1")
    assert sum(seen) < 32 * 1024 * 1024


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('Y2,"say "hi" now",ok', ["Y2", 'say "hi" now', "ok"]),
        ('Y2,"12" pipe",ok,,', ["Y2", '12" pipe', "ok"]),
        ('Y2,"a ""b"" "c"",ok', ["Y2", 'a "b" c""', "ok"]),
        ('Y2,"b"x,ok', ["Y2", "bx", "ok"]),
        ('Y2,"x ""y""",ok', ["Y2", 'x "y"', "ok"]),
    ],
)
def test_a_row_with_text_after_a_closing_quote_is_shown_as_it_was_meant(line: str, cells: list[str]) -> None:
    assert list(layout.cells_of(line.encode(), ",", WIDTH)) == cells
