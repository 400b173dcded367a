"""Quoted cells that seem to hold rows, and those that hold just text."""

import pytest

from collect.checks.line_counts import FileLines
from collect.csv.blocks import blocks
from collect.csv.grammar import Grammar


def found(text: str, *, width: int, delimiter: str = ",", block: int = 1_000) -> dict[str, dict[str, object]]:
    """The evidence of each warning."""
    lines = FileLines(width=width, delimiter=delimiter)
    pieces = iter([text.encode()[at : at + block] for at in range(0, len(text.encode()), block)])
    for each in blocks(pieces, Grammar(delimiter, width=width), offset=0, first_line=2, block_bytes=block):
        if each is not None:
            lines.look(each)
    return {warning.code: dict(warning.evidence) for warning in lines.warnings(blank=lines.blank)}


@pytest.mark.parametrize("block", [5, 1_000])
@pytest.mark.parametrize(
    ("text", "width", "line", "like_rows"),
    [
        ('a,1,"x\nb,2,y\nc,3,z"\n', 3, 3, 1),
        ('p,1,x\na,"1,x\nb,2",y\n', 3, 4, 1),
        ('a,1,"x\r\nb,2,y\r\nb,2,y\r\nc,3,z"\r\n', 3, 3, 2),
        ('a,1,"x\nlike,this\nb,2,y\nc,3,z"\n', 3, 4, 1),
        ('a,"1\nb,2\nc,3"\n', 2, 3, 1),
        ('a,1,2,3,4,5,6,"7\nb,1,2,3,""4,5"",6,7\nc,1,2,3,4,5,6,7"\n', 8, 3, 1),
    ],
)
def test_a_line_in_a_cell_that_looks_like_a_row_is_named(
    text: str, width: int, line: int, like_rows: int, block: int
) -> None:
    evidence = found(text, width=width, block=block)["quoted_lines"]
    assert (evidence["line"], evidence["like_rows"]) == (line, like_rows)


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ('a,1,"Dear all,\nmany thanks,\nyours"\n', 3),
        ('"first\nsecond",1,2\n', 3),
        ('a,1,"first\nsecond"\n', 3),
        ('a,"Main Street 1, Pune\nIndia"\n', 2),
        ('"a\nb\nc"\n', 1),
        ("a,1,x\n\nb,2,y\n", 3),
    ],
)
def test_text_of_several_lines_is_no_warning(text: str, width: int) -> None:
    assert "quoted_lines" not in found(text, width=width)


def test_lines_and_blank_lines_are_counted() -> None:
    text = 'a,1,"x\nb,2,y\nc,3,z"\n,,\n\nd,4,w\n'
    assert found(text, width=3) == {
        "quoted_lines": {"lines": 6, "rows": 2, "row": 1, "line": 3, "text": "b,2,y", "like_rows": 1},
        "blank_rows": {"lines": 2},
    }
