"""A column that is read from other rows: each row gets the cell that stands so many rows above or below."""

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collect.csv import layout
from collect.csv.grammar import Grammar
from collect.csv.layout import Layout, Params
from collect.csv.reading import Lot, Source, lots
from collect.csv.validation import Validator
from collect.errors import TaskRefused
from collect.jobs.template import Template
from collect.rows import planning
from support.in_memory import MemoryBlobs
from support.upload_driver import new_job

TEMPLATE = Template.model_validate(
    {"key": ["k"], "columns": [{"name": name, "type": "string"} for name in ("k", "a", "b")]}
)


def text_of(rows: list[tuple[str, ...]]) -> bytes:
    held = io.StringIO()
    csv.writer(held, lineterminator="\n").writerows([("k", "a", "b"), *rows])
    return held.getvalue().encode()


def read(data: bytes, **shift: int) -> tuple[dict[int, dict[str, str | None]], dict[int, tuple[str, str]]]:
    """What a worker would write of each row, and the field and code of each reject."""
    blobs = MemoryBlobs({"f": data})
    job = new_job(blob="f", dataset="d", bytes=len(data), column_shift=shift)
    valid: dict[int, dict[str, str | None]] = {}
    rejected: dict[int, tuple[str, str]] = {}
    for part in planning.plan(blobs, job, template=TEMPLATE):
        if part is None:
            continue
        validator = Validator(template=TEMPLATE, layout=planning.arranged(part.source, TEMPLATE))
        for lot in lots(blobs, Source.of(part.source), part.cursor, most_rows=lambda: 3, most_bytes=1_000):
            good, bad = validator.validate(lot)
            columns = {name: values.to_pylist() for name, values in good.columns.items()}
            for place, row in enumerate(good.rows.to_pylist()):
                valid[row] = {name: values[place] for name, values in columns.items()}
            rejected.update({reject.row: (reject.errors[0].field, reject.errors[0].code) for reject in bad})
    return valid, rejected


CELL = st.text(alphabet=st.sampled_from('xyz,"\n é'), max_size=4)


@given(
    cells=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=30),
    a=st.integers(-35, 35),
    b=st.integers(-35, 35),
    block=st.integers(1, 200),
)
@example(cells=[("1", "2")] * 12, a=-10, b=10, block=7)
def test_each_row_gets_the_cell_from_so_many_rows_away(
    cells: list[tuple[str, str]], a: int, b: int, block: int
) -> None:
    total = len(cells)
    data = text_of([(f"k{row}", *pair) for row, pair in enumerate(cells, start=1)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("collect.csv.sources.PIECE_BYTES", block)
        patch.setattr(planning, "SMALLEST_PART_BYTES", 3 * block)
        patch.setattr(planning, "REWRITTEN_PART_BYTES", 3 * block)
        valid, rejected = read(data, a=a, b=b)
    for row in range(1, total + 1):
        lacks = [name for name, by in (("a", a), ("b", b)) if not 1 <= row - by <= total]
        if lacks:
            assert rejected[row] == (lacks[0], "no_cell")
        else:
            expected = {"k": f"k{row}", "a": cells[row - a - 1][0] or None, "b": cells[row - b - 1][1] or None}
            assert valid[row] == expected
    assert len(valid) + len(rejected) == total


def test_a_row_with_a_wrong_number_of_cells_is_rejected_as_such_and_lends_what_it_has() -> None:
    valid, rejected = read(b"k,a,b\n1,x\n2,y,z\n3,u,v\n", a=1)
    assert rejected == {1: ("", "wrong_number_of_cells")}
    assert (valid[2]["a"], valid[3]["a"]) == ("x", "y")


def test_text_after_a_closing_quote_refuses_a_file_whose_columns_are_moved() -> None:
    """Its cells would be written anew as if they were right, and other rows would take them."""
    assert read(b'k,a,b\n1,x,p\n2,"y"y,q\n', a=0)[1] == {2: ("", "text_after_quote")}
    with pytest.raises(TaskRefused, match=r"row 2, column 2, before .* is closed in line 3") as refused:
        read(b'k,a,b\n1,x,p\n2,"y"y,q\n', a=1)
    assert refused.value.code == "text_after_quote"


def test_the_text_of_a_reject_is_the_row_as_it_was_read() -> None:
    arranged = Layout(delimiter=",", columns=("k", "a", "b"), lacking={"a": (2, 2)})
    lot = Lot.of([b"1,x,y", b"2,,z"], row=1, grammar=Grammar(","))
    _, (reject,) = Validator(template=TEMPLATE, layout=arranged).validate(lot)
    assert (reject.row, reject.line, reject.errors[0].code) == (2, "2,,z", "no_cell")


def test_rows_that_do_not_fit_into_memory_are_not_moved_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collect.csv.realign.MOST_BYTES", 40)
    rows: list[tuple[str, ...]] = [(f"k{n}", "x" * 10, "y") for n in range(20)]
    assert len(read(text_of(rows), a=1)[0]) == 19
    with pytest.raises(TaskRefused, match="Move them by fewer"):
        read(text_of(rows), a=5)


def test_a_column_that_the_file_does_not_have_cannot_be_moved() -> None:
    header = layout.Header(cells=("k", "a"), is_header=True, delimiter=",")
    _, errors = layout.arrange(header, TEMPLATE, Params(column_shift={"b": 3}), only_key=False)
    assert [error.code for error in errors] == ["unknown_column"]
    assert re.search("column_shift names 'b'.*k, a", errors[0].message)
