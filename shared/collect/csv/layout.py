"""The layout of a file: its delimiter, its header, and which column of the template each cell belongs to."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from collect.csv import unseen
from collect.csv.blocks import spoken
from collect.csv.cell_rules import CellRules
from collect.csv.grammar import Grammar
from collect.errors import FieldError, TaskRefused
from collect.jobs.template import Template

DELIMITERS = (",", ";", "\t", "|")
MOST_CELLS = 2_000
MAX_HEADER_BYTES = 1024 * 1024
REJECT_COLUMNS = ("row", "code", "field", "message")
"""Columns of a file of rejects behind the file's own. People correct that file and send it again unchanged otherwise,
so reading leaves these columns out."""
MOST_ERRORS = 20
MOST_CHARACTERS = 100
"""Longest name shown, in characters."""


@dataclass(frozen=True, kw_only=True)
class Params:
    """The sender's parameters for reading the file. ``None`` means: detect it.

    ``skip_lines``: number of physical lines above the header to leave out.
    """

    delimiter: str | None = None
    has_header: bool | None = None
    encoding: str | None = None
    column_map: Mapping[str, str | None] = field(default_factory=dict)
    column_shift: Mapping[str, int] = field(default_factory=dict)
    skip_lines: int = 0
    cells: CellRules = field(default_factory=CellRules)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Params:
        """Return the reading parameters in a job's ``params``."""
        return cls(
            delimiter=params.get("delimiter"),
            has_header=params.get("has_header"),
            encoding=params.get("encoding"),
            column_map=params.get("column_map") or {},
            column_shift=params.get("column_shift") or {},
            skip_lines=params.get("skip_lines") or 0,
            cells=CellRules.of(params),
        )


def is_upsert(params: Mapping[str, Any]) -> bool:
    """Return whether a job with these ``params`` changes rows that are stored already."""
    return bool(params.get("mode") == "upsert")


def keeps_blanks(params: Mapping[str, Any]) -> bool:
    """Return whether a blank cell leaves the stored value unchanged: in an upsert with ``blank: keep``."""
    return is_upsert(params) and params.get("blank") == "keep"


def reads_by_rules(params: Mapping[str, Any]) -> bool:
    """Return whether ``params`` ask for a way to read cells that older releases do not know."""
    return keeps_blanks(params) or CellRules.of(params) != CellRules()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns of a file in its order: the template's name for each, or ``None`` for a column that is left out.

    ``lacking``: column → the first and the last row without a cell of it, because ``column_shift`` moved the column.
    ``unnamed``: number of further columns at the header's end that have no name. ``gaps``: the places, from 0, of
    earlier columns that have no name. No row may have text in a column without a name.
    """

    delimiter: str
    columns: tuple[str | None, ...]
    unnamed: int = 0
    gaps: tuple[int, ...] = ()
    lacking: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def present(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name is not None)


@dataclass(frozen=True, kw_only=True)
class Header:
    """The first record as cells. ``is_header``: it names the columns, so the rows begin after it.

    ``unnamed``: number of cells at its end without a name; ``cells`` does not hold them. ``lines_above``: if the first
    record names no column, the number of lines above the line that looks like the header.
    """

    cells: tuple[str, ...]
    is_header: bool
    delimiter: str
    unnamed: int = 0
    lines_above: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns: the header's, or their places counted from 1."""
        return self.cells if self.is_header else tuple(str(place) for place in range(1, len(self.cells) + 1))


def parse(record: bytes, delimiter: str) -> list[str]:
    """Return the cells of one record as Python's ``csv`` reads them."""
    text = record.decode("utf-8", "replace")
    csv.field_size_limit(max(csv.field_size_limit(), len(record) + 1))
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])


def fitted(cells: Sequence[str], width: int) -> Sequence[str]:
    """Return the cells of a row. Cells behind the file's columns are dropped, if all of these show nothing."""
    return cells[:width] if all(map(unseen.shows_nothing, cells[width:])) else cells


def names_of(cells: Iterable[str], known: frozenset[str]) -> tuple[str, ...]:
    """Return the names in a header: its cells without blanks around them. A cell that is known as it stands is kept."""
    return tuple(cell if cell in known else cell.strip(unseen.BLANKS) for cell in cells)


def cells_of(record: bytes, delimiter: str, width: int) -> Sequence[str]:
    """Return the cells of a row as a person sees them, also where text follows a closing quote."""
    return fitted(parse(Grammar(delimiter, width=width).requoted(record), delimiter), width)


def skip_hint(above: int) -> str:
    """Return the advice for a file with lines above its header."""
    lines = "the first line" if above == 1 else f"the first {above:,} lines"
    return (
        f"Line {above + 1:,} looks like the header: remove {lines} or set skip_lines to {above}, so that the file "
        "begins with it."
    )


def known_names(template: Template, params: Params) -> frozenset[str]:
    """Return the names that a header may have: the template's columns and the keys of ``column_map``."""
    return frozenset(template.names) | frozenset(params.column_map)


def arrange(header: Header, template: Template, params: Params, *, only_key: bool) -> tuple[Layout, list[FieldError]]:
    """Return which cell is which column, and all errors of the header for a person to correct.

    ``only_key``: the file may lack required columns outside the key, since it changes rows that are stored already.
    """
    names = header.names if header.is_header else _by_place(header, template)
    known = known_names(template, params)
    if known.isdisjoint(names_of(names, known)):
        return Layout(delimiter=header.delimiter, columns=(None,) * len(names)), [_none_known(header, template, known)]
    errors: list[FieldError] = []
    columns: list[str | None] = []
    told = len(names) - len(REJECT_COLUMNS) if tuple(names[-len(REJECT_COLUMNS) :]) == REJECT_COLUMNS else len(names)
    for place, name in enumerate(names, start=1):
        if place > told and name not in template.names and name not in params.column_map:
            columns.append(None)
            continue
        column, error = _column(name, place, names, template, params)
        if error is None and column is not None and column in columns:
            error = _twice(name, column, columns.index(column) + 1, place)
        if error is not None:
            errors.append(error)
        columns.append(column)
    errors.extend(_unused(names, params))
    errors.extend(_not_moved(name, columns) for name in params.column_shift if name not in columns)
    wanted = template.key if only_key else [name for name in template.names if template.is_required(name)]
    errors.extend(_missing(name, header) for name in wanted if name not in columns)
    gaps = [place for place, name in enumerate(names) if name not in known and unseen.shows_nothing(name)]
    return (
        Layout(delimiter=header.delimiter, columns=tuple(columns), unnamed=header.unnamed, gaps=tuple(gaps)),
        errors,
    )


def refuse(errors: Sequence[FieldError]) -> TaskRefused:
    """Return the refusal of a file for the errors of its header. It becomes the reason why the job failed."""
    told = [error.message for error in errors[:MOST_ERRORS]]
    if len(errors) > MOST_ERRORS:
        told.append(f"And {len(errors) - MOST_ERRORS} more.")
    return TaskRefused(" ".join(told), code=errors[0].code, where="the header")


def no_rows(header: Header) -> TaskRefused:
    """Return the refusal of a file that has a header and no rows."""
    line = shown(header.delimiter.join(header.cells))
    return TaskRefused(
        f"The file has a header and no rows: nothing follows {line}. If that is a row, set has_header to false.",
        code="no_rows",
    )


def _by_place(header: Header, template: Template) -> tuple[str, ...]:
    names = template.names
    if len(header.cells) != len(names):
        raise TaskRefused(
            f"The file has no header and {len(header.cells):,} columns, with {spoken(header.delimiter)} between its "
            f"cells; the dataset has {len(names):,}: {_listed(names)}. Give it a header, or all of these in this "
            "order. Lines above the first row are left out with skip_lines.",
            code="wrong_number_of_columns", where="row 1",
        )  # fmt: skip
    return names


def _none_known(header: Header, template: Template, known: frozenset[str]) -> FieldError:
    """Return one error for a header that names no known column, instead of two errors for each column.

    The first line is no header then, or it is cut at the wrong delimiter.
    """
    line = header.delimiter.join(header.cells)
    other = other_delimiter(header, known)
    if header.lines_above is not None:
        hint = skip_hint(header.lines_above)
    elif other is not None:
        hint = f"It looks as if its cells were separated by {spoken(other)}: set delimiter to that, or leave it out."
    else:
        hint = "If the file has no header, set has_header to false; if the names are others, set column_map."
    return FieldError(
        "", "unknown_column",
        f"The first line, {shown(line)}, names no column of the dataset when it is read with "
        f"{spoken(header.delimiter)} between its cells. The columns are {_listed(template.names)}. {hint}",
    )  # fmt: skip


def other_delimiter(header: Header, known: frozenset[str]) -> str | None:
    """Return a delimiter that would give known names to a header without any.

    ``None``: the header has a known name already, or no delimiter would give one.
    """
    if not known.isdisjoint(header.cells):
        return None
    line = header.delimiter.join(header.cells)
    return next((each for each in DELIMITERS if not known.isdisjoint(line.split(each))), None)


def _column(
    name: str, place: int, names: Sequence[str], template: Template, params: Params
) -> tuple[str | None, FieldError | None]:
    column = params.column_map.get(name, name)
    if column is None:
        return None, None
    if column in template.names:
        return column, None
    if name in params.column_map:
        return None, _unknown_target(name, column, template)
    if unseen.shows_nothing(name):
        return None, None
    return None, FieldError(
        name, "unknown_column",
        f"Column {place}, {shown(name)}, is not in the dataset. {_advice(name, names, template)}",
    )  # fmt: skip


def wrong_targets(column_map: Mapping[str, str | None], template: Template) -> list[FieldError]:
    """Return the errors of a ``column_map`` that do not depend on the file. Each error names a header of the map.

    A header goes to a column of the template or to none, and no two headers go to the same column.
    """
    errors: list[FieldError] = []
    first: dict[str, str] = {}
    for header, column in column_map.items():
        if column is None:
            continue
        if column not in template.names:
            errors.append(_unknown_target(header, column, template))
        elif (other := first.setdefault(column, header)) != header:
            said = (
                f"column_map sends both {shown(other)} and {shown(header)} to {column!r}. Send one of them elsewhere."
            )
            errors.append(FieldError(header, "duplicate_column", said))
    return errors


def _unknown_target(header: str, column: str, template: Template) -> FieldError:
    said = (
        f"column_map sends {shown(header)} to {shown(column)}, which is no column of the dataset. "
        f"The columns are {_listed(template.names)}."
    )
    return FieldError(header, "unknown_column", said)


def unknown_columns(param: str, names: Iterable[str], template: Template) -> list[FieldError]:
    """Return an error for each of ``names`` that is no column of the template. ``names`` are the keys of ``param``."""
    return [
        FieldError(
            name, "unknown_column",
            f"{param} names {shown(name)}, which is no column of the dataset. "
            f"The columns are {_listed(template.names)}.",
        )
        for name in names
        if name not in template.names
    ]  # fmt: skip


def _advice(name: str, names: Sequence[str], template: Template) -> str:
    close = next((known for known in template.names if _folded(known) == _folded(name)), None)
    if close is None:
        return "Remove it, or map it to null in column_map."
    if close in names:
        return f"Column {names.index(close) + 1} is {close!r} already: remove one of them."
    if name.strip(unseen.BLANKS) == close:
        rename = "Set trim to true, which drops the blanks around names and cells; or rename it"
    else:
        rename = "Rename it"
    return f"Do you mean {close!r}? {rename}, or set column_map to {json.dumps({name: close}, ensure_ascii=False)}."


def _twice(name: str, column: str, first: int, place: int) -> FieldError:
    mapped = "" if name == column else f" (column_map sends {shown(name)} there)"
    said = f"Columns {first} and {place} are both {column!r}{mapped}. Remove one of them, or rename it."
    return FieldError(name, "duplicate_column", said)


def _unused(names: Sequence[str], params: Params) -> list[FieldError]:
    return [
        FieldError(
            name,
            "unknown_column",
            f"column_map names {shown(name)}, which the file does not have. It has {_listed(names)}.",
        )
        for name in params.column_map
        if name not in names
    ]


def _not_moved(name: str, columns: Sequence[str | None]) -> FieldError:
    there = _listed([column for column in columns if column is not None])
    said = f"column_shift names {shown(name)}, which is no column of the file. It has {there}."
    return FieldError(name, "unknown_column", said)


def _missing(name: str, header: Header) -> FieldError:
    hint = " Add it, or map the column that has it in column_map."
    if len(header.cells) == 1:
        hint = f" The file has one column only when it is read with {spoken(header.delimiter)} between its cells."
    return FieldError(name, "missing_column", f"Column {name!r} is missing.{hint}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_ERRORS]) + (", …" if len(names) > MOST_ERRORS else "")


def shown(name: str) -> str:
    """Return a name in quotes, cut to a length that fits into a message."""
    return repr(name if len(name) <= MOST_CHARACTERS else name[:MOST_CHARACTERS] + "…")


def _folded(name: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKC", name).casefold() if letter.isalnum())
