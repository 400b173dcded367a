"""The rows of a chunk that are valid, one for each key, ready to be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from collect.csv.cells import excerpt
from collect.csv.validation import Valid
from collect.errors import FieldError
from collect.jobs.outcomes import Reject
from collect.jobs.template import Template, row_id_prefix
from upload_worker import documents


@dataclass(frozen=True, kw_only=True)
class Batch:
    """``ids``, ``rows`` and ``bodies`` of the rows that win within the chunk; ``others`` are the rows that do not.

    ``lacking``: required columns that the file does not have, so that it can change rows but not make any.
    """

    ids: list[str]
    rows: list[int]
    bodies: pa.Array
    others: list[tuple[int, str]]
    names: frozenset[str]
    lacking: tuple[str, ...]
    key: tuple[str, ...]
    prefix: str
    first_row: int
    records: Sequence[bytes]

    def line(self, row: int) -> str:
        """The original text of a row of the chunk."""
        return self.records[row - self.first_row].decode("utf-8", "replace")

    def duplicate(self, document_id: str, first: int | None) -> FieldError:
        """The error of a row whose key is that of row ``first``, or of a row that was there before the file."""
        return FieldError(self.key[0], "duplicate_key", self.duplicate_message(document_id, first))

    def duplicate_message(self, document_id: str, first: int | None) -> str:
        key = f"{', '.join(self.key)} {excerpt(document_id.removeprefix(self.prefix))}"
        if first is None:
            return f"{key} is in the dataset already."
        return f"{key} is that of row {first:,}; the first row of a file with a key counts."

    def reject(self, row: int, *errors: FieldError) -> Reject:
        return Reject(row=row, line=self.line(row), errors=errors)


def make(
    valid: Valid,
    *,
    org_id: str,
    dataset: str,
    template: Template,
    upsert: bool,
    first_row: int,
    records: Sequence[bytes],
) -> Batch:
    """Find the row that wins for each key within the chunk (insert: the first, upsert: the last) and encode them."""
    prefix = row_id_prefix(org_id=org_id, dataset=dataset)
    ids = [prefix + key for key in valid.keys]
    winners, others = _winners(ids, last=upsert)
    columns, rows = valid.columns, valid.rows
    if others:
        columns = _taken(columns, winners)
    won_ids, won_rows = [ids[place] for place in winners], [rows[place] for place in winners]
    return Batch(
        ids=won_ids,
        rows=won_rows,
        bodies=documents.bodies(
            ids=won_ids, head={"org_id": org_id, "dataset": dataset}, columns=columns, rows=won_rows
        ),
        others=[(rows[place], ids[place]) for place in others],
        names=frozenset(columns),
        lacking=tuple(name for name in template.names if template.is_required(name) and name not in columns),
        key=template.key,
        prefix=prefix,
        first_row=first_row,
        records=records,
    )


def _winners(ids: Sequence[str], *, last: bool) -> tuple[Sequence[int], Sequence[int]]:
    if len(set(ids)) == len(ids):
        return range(len(ids)), ()
    places = range(len(ids)) if last else range(len(ids) - 1, -1, -1)
    chosen = {ids[place]: place for place in places}
    winners = sorted(chosen.values())
    return winners, sorted(set(range(len(ids))) - set(winners))


def _taken(columns: Mapping[str, Any], places: Sequence[int]) -> dict[str, Any]:
    taken = pa.array(places, pa.int64())
    return {name: column.take(taken) for name, column in columns.items()}
