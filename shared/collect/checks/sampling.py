"""Some cells of each column of a file, as the checks for mistakes want them."""

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
    """The template's columns with their cells in ``records``, or in as many from all over these as are enough.

    The cells are as ``rules`` read them. A row that has another number of cells than the header is left out.
    """
    delimiter, width = opened.grammar.delimiter, len(arranged.columns)
    parsed = (
        layout.fitted(layout.parse(record, delimiter), width)
        for record in spread(records, MOST_ROWS)
        if opened.grammar.stray(record) is None
    )
    rows = [cells for cells in parsed if len(cells) == width]
    names = opened.header.names if opened.header.is_header else template.names  # what column_map calls them
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
    """The rows that a file begins with."""

    opened: Opened
    layout: Layout
    records: Sequence[bytes]

    @property
    def lot(self) -> Lot:
        return Lot.of(self.records, row=1, grammar=self.opened.grammar)


def beginning(
    blobs: Readable, blob_name: str, *, template: Template, params: Mapping[str, Any], most_rows: int
) -> Beginning | None:
    """The first rows of a file, as far as one block goes; nothing if its header is not right.

    Raises:
        TaskRefused: it cannot be read so far.
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
    """Return at most ``most`` of the items, evenly from all over them."""
    if len(items) <= most:
        return items
    return [items[place * len(items) // most] for place in range(most)]
