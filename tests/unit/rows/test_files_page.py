"""The tables of docs/files.md, executed: each line and each cell has the outcome that the page names."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collect.checks.preview import preview
from collect.csv import cells
from collect.csv.cells import CellRules
from collect.jobs.template import Column, Template
from support.in_memory import MemoryBlobs

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "files.md").read_text(encoding="utf-8")
COLUMN = re.compile(r"(?P<type>[a-z]+)(?:, (?P<required>required)| \((?P<of>[^)]+)\))?")
TEMPLATE = Template.model_validate(
    {
        "key": ["k"],
        "columns": [
            {"name": "k", "type": "string"},
            {"name": "n", "type": "integer"},
            {"name": "s", "type": "string"},
        ],
    }
)
LAST_ROW = "z,9,z"


def table(name: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table between the comments ``name`` and ``end of name``, each as its cells."""
    text = PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- end of {name} -->")[0]
    for line in text.strip().splitlines()[2:]:
        yield tuple(cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|"))


def code_of(cell: str) -> str:
    """Return what stands between the backticks of a cell, its escapes resolved."""
    text = cell.removeprefix("`").removesuffix("`")
    named = {r"\t": "\t", r"\r": "\r"}
    return re.sub(r"\\u([0-9a-f]{4})|\\[tr]", lambda escape: named.get(escape[0]) or chr(int(escape[1], 16)), text)


LINES = list(table("lines"))
CELLS = list(table("cells"))


@pytest.mark.parametrize(("lines", "outcome", "code"), LINES, ids=[row[0] for row in LINES])
def test_lines_have_the_outcome_that_the_page_names(lines: str, outcome: str, code: str) -> None:
    text = "\n".join(["k,n,s", code_of(lines).replace("⏎", "\n"), LAST_ROW, ""])
    seen = preview(MemoryBlobs({"f": text.encode()}), "f", template=TEMPLATE, params={"delimiter": ","})
    if outcome.startswith("the file is refused"):
        assert [error.code for error in seen.errors] == [code_of(code)]
        return
    assert seen.errors == ()
    rejects = [reject.errors[0].code for reject in seen.rejects.items]
    if outcome.startswith("blank"):
        assert (seen.total_rows, seen.blank_rows, rejects) == (1, 1, [])
    elif outcome.startswith("one row"):
        assert (seen.total_rows, seen.blank_rows, rejects) == (2, 0, [])
    else:
        assert outcome.startswith("the row is rejected")
        assert (seen.total_rows, rejects) == (2, [code_of(code)])


@pytest.mark.parametrize(("column", "cell", "params", "value", "code"), CELLS, ids=[" ".join(row[:3]) for row in CELLS])
def test_cells_have_the_value_or_the_code_that_the_page_names(
    column: str, cell: str, params: str, value: str, code: str
) -> None:
    named = COLUMN.fullmatch(column)
    assert named is not None, column
    rules = CellRules.of(json.loads(code_of(params)) if params else {})
    checked = cells.check(
        column_named(**named.groupdict()), pa.array([code_of(cell)]), required=named["required"] is not None,
        rules=rules,
    )  # fmt: skip
    assert [error.code for _, error in checked.errors] == ([code_of(code)] if code else [])
    if not code:
        assert shown(checked.values[0].as_py()) == (None if value == "nothing" else code_of(value))


def column_named(*, type: str, required: str | None, of: str | None) -> Column:
    """Return the column ``c`` that the page describes."""
    options: dict[str, Any] = {}
    if type == "enum":
        options = {"values": (of or "").split(", ")}
    elif type == "phone":
        options = {"country": of}
    return Column.model_validate(
        {"name": "c", "type": "string" if type == "text" else type, "required": required is not None, **options}
    )


def shown(value: Any) -> str | None:
    """Return a value as the page writes it."""
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case datetime():
            return value.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
        case _:
            return str(value)


def test_the_page_has_both_tables() -> None:
    assert len(LINES) > 10
    assert len(CELLS) > 40
