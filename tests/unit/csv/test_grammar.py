"""Planner and reader cut records exactly where Python's ``csv`` does, whatever the blocks."""

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.csv import layout
from collect.csv.blocks import Block, blocks
from collect.csv.grammar import Grammar, LoneCarriageReturn
from collect.csv.reading import Source, cursor, lots
from collect.errors import TaskRefused
from inmemory import MemoryBlobs

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


def by_csv(text: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row]


def cut(text: bytes, *, piece: int, block: int) -> list[Block]:
    pieces = (text[start : start + piece] for start in range(0, len(text), piece))
    return [found for found in blocks(pieces, Grammar(","), offset=0, block_bytes=block) if found is not None]


@given(text=csv_texts(), piece=st.integers(1, 30), block=st.integers(1, 30))
def test_blocks_hold_the_records_that_csv_reads(text: str, piece: int, block: int) -> None:
    check_blocks(text, piece=piece, block=block)


@given(text=ROUGH, piece=st.integers(1, 30), block=st.integers(1, 30))
def test_blocks_of_rough_text_hold_the_records_that_csv_reads_or_say_which_quote_is_open(
    text: str, piece: int, block: int
) -> None:
    # csv would swallow all that follows: a newline put at the end becomes text of the last cell.
    rows, longer = by_csv(text + "\n"), by_csv(text + "\n\n")
    if rows and rows[-1] and longer[-1][-1] == rows[-1][-1] + "\n":
        with pytest.raises(TaskRefused, match="never closed"):
            cut(text.encode(), piece=piece, block=block)
    else:
        check_blocks(text, piece=piece, block=block)


@given(text=csv_texts() | ROUGH, size=st.integers(0, 60))
def test_the_end_of_a_text_is_that_of_its_last_whole_record(text: str, size: int) -> None:
    data = text.encode()[:size]
    assert Grammar(",").end(data) == Grammar(",").split(data.replace(b"\r", b"_")).end


def check_blocks(text: str, *, piece: int, block: int) -> None:
    data = text.encode()
    found = cut(data, piece=piece, block=block)
    rows = by_csv(text)
    assert b"".join(each.data for each in found) == data
    first = 1
    for each in found:
        assert each.first_row == first
        assert len(by_csv(each.data.decode())) == each.rows
        first += each.rows
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
    ("text", "rows"), [("a,b\r\n\r\n\r\nc,d", 2), ('""\n', 1), ("\n\n\n", 0), ('a,5" pipe\nb,6\n', 2)]
)
def test_an_empty_line_is_no_row_and_a_quote_within_a_field_is_text(text: str, rows: int) -> None:
    assert sum(block.rows for block in cut(text.encode(), piece=100, block=1)) == rows


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
