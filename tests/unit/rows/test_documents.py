"""Documents made a column at a time are those that ``bson.encode`` makes one at a time."""

from typing import Any

import bson
import pyarrow as pa
from bson.int64 import Int64
from hypothesis import given
from hypothesis import strategies as st

from collect.csv.cells import MOMENT
from collect.rows import documents
from collect.storage.bulk_insert import Documents

KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), st.text(max_size=8)),
    "whole": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "real": (pa.float64(), st.floats(allow_nan=False)),
    "truth": (pa.bool_(), st.booleans()),
    "moment": (MOMENT, st.integers(-(10**13), 10**13)),
}


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    row = st.fixed_dictionaries({name: st.none() | values for name, (_, values) in KINDS.items()})
    return draw(st.lists(row, max_size=6))


@given(table=tables(), sliced=st.booleans(), revision=st.integers(1, 2**31 - 1), mark=st.text(min_size=1, max_size=20))
def test_documents_are_those_of_bson(table: list[dict[str, Any]], sliced: bool, revision: int, mark: str) -> None:
    columns = {name: pa.array([row[name] for row in table], kind) for name, (kind, _) in KINDS.items()}
    first = 1 if sliced and table else 0
    columns = {name: column.slice(first) for name, column in columns.items()}
    rows = list(range(7 + first, 7 + len(table)))
    bodies = documents.bodies(
        ids=pa.array([f"é{row}" for row in rows], pa.string()),
        head={"org_id": "labs", "dataset": "d"},
        columns=columns,
        rows=pa.array(rows, pa.int64()),
    )
    made = documents.complete(bodies, written_by=mark, revision=revision)
    assert made.count == len(rows)
    assert [document.raw for document in made.each()] == [
        bson.encode(
            {
                "_id": f"é{row}",
                "org_id": "labs",
                "dataset": "d",
                "values": {name: plain(name, cells[name]) for name in KINDS},
                "row": Int64(row),
                "written_by": mark,
                "revision": revision,
            }
        )
        for row, cells in zip(rows, table[first:], strict=True)
    ]


def plain(name: str, value: Any) -> Any:
    if value is None:
        return None
    return {"whole": Int64, "moment": bson.DatetimeMS}.get(name, lambda same: same)(value)


@given(names=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30), unique=True))
def test_an_empty_document_is_no_bigger_than_is_reckoned(names: list[str]) -> None:
    document = {
        "_id": "labs|baseline|1",
        "org_id": "labs",
        "dataset": "baseline",
        "values": {name: Int64(0) for name in names},
        "row": Int64(1),
        "written_by": "01hxxxxxxxxxxxxxxxxxxxxxxx:12:123",
        "revision": 1,
    }
    assert len(bson.encode(document)) <= documents.empty_bytes(names)


def test_documents_of_many_buffers_are_copied_once_and_those_of_one_not_at_all() -> None:
    made = [Documents(data=memoryview(bson.encode({"_id": number})), count=1) for number in range(3)]
    together = Documents.together(made)
    assert [document["_id"] for document in together.each()] == [0, 1, 2]
    assert together.count == 3
    assert Documents.together(made[:1]) is made[0]
