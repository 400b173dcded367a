"""The preview of a file before a job reads it: its columns, its size, and the rows that would be rejected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collect.checks import damaged_text, sampling
from collect.checks.column_fit import FileColumn
from collect.checks.line_counts import FileLines
from collect.checks.row_sample import RowSample
from collect.checks.warning import Warning
from collect.csv import layout
from collect.csv.cell_rules import CellRules
from collect.csv.files import Opened, open_file
from collect.csv.layout import Layout, Params
from collect.csv.reading import Lot
from collect.csv.sources import Readable
from collect.csv.validation import Valid, Validator
from collect.errors import FieldError, TaskRefused
from collect.jobs.model import FileRef
from collect.jobs.outcomes import Reject
from collect.jobs.template import Template

Look = Callable[[Lot, Valid], Mapping[int, Sequence[FieldError]] | None]
"""A function that checks rows which are valid by the template. It gets them in the file's order.

It returns row → what else is wrong with it, or ``None`` when it needs no more rows: these rows and all after them are
then not part of the sample.
"""
FIRST_ROWS = 10
SAMPLES = 3
MOST_REJECTS = 50

_SEEN = (
    ("integer", r"\A-?[0-9]{1,18}\z"),
    ("number", r"\A-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\z"),
    ("date", r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"),
    ("datetime", r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}.*\z"),
    ("phone", r"\A\+[0-9][0-9 ()/-]{6,20}\z"),
    ("boolean", r"(?i)\A(true|false|yes|no)\z"),
)


@dataclass(frozen=True, kw_only=True)
class SeenColumn:
    """A column of the file.

    ``mapped_to``: the column of the template that it fills, if any. ``type_seen``: the type that all sampled cells look
    like.
    """

    header: str
    mapped_to: str | None
    type_seen: str
    samples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SampledRejects:
    """The rejects among ``sampled_rows`` rows from all over the file.

    ``items``: some of the rejects. ``estimate``: how many rejects the whole file would have.
    """

    sampled_rows: int = 0
    rejected_rows: int = 0
    estimate: int = 0
    items: tuple[Reject, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CsvPreview:
    """The preview of a CSV file.

    ``errors``: why the job would fail; none if it would not. ``total_rows``: the exact number of rows, or ``None`` if
    the file could not be read to its end. ``sampled``: cells from all over the file, one entry for each column of the
    template that the file has; empty if there are errors. ``blank_rows``: how many lines are blank, as far as the file
    was read. ``warnings``: likely mistakes in the file's lines and cells.
    """

    delimiter: str | None = None
    encoding: str | None = None
    has_header: bool | None = None
    columns: tuple[SeenColumn, ...] = ()
    first_rows: tuple[dict[str, str], ...] = ()
    total_rows: int | None = None
    rejects: SampledRejects = field(default_factory=SampledRejects)
    errors: tuple[FieldError, ...] = ()
    sampled: tuple[FileColumn, ...] = ()
    blank_rows: int = 0
    warnings: tuple[Warning, ...] = ()


def preview(
    blobs: Readable,
    blob_name: str,
    *,
    template: Template,
    params: Mapping[str, Any],
    sent: FileRef | None = None,
    first_rows: int | None = None,
    look: Look | None = None,
) -> CsvPreview:
    """Read the whole file once, in flat memory, and validate its rows: all of them, or a sample if the file is big.

    It blocks until the file is read (see :mod:`collect.checks.row_sample` for the sample).

    ``params``: those of the job. ``sent``: compare the file's bytes with what the client sent. ``first_rows``: take
    this many rows from the beginning as the sample, instead of rows from all over the file. ``look``: a further check
    of the sampled rows. If the file is wrong, the preview's ``errors`` say so; no :class:`TaskRefused` is raised.
    """
    how = Params.of(params)
    try:
        opened = open_file(blobs, blob_name, template=template, params=how, sent=sent)
        arranged, errors = layout.arrange(opened.header, template, how, only_key=layout.is_upsert(params))
    except TaskRefused as refused:
        return CsvPreview(errors=(_told(refused),))
    sample = RowSample(opened.grammar, width=len(arranged.columns), first_rows=first_rows)
    lines = FileLines(width=len(arranged.columns), delimiter=opened.header.delimiter)
    total: int | None = None
    try:
        for block in opened.blocks():
            if block is not None:
                sample.take(block)
                lines.look(block)
        total = sample.rows
    except TaskRefused as refused:
        if arranged.present or not errors:  # else no column is known, and `errors` already says why the rows are wrong
            errors = [*errors, _told(refused)]
    if total == 0:
        errors = [*errors, _told(layout.no_rows(opened.header))]
    return CsvPreview(
        delimiter=opened.header.delimiter,
        encoding=opened.text.encoding,
        has_header=opened.header.is_header,
        columns=_columns(opened, arranged, sample),
        first_rows=_first_rows(opened, sample),
        total_rows=total,
        rejects=SampledRejects()
        if errors
        else _rejects(sample, template, _lacking(opened, arranged, total), params, look),
        errors=tuple(errors),
        sampled=() if errors else sampling.columns(opened, arranged, template, sample.records, how.cells),
        blank_rows=lines.blank + opened.blank_rows,
        warnings=(
            *lines.warnings(blank=lines.blank + opened.blank_rows),
            *(() if errors else _damaged(sample, opened, arranged, template, how)),
        ),
    )


def _lacking(opened: Opened, arranged: Layout, total: int | None) -> Layout:
    return replace(arranged, lacking=opened.lacking(1, total or 0))


def _told(refused: TaskRefused) -> FieldError:
    return FieldError(refused.where or "file", refused.code, refused.detail)


def _rejects(
    sample: RowSample, template: Template, arranged: Layout, params: Mapping[str, Any], look: Look | None
) -> SampledRejects:
    validator = Validator(
        template=template,
        layout=arranged,
        rules=CellRules.of(params),
        keeps_blanks=layout.keeps_blanks(params),
    )
    items: list[Reject] = []
    sampled = rejected = 0
    for lot in sample.lots():
        valid, of_template = validator.validate(lot)
        others = look(lot, valid) if look else {}
        if others is None:
            break
        of_look = (Reject(row=row, line=lot.line(row), errors=tuple(wrong)) for row, wrong in others.items())
        rejects = sorted((*of_template, *of_look), key=lambda reject: reject.row)
        sampled += lot.rows
        rejected += len(rejects)
        items.extend(sampling.spread(rejects, MOST_REJECTS))
    return SampledRejects(
        sampled_rows=sampled,
        rejected_rows=rejected,
        estimate=round(rejected * sample.rows / sampled) if sampled else 0,
        items=tuple(sampling.spread(items, MOST_REJECTS)),
    )


def _damaged(sample: RowSample, opened: Opened, arranged: Layout, template: Template, how: Params) -> list[Warning]:
    return damaged_text.find(
        sample.numbered(), arranged, template, how.cells,
        looked_at=sample.sampled_rows, total_rows=sample.rows,
        encoding=opened.text.encoding if how.encoding is not None and opened.text.encoding != "utf-8" else None,
    )  # fmt: skip


def _first_rows(opened: Opened, sample: RowSample) -> tuple[dict[str, str], ...]:
    names = opened.header.names
    parsed = (layout.parse(record, opened.grammar.delimiter) for record in sample.first(FIRST_ROWS))
    return tuple(dict(zip(names, cells, strict=False)) for cells in parsed)


def _columns(opened: Opened, arranged: Layout, sample: RowSample) -> tuple[SeenColumn, ...]:
    parsed = [layout.parse(record, opened.grammar.delimiter) for record in sampling.spread(sample.records, 1_000)]
    seen = []
    for place, (name, column) in enumerate(zip(opened.header.names, arranged.columns, strict=True)):
        texts = [cells[place] for cells in parsed if place < len(cells) and cells[place]]
        samples = tuple(dict.fromkeys(texts[:100]))[:SAMPLES]
        seen.append(SeenColumn(header=name, mapped_to=column, type_seen=type_seen(texts), samples=samples))
    return tuple(seen)


def type_seen(texts: Sequence[str]) -> str:
    """Return the type that all of ``texts`` look like: ``string`` if no other fits, ``empty`` if there are no texts."""
    if not texts:
        return "empty"
    column = pa.array(texts, pa.string())
    for name, pattern in _SEEN:
        if pc.all(pc.match_substring_regex(column, pattern=pattern)).as_py():
            return name
    return "string"
