"""Any text made of hostile pieces, read as a worker reads it: refused, or read as Python's strict ``csv`` does."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collect.csv.unseen import shows_nothing
from collect.errors import TaskRefused
from support.texts import read

HEADER = b"k,n,s\n"
PIECES = [
    '"', '""', '","', '"\n"', ",", ",,", "\n", "\n\n", "\r\n", "\r", ";", "\t", "|", "a", "b", "c,1,x\n", "d,2,\"y\"\n",
    'e,3,"\r\n"\n', ' "', "=1+1", "1", "-9223372036854775809", "\0", "é", "\ufeff", "\u2028", "\x1a", "\\", "'", "#",
    "x" * 2_000, "NULL", "𝒳",
]  # fmt: skip
BROKEN = [b"\xff", b"\xed\xa0\x80", b"\xe0\xa4", b"\xc0\xaf"]
pieces = st.one_of(st.sampled_from(PIECES).map(str.encode), st.text(max_size=3).map(str.encode))
texts = st.lists(pieces, max_size=30).map(b"".join)
broken = st.tuples(texts, st.sampled_from(BROKEN), texts).map(b"".join)


def outcomes(text: str) -> tuple[dict[str, dict[str, Any]], set[int]]:
    """What ``csv`` reads: the rows that are right by key, and the numbers of those that are not."""
    good: dict[str, dict[str, Any]] = {}
    bad = set()
    for number, record in enumerate(records(text), start=1):
        cells = ["" if shows_nothing(cell) and "\0" not in cell else cell for cell in record[:2]] + record[2:]
        if len(cells) != 3 or not cells[0] or cells[0] in good or not _is_right(cells):
            bad.add(number)
            continue
        key, n, s = cells
        good[key] = {"k": key, "n": int(n) if n else None, "s": s or None}
    return good, bad


def records(text: str) -> Iterator[list[str]]:
    """The rows that hold text, without empty cells behind the third; one that ``csv`` refuses is a row without cells.

    It is given line by line, so that it goes on with the line behind one that it refuses.
    """
    csv.field_size_limit(1 << 20)
    lines = io.StringIO(text, newline="\n")
    reader = csv.reader(lines, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            reader = csv.reader(lines, strict=True)
            yield []
            continue
        if any(cells):
            yield cells if any(cells[3:]) else cells[:3]


def _is_right(cells: list[str]) -> bool:
    number = cells[1]
    is_number = not number or (re.fullmatch(r"[+-]?[0-9]+", number, re.ASCII) and -(2**63) <= int(number) < 2**63)
    return bool(is_number) and not any("\0" in cell for cell in cells) and len(cells[0].encode()) <= 1024


@settings(max_examples=300, deadline=None)
@given(body=st.one_of(texts, texts, broken))
def test_any_text_is_refused_or_each_of_its_rows_is_what_csv_reads(body: bytes) -> None:
    try:
        rows, rejects = read(HEADER + body, delimiter=",", has_header=True)
    except TaskRefused:
        return
    good, bad = outcomes(body.decode())
    read_first: dict[str, dict[str, Any]] = {}
    for key, n, s in rows.values():
        read_first.setdefault(key, {"k": key, "n": n, "s": s})
    assert read_first == good
    assert len(rows) + len(rejects) == len(good) + len(bad)
