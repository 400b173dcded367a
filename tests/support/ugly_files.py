"""Ugly files, made by code, each with what must become of it. The columns: k (the key), n (a number), s (text)."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HEADER = b"k,n,s\n"
TITLE = b"Survey of the north, 2017\n"

Cells = tuple[int | None, str | None]


@dataclass(frozen=True, kw_only=True)
class Ugly:
    """A file. Either rows by key and rejects by row, or a refusal: its code, its place, and words of its message."""

    name: str
    data: bytes
    params: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Cells] = field(default_factory=dict)
    rejects: Mapping[int, str] = field(default_factory=dict)
    blank: int = 0
    warns: bool = False
    """The preview warns of quoted lines."""
    refusal: str | None = None
    where: str | None = None
    says: tuple[str, ...] = ()


A, B = {"a": (1, "x")}, {"b": (2, "y")}
BOTH = {**A, **B}


def _rows(name: str, data: bytes, rows: Mapping[str, Cells] = BOTH, **more: Any) -> Ugly:
    return Ugly(name=name, data=data, rows=rows, **more)


def _refused(name: str, data: bytes, code: str, where: str | None, *says: str, **params: Any) -> Ugly:
    return Ugly(name=name, data=data, refusal=code, where=where, says=says, params=params)


QUOTES = [
    _refused(
        "open quote, closed by the next quoted cell",
        HEADER + b'Y1,1,"open here\nY2,2,b\nY3,"3",c\nY4,4,d\n',
        "text_after_quote", "row 1", "row 1, column 3, before 'open here", "in line 4, and '3\",c' follows", "doubled",
    ),
    _refused("open quote in the first column", HEADER + b'"a,1,x\nb,2,"y"\n', "text_after_quote", "row 1", "line 3"),
    _refused("open quote to the end", HEADER + b'a,1,x\nb,2,"y\nc,3,z\n', "unclosed_quote", "row 2", "column 3"),
    _refused("open quote in the last line", HEADER + b'a,1,x\nb,2,"y', "unclosed_quote", "row 2"),
    _refused("open quote behind text after a quote", HEADER + b'a,"1"0,"x\nb,2,y\n', "text_after_quote", "row 1"),
    _refused("text after a cell of two lines", HEADER + b'a,1,"x\ny"z\nb,2,y\n', "text_after_quote", "row 1", "line 3"),
    _refused("text after a quote, a cell short", HEADER + b'a,1,x\nb,"2"x\n', "text_after_quote", "row 2", "line 3"),
    _refused("quotes not doubled over two lines", HEADER + b'a,"he "said"\nno",x\n', "text_after_quote", "row 1"),
    _refused("text after a quote in the header", b'k,"n"x,s\na,1,x\n', "text_after_quote", "the header", "column 2"),
    _refused("open quote in the header", b'k,n,"s\na,1,x\n', "unclosed_quote", "the header", "column 3"),
    _rows("letter after a quote", HEADER + b'a,1,x\nc,3,"z"!\nb,2,y\n', rejects={2: "text_after_quote"}),
    _rows("blank after a quote", HEADER + b'a,1,x\nc,"3" ,z\nb,2,"y"\n', rejects={2: "text_after_quote"}),
    _rows("quotes not doubled", HEADER + b'a,1,x\nc,3,"say "hi" now"\nb,2,"y"\n', rejects={2: "text_after_quote"}),
    _rows("inches", HEADER + b'a,1,x\nc,3,"12" pipe"\nb,2,y\n', rejects={2: "text_after_quote"}),
    _rows("not doubled before a comma", HEADER + b'c,3,"say "hi", he"\na,1,x\nb,2,y', rejects={1: "text_after_quote"}),
    _rows("text after a quote, at the end", HEADER + b'a,1,x\nb,2,y\n"c"c,3,z', rejects={3: "text_after_quote"}),
    _rows("text after a quote, CRLF", HEADER + b'a,1,x\r\n"c"c,3,z\r\nb,2,y\r\n', rejects={2: "text_after_quote"}),
    _rows(
        "text after each quote",
        HEADER + b'"a"a,1,x\n"b"b,2,y\n"c"c,3,z\n', rows={},
        rejects=dict.fromkeys((1, 2, 3), "text_after_quote"),
    ),
    _rows("first row of a file without header", b'"c"c,3,z\na,1,x\nb,2,y\n', params={"has_header": False},
          rejects={1: "text_after_quote"}),
    _rows("quotes within cells that are not quoted", HEADER + b'a,1,5" x\nb,2,y"y"\n',
          {"a": (1, '5" x'), "b": (2, 'y"y"')}),
    _rows("doubled quotes", HEADER + b'a,1,"x""y"\nb,2,""""\n', {"a": (1, 'x"y'), "b": (2, '"')}),
    _rows("everything quoted", b'"k","n","s"\n"a","1","x"\n"b","2","y"\n'),
    _rows("a cell of three lines", HEADER + b'a,1,"x\n\ny"\nb,2,y\n', {"a": (1, "x\n\ny"), **B}),
    _rows("a cell with a line of delimiters", HEADER + b'a,1,"x\n,,\ny"\nb,2,y\n', {"a": (1, "x\n,,\ny"), **B},
          warns=True),
    _rows("a quoted cell that holds rows", HEADER + b'a,1,"x\nc,3,z\nd,4,"\nb,2,y\n', {"a": (1, "x\nc,3,z\nd,4,"), **B},
          warns=True),
    _rows("one semicolon file in commas", b'sep=;\nk;n;s\na;1;"x"\nc;3;"z"z\nb;2;y\n', rejects={2: "text_after_quote"}),
]  # fmt: skip

BLANKS = [
    _rows("delimiter lines at the end", HEADER + b"a,1,x\nb,2,y\n,,\n,,\n", blank=2),
    _rows("delimiter lines between", HEADER + b'a,1,x\n,,\n\n"","",""\r\nb,2,y\n', blank=3),
    _rows("delimiter lines above the header", b",,\n\n" + HEADER + b"a,1,x\nb,2,y", blank=2),
    _rows("a delimiter line without line end", HEADER + b"a,1,x\nb,2,y\n,,", blank=1),
    _rows("delimiter lines with CRLF", b"k,n,s\r\n,,\r\na,1,x\r\n,,\r\nb,2,y\r\n", blank=2),
    _rows("too few and too many delimiters", HEADER + b"a,1,x\n,\n,,,,\nb,2,y\n", blank=2),
    _rows("semicolons", b"k;n;s\na;1;x\n;;\nb;2;y\n", blank=1),
    _rows("a line of blanks is a row", HEADER + b"a,1,x\n , , \nb,2,y\n", rejects={2: "required"}),
    _rows("a row without its key", HEADER + b"a,1,x\n,,z\nb,2,y\n", rejects={2: "required"}),
    _refused("nothing but delimiters", b",,\n,,\n", "empty_file", None),
    _refused("a header and delimiters", HEADER + b",,\n,,\n", "no_rows", None),
    _rows("blank lines in a gzip", gzip.compress(HEADER + b"a,1,x\n,,\nb,2,y\n\n"), blank=2),
    _rows("blank lines in UTF-16", "k,n,s\na,1,x\n,,\nb,2,y\n".encode("utf-16"), blank=1,
          params={"encoding": "utf-16"}),
]  # fmt: skip

SURPLUS = [
    _rows("empty cells behind every row", HEADER + b"a,1,x,,\nb,2,y,,\n"),
    _rows("empty cells behind some rows", HEADER + b'a,1,x,\nb,2,y\nc,3,z,"",\n', {**BOTH, "c": (3, "z")}),
    _rows("a header with columns without a name", b"k,n,s,,\na,1,x,,\nb,2,y\nc,3,z,\n", {**BOTH, "c": (3, "z")}),
    _rows("text under a column without a name", b"k,n,s,, \na,1,x,,\nc,3,z,,!\nb,2,y,,\n",
          rejects={2: "unnamed_column"}),
    _rows("text behind the last column", HEADER + b"a,1,x,\nc,3,z,!\nb,2,y,\n", rejects={2: "wrong_number_of_cells"}),
    _rows("hundreds of empty cells", HEADER.strip() + b"," * 300 + b"\na,1,x" + b"," * 300 + b"\nb,2,y\n"),
    _rows("ragged", HEADER + b"a,1,x\nc\nd,4\nb,2,y\ne,5,z,!\n",
          rejects=dict.fromkeys((2, 3, 5), "wrong_number_of_cells")),
    _rows("empty cells behind, without header", b"a,1,x,,\nb,2,y\n", params={"has_header": False}),
    _rows("columns without a name between", b"k,, ,n,s\na,, ,1,x\nc,!,,3,z\nb,,\xc2\xa0,2,y\n",
          rejects={2: "unnamed_column"}),
    _rows("columns without a name before", b",,,k,n,s\n,,,a,1,x\n,, ,b,2,y\n"),
    _rows("cells behind that show nothing", HEADER.strip() + b", \na,1,x, \nb,2,y,\xe2\x80\x8b,\xc2\xa0\n"),
]  # fmt: skip

ABOVE = [
    _refused("a title", TITLE + HEADER + b"a,1,x\n",
             "unknown_column", "the header", "remove the first line or set skip_lines to 1"),
    _refused("a title and a blank line", TITLE + b"\r\n" + HEADER + b"a,1,x\n",
             "unknown_column", "the header", "set skip_lines to 2"),
    _refused("a title in quotes", b'"Survey "North" 2017"\n' + HEADER + b"a,1,x\n",
             "text_after_quote", "the header", "set skip_lines to 1"),
    _refused("a title with an open quote", b'"Survey\n\n' + HEADER + b"a,1,x\n",
             "unclosed_quote", "the header", "set skip_lines to 2"),
    _refused("title cells", b"Survey,,\nk;n;s\na;1;x\n",
             "unknown_column", "the header", "set skip_lines to 1"),
    _rows("a title that is skipped", TITLE + HEADER + b"a,1,x\nb,2,y\n", params={"skip_lines": 1}),
    _rows("a marked title in CRLF", b"\xef\xbb\xbf" + TITLE.strip() + b'\r\n"odd\r\nk,n,s\r\na,1,x\r\nb,2,y\r\n',
          params={"skip_lines": 2}),
    _rows("sep= above a title", b"sep=;\nA title\nk;n;s\na;1;x\nb;2;y\n", params={"skip_lines": 2}),
    _rows("sep= below a title", b"A title\nsep=;\nk;n;s\na;1;x\nb;2;y\n", params={"skip_lines": 1}),
    _refused("a header that is skipped with a row", HEADER + b"c,3,z\na,1,x\nb,2,y\n",
             "header_skipped", None, "Line 1 looks like the header", "Set it to 0", skip_lines=2),
    _rows("a header that is skipped on purpose", HEADER + b"a,1,x\nb,2,y\n",
          params={"skip_lines": 1, "has_header": False}),
    _rows("skipped lines without header", TITLE + b"a,1,x\nb,2,y\n", params={"skip_lines": 1, "has_header": False}),
    _refused("more lines skipped than there are", HEADER + b"a,1,x\n",
             "skip_lines_beyond_end", None, "first 9 lines", "line 2", skip_lines=9),
    _refused("all lines skipped", HEADER + b"a,1,x\n\n", "skip_lines_beyond_end", None, skip_lines=2),
]  # fmt: skip

DRESS = [
    _rows("a mark, and quotes in the header", b'\xef\xbb\xbf"k","n","s"\na,1,x\nb,2,y\n'),
    _rows("mixed line ends", b"k,n,s\r\na,1,x\nb,2,y\r\n"),
    _rows("a tab file", b'k\tn\ts\na\t1\tx\nc\t3\t"z" z\nb\t2\ty\n', rejects={2: "text_after_quote"}),
    _refused("a lone CR before text after a quote", HEADER + b'a,1\rx\nb,"2"x\n', "lone_carriage_return", "row 1"),
    _refused("bytes before text after a quote", HEADER + b'a,1,\xe9\nb,"2"x\n', "encoding", "row 1"),
    _rows("a wide cell", HEADER + b'a,1,"' + b"x" * 100_000 + b'"\nb,2,y\n', {"a": (1, "x" * 100_000), **B}),
    _rows("an upsert", HEADER + b'a,1,x\n"c"c,3,z\n,,\nb,2,y,\n', params={"mode": "upsert"}, blank=1,
          rejects={2: "text_after_quote"}),
]  # fmt: skip

FILES = [*QUOTES, *BLANKS, *SURPLUS, *ABOVE, *DRESS]
