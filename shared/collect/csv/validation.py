"""Validation of records: the typed columns of a chunk's rows, and the rejected rows with their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from collect.csv import cells, wrong_cells
from collect.csv.cell_rules import CellRules
from collect.csv.layout import Layout
from collect.csv.reading import Lot
from collect.csv.row_cells import RowCells
from collect.errors import FieldError
from collect.jobs.outcomes import Reject
from collect.jobs.template import Column, ColumnType, Template, key_text

MAX_KEY_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class Valid:
    """The rows that can be written: numbers (int64), keys (texts) and typed columns, all in the order of the file."""

    rows: pa.Array
    keys: pa.Array
    columns: Mapping[str, pa.Array]


class Validator:
    """A validator of the records of one file by a template.

    ``rules``: how texts become values. ``keeps_blanks``: a blank cell leaves the stored value unchanged, so only the
    columns of the key are required. A row that makes a new document is checked again when it is written.
    """

    def __init__(
        self, *, template: Template, layout: Layout, rules: CellRules | None = None, keeps_blanks: bool = False
    ) -> None:
        self._rules = rules or CellRules()
        self._keeps_blanks = keeps_blanks
        self._template = template
        self._layout = layout
        self._cells = RowCells(layout)
        self._columns = [column for column in template.columns if column.name in layout.present]
        self._places = {column.name: place for place, column in enumerate(template.columns)}

    def validate(self, lot: Lot) -> tuple[Valid, tuple[Reject, ...]]:
        """Validate the records of ``lot``. Rejects have their errors in the template's order."""
        table, wrong = self._cells.parse(lot)
        texts = {name: _one(table.column(name)) for name in self._layout.present}
        read = [row for row in lot.numbers if row not in wrong] if wrong else lot.numbers
        rows = pa.array(read, pa.int64())
        checked, errors = self._check(texts, data=lot.data)
        self._mind_lacking(rows, errors)
        found = {read[index]: each for index, each in errors.items()}
        found.update({row: [error] for row, error in wrong.items()})
        rejects = tuple(
            Reject(row=row, line=lot.line(row), errors=self._ordered(each)) for row, each in sorted(found.items())
        )
        if errors:
            good = [index for index in range(len(rows)) if index not in errors]
            taken = pa.array(good, pa.int64())
            rows, checked = rows.take(taken), {name: values.take(taken) for name, values in checked.items()}
        return Valid(rows=rows, keys=self.keys(checked), columns=checked), rejects

    def keys(self, columns: Mapping[str, pa.Array]) -> pa.Array:
        """Return the key of each row as a text."""
        parts = [_as_text(self._template.column(name), columns[name]) for name in self._template.key]
        if len(parts) == 1:
            return parts[0]
        rows = zip(*(part.to_pylist() for part in parts), strict=True)
        return pa.array([key_text(row) for row in rows], pa.string())

    def _check(
        self, texts: Mapping[str, pa.Array], *, data: bytes
    ) -> tuple[dict[str, pa.Array], dict[int, list[FieldError]]]:
        columns: dict[str, pa.Array] = {}
        errors: dict[int, list[FieldError]] = {}
        may_be_long, may_have_nul = len(data) > cells.MAX_FIELD_BYTES, b"\0" in data
        for column in self._columns:
            is_key = column.name in self._template.key
            cell_texts = texts[column.name]
            if may_be_long or may_have_nul:
                safe = cells.check_texts(column, cell_texts, may_be_long=may_be_long, may_have_nul=may_have_nul)
                cell_texts = safe.values
                _collect(errors, safe.errors)
            required = is_key or (column.required and not self._keeps_blanks)
            checked = cells.check(
                column, cell_texts, required=required, rules=self._rules, keeps_blanks=self._keeps_blanks
            )
            columns[column.name] = checked.values
            _collect(errors, checked.errors)
            if is_key:
                _collect(errors, _too_long(column, checked.values))
        return columns, errors

    def _mind_lacking(self, rows: pa.Array, errors: dict[int, list[FieldError]]) -> None:
        for name, (first, last) in self._layout.lacking.items():
            error = FieldError(name, "no_cell", f"column_shift leaves this row without a cell of {name}.")
            within = pc.and_(pc.greater_equal(rows, first), pc.less_equal(rows, last))
            for index in pc.indices_nonzero(within).to_pylist():
                errors.setdefault(index, []).insert(0, error)

    def _ordered(self, errors: list[FieldError]) -> tuple[FieldError, ...]:
        """Return one error for each column: the first that was found."""
        first = {error.field: error for error in reversed(errors)}
        return tuple(sorted(first.values(), key=lambda error: self._places.get(error.field, -1)))


def _collect(errors: dict[int, list[FieldError]], found: Sequence[tuple[int, FieldError]]) -> None:
    for index, error in found:
        errors.setdefault(index, []).append(error)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _too_long(column: Column, values: pa.Array) -> list[tuple[int, FieldError]]:
    if column.type not in (ColumnType.STRING, ColumnType.ENUM):
        return []
    long = pc.greater(pc.binary_length(values), MAX_KEY_BYTES)
    return [(index, _key_too_long(column, values[index].as_py())) for index in pc.indices_nonzero(long).to_pylist()]


def _key_too_long(column: Column, text: str) -> FieldError:
    said = (
        f"{column.name} {wrong_cells.excerpt(text)} has {len(text.encode()):,} bytes; in a key it has at most "
        f"{MAX_KEY_BYTES:,}. Shorten it."
    )
    return FieldError(column.name, "key_too_long", said)


def _as_text(column: Column, values: pa.Array) -> pa.Array:
    """Return a column of the key as texts. Equal values have equal texts, and different values different ones."""
    if column.type is ColumnType.DATE:
        return pc.strftime(values, format="%Y-%m-%d")
    if column.type is ColumnType.DATETIME:
        return pc.strftime(values, format="%Y-%m-%dT%H:%M:%SZ")
    return values.cast(pa.string())
