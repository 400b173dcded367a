"""What an upsert would empty: counted by column, exactly in small files, estimated and said so in big ones."""

from typing import Any

import pyarrow as pa

from collect.checks.cleared_values import BlankCells
from collect.csv.validation import Valid

STORED: dict[str, dict[str, Any]] = {
    f"k{n}": {"phone": "+4930901820", "age": 3 if n % 2 else None, "tags": []} for n in range(10)
}


def looked(*blank: str) -> BlankCells:
    cells = BlankCells()
    for n in range(10):
        cells.add_row(n + 1, f"k{n}", blank)
    return cells


def test_stored_values_under_blank_cells_are_counted_by_column() -> None:
    cells = looked("phone", "age", "tags")
    (warning,) = cells.warnings(STORED, looked_at=10, total_rows=10)
    assert warning.columns == ("phone", "age")
    assert "10 of 10 of `phone` (first in row 1), 5 of 5 of `age` (first in row 2)" in warning.message
    assert warning.suggestion == {"blank": "keep"}


def test_where_nothing_is_stored_or_nothing_is_blank_there_is_no_warning() -> None:
    assert not looked("tags").warnings(STORED, looked_at=10, total_rows=10)
    assert not looked("phone").warnings({}, looked_at=10, total_rows=10)
    assert not looked().warnings(STORED, looked_at=10, total_rows=10)


def test_a_sample_says_how_many_rows_were_looked_at_and_estimates_the_rest() -> None:
    (warning,) = looked("phone").warnings(STORED, looked_at=20, total_rows=1_000)
    assert "among the 20 rows looked at, of 1,000" in warning.message
    assert warning.evidence["phone"]["estimate"] == 500


def test_the_last_row_of_a_key_counts() -> None:
    cells = looked("phone")
    cells.add_row(11, "k0", ())
    (warning,) = cells.warnings(STORED, looked_at=11, total_rows=11)
    assert (warning.evidence["phone"]["cleared"], warning.evidence["phone"]["stored"]) == (9, 10)


def test_text_that_shows_nothing_empties_what_is_stored() -> None:
    texts = ["x", " ", "\u00a0", "\u200b", None, ""]
    cells = BlankCells()
    keys = pa.array([f"k{n}" for n in range(6)])
    columns = {"s": pa.array(texts), "n": pa.array([1, 2, 3, 4, 5, None], pa.int64())}
    cells.add(Valid(rows=pa.array(range(1, 7), pa.int64()), keys=keys, columns=columns))
    stored: dict[str, dict[str, Any]] = {f"k{n}": {"s": "Pune", "n": 7} for n in range(6)}
    (warning,) = cells.warnings(stored, looked_at=6, total_rows=6)
    assert {name: each["cleared"] for name, each in warning.evidence.items()} == {"s": 5, "n": 1}
    assert warning.evidence["s"]["rows"] == [2, 3, 4]


def test_a_stored_text_that_shows_nothing_is_no_value_to_lose() -> None:
    assert not looked("phone").warnings({"k1": {"phone": "\u00a0"}}, looked_at=10, total_rows=10)
