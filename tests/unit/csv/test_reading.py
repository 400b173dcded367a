"""What a planned part says of how it is read: two releases read it alike, or the older one leaves it alone."""

from __future__ import annotations

from typing import Any

import pytest

from collect.csv.layout import Layout
from collect.csv.reading import Source, cursor, lots
from collect.csv.row_cells import RowCells
from collect.jobs.template import Template
from collect.rows import planning
from support.in_memory import MemoryBlobs
from support.upload_driver import new_job

TEMPLATE = Template.model_validate(
    {"key": ["k"], "columns": [{"name": name, "type": "string"} for name in ("k", "n", "s")]}
)
HEADER = b"k,n,s\n"
EVERY_RELEASE, STRICT = 1, 3
OLD = b'a,"1"0,x\n,,\n"b\n"2,"c\nd",y\n'


def planned(data: bytes, blobs: MemoryBlobs | None = None, **params: Any) -> list[dict[str, Any]]:
    store = blobs or MemoryBlobs()
    store.contents["f"] = data
    job = new_job(blob="f", dataset="d", **params)
    return [step.source for step in planning.plan(store, job, template=TEMPLATE) if step is not None]


def read(data: bytes, document: dict[str, Any], *, rows: int = 1) -> list[bytes]:
    source = Source.of(document)
    at = cursor(source.start, source.first_row)
    blobs = MemoryBlobs({"f": data})
    return [record for lot in lots(blobs, source, at, most_rows=lambda: rows, most_bytes=9) for record in lot.records]


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_a_part_that_the_release_before_has_planned_is_read_by_its_grammar(rows: int) -> None:
    """Lines of delimiters are rows there, and text after a closing quote belongs to the cell."""
    document = {"v": 1, "blob": "f", "start": 0, "end": len(OLD), "first_row": 1, "delimiter": ","}
    assert read(OLD, document, rows=rows) == [b'a,"1"0,x', b",,", b'"b\n"2,"c\nd",y']


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (HEADER + b"a,1,x\n", EVERY_RELEASE),
        (HEADER + b'a,1,"x\ny"\n\n\nb,2,5" z\n', EVERY_RELEASE),
        (HEADER + b"a,1,x,\n", EVERY_RELEASE),
        (HEADER + b"a,1,x\n,,\n", STRICT),
        (HEADER + b'a,1,x\n"",\n', STRICT),
        (HEADER + b'a,1,"x"y\n', STRICT),
        (HEADER.strip() + b",\na,1,x,\n", STRICT),
    ],
)
def test_a_part_is_kept_from_the_release_before_only_where_that_would_read_other_rows(
    data: bytes, version: int
) -> None:
    (document,) = planned(data)
    assert (document["v"], document["grammar"], document["width"]) == (version, 2, 3)
    assert Source.of(document).document() == {
        name: value for name, value in document.items() if name not in ("columns", "template", "unnamed", "gaps")
    }


def test_each_line_of_a_text_whose_columns_were_moved_is_a_row() -> None:
    """The last row has no cell left: its line is nothing but delimiters."""
    blobs = MemoryBlobs()
    (document,) = planned(HEADER + b"a,1,x\n,,\nb,2,y\n", blobs, column_shift={"k": -1, "n": -1, "s": -1})
    assert (document["v"], document["every_line"], document["blank_rows"]) == (EVERY_RELEASE, True, 1)
    source = Source.of(document)
    (lot,) = lots(blobs, source, cursor(source.start, 1), most_rows=lambda: 9, most_bytes=99)
    assert lot.records == [b"b,2,y", b",,"]


def test_lines_and_blank_lines_are_counted_over_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collect.csv.blocks.BLOCK_BYTES", 6)
    monkeypatch.setattr("collect.csv.sources.PIECE_BYTES", 6)
    monkeypatch.setattr("collect.csv.files.MAX_HEADER_BYTES", 12)
    monkeypatch.setattr(planning, "SMALLEST_PART_BYTES", 6)
    data = b",,\n" + HEADER + b"\n\n\n,,\na,1,x\n,,\n,,\n,,\nb,2,y\nc,3,z\n\n\n,,\n,,\n,,\n,,\n"
    documents = planned(data)
    assert len(documents) == 3
    assert sum(document.get("blank_rows", 0) for document in documents) == 14
    for document in documents:
        before = data[: document["start"]].count(b"\n")
        assert document["first_line"] == before + 1
        assert document["lines"] == data[document["start"] : document["end"]].count(b"\n")


def test_rows_with_empty_cells_behind_are_read_without_a_look_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is known that most rows have them, Arrow reads them with the others."""
    data = b"".join(b"k%d,%d,x,,\n" % (n, n) for n in range(100))
    source = Source(blob="f", start=0, end=len(data), first_row=1, delimiter=",", width=3)
    cells = RowCells(Layout(delimiter=",", columns=("k", "n", "s")))
    monkeypatch.delattr(RowCells, "_fitted")
    for lot in lots(MemoryBlobs({"f": data}), source, cursor(0, 1), most_rows=lambda: 10, most_bytes=999):
        table, wrong = cells.parse(lot)
        assert (table.num_rows, table.column("s").to_pylist(), wrong) == (10, ["x"] * 10, {})
