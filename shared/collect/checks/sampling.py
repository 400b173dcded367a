"""Samples of a file's cells, for the checks that look for mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from collect.checks.column_fit import FileColumn
from collect.csv import layout
from collect.csv.cell_rules import CellRules
from collect.csv.cells import plain_texts
from collect.csv.files import Opened, open_file
from collect.csv.layout import Layout, Params
from collect.csv.reading import Lot
from collect.csv.sources import Readable
from collect.jobs.template import Template

MOST_ROWS = 1_000

T = TypeVar("T")


def columns(
    opened: Opened, arranged: Layout, template: Template, records: Sequence[bytes], rules: CellRules
) -> tuple[FileColumn, ...]:
    """Return the columns of the file that the template knows, each with its cells in at most 1,000 of ``records``.

    ``rules`` say how the cells are read. A row whose number of cells differs from the header's is left out.
    """
    delimiter, width = opened.grammar.delimiter, len(arranged.columns)
    parsed = (
        layout.fitted(layout.parse(record, delimiter), width)
        for record in spread(records, MOST_ROWS)
        if opened.grammar.stray(record) is None
    )
    rows = [cells for cells in parsed if len(cells) == width]
    names = opened.header.names if opened.header.is_header else template.names  # the names that column_map uses
    return tuple(
        FileColumn(
            header=name,
            column=template.column(column),
            texts=plain_texts(template.column(column), [cells[place] for cells in rows], rules),
            is_key=template.key == (column,),
        )
        for place, (name, column) in enumerate(zip(names, arranged.columns, strict=True))
        if column is not None
    )


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The first rows of a file."""

    opened: Opened
    layout: Layout
    records: Sequence[bytes]

    @property
    def lot(self) -> Lot:
        return Lot.of(self.records, row=1, grammar=self.opened.grammar)


def beginning(
    blobs: Readable, blob_name: str, *, template: Template, params: Mapping[str, Any], most_rows: int
) -> Beginning | None:
    """Return at most ``most_rows`` rows from the first block of a file; ``None`` if its header is wrong or it is empty.

    Raises:
        TaskRefused: the first block cannot be read.
        NotFound: there is no such blob.
    """
    how = Params.of(params)
    opened = open_file(blobs, blob_name, template=template, params=how)
    arranged, errors = layout.arrange(opened.header, template, how, only_key=layout.is_upsert(params))
    first = next((block for block in opened.blocks() if block), None)
    if errors or first is None:
        return None
    records = opened.grammar.split(first.data, final=True).lines[:most_rows]
    return Beginning(opened=opened, layout=arranged, records=records)


def spread(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most ``most`` of the items, spread evenly over all of them."""
    if len(items) <= most:
        return items
    return [items[place * len(items) // most] for place in range(most)]
