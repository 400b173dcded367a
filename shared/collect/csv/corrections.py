"""Corrections of rejected rows: which rows a person corrects, and the new cells with which they are read again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from collect.csv import delimiters, encodings, layout, unseen
from collect.csv.blocks import MAX_RECORD_BYTES, TEXT_AFTER_QUOTE, Block, stray_sentence
from collect.csv.files import Opened, open_file
from collect.csv.layout import REJECT_COLUMNS, Params
from collect.csv.sources import Readable
from collect.errors import FieldError, InvalidInput, TaskRefused, TooLarge
from collect.jobs.template import Template

ROW = REJECT_COLUMNS[0]
MOST_ROWS = 10_000
"""Most rows of one correction: as many as the rejects that are stored for a job."""
MOST_KEPT_BYTES = 15 * 1024 * 1024
"""Most bytes of a row's text before and after its correction together: one document of its history holds both."""
MOST_ERRORS = 20
_ROW_NUMBER = re.compile(r"0*([1-9][0-9]{0,14})(?:\.0+)?")
"""A row's number. Programs that keep numbers as fractions write ``17.0``."""
LONGEST_MARK_BYTES = 4
_EITHER_RETURN = "\r\n"
"""Line end for Python's CSV writer: it quotes a cell for the characters of its own line end only."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The columns of a job's file: ``headers`` are their names in the header, ``columns`` those in the template.

    A column that the header does not name has its template name in ``headers`` too. ``None`` in ``columns``: the column
    is left out.
    """

    headers: tuple[str, ...]
    columns: tuple[str | None, ...]
    delimiter: str

    def place(self, name: str, *, by_header: bool) -> int | None:
        """Return the place of the column with that name, or ``None``.

        ``by_header``: the name is looked up in the header first and then in the template; else the other way round. One
        name may fit two columns, so the order matters.
        """
        first, second = (self.headers, self.columns) if by_header else (self.columns, self.headers)
        for names in (first, second):
            if name in names:
                return names.index(name)
        return None

    def says(self, given: Given, name: str) -> bool:
        """Return whether a correction gives a value for that column, of which the row had no cell.

        In a line of a file an empty cell gives no value. In JSON an empty text does.
        """
        cell = given.cells.get(self.columns.index(name))
        return bool(cell) if given.is_line else cell is not None

    def cell(self, cells: Sequence[str], name: str) -> str | None:
        """Return the cell of that template column; ``None`` if the row has not one cell for each column of the file."""
        return cells[self.columns.index(name)] if len(cells) == len(self.columns) else None

    def parsed(self, line: str) -> list[str]:
        """Return a row's own cells, as many as the row has."""
        return list(layout.cells_of(line.encode(), self.delimiter, len(self.columns)))

    def shown(self, cells: Sequence[str]) -> list[str]:
        """Return a row's cells as a file of rejects shows them: exactly one for each column."""
        return [*cells, *[""] * len(self.columns)][: len(self.columns)]

    def corrected(self, line: str, given: Given) -> list[str]:
        """Return the row's cells with the given ones in their places: one for each column of the file.

        A row with another number of cells is corrected as a file of rejects shows it. Then all of its cells have to be
        given.

        Raises:
            ValueError: such a row lacks a cell, so that it is not clear which cell is which.
        """
        cells, own = given.cells, self.parsed(line)
        if len(own) != len(self.columns):
            used = {place for place, column in enumerate(self.columns) if column is not None}
            if not used <= cells.keys():
                raise ValueError(f"has {len(own):,} cells, and the file has {len(self.columns):,} columns")
            own = self.shown(own) if given.is_line else [""] * len(self.columns)
        return [cells.get(place, cell) for place, cell in enumerate(own)]

    def correct(self, line: str, given: Given) -> str:
        """Return the row's text with the given cells in their places.

        Raises:
            ValueError: see :meth:`corrected`.
        """
        return record(self.corrected(line, given), self.delimiter)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A corrected row: its number, and the cells that change, by place.

    ``is_line``: the row is a line of a file, so ``cells`` holds all of its cells, changed or not. ``mapped``: the
    places of cells that a ``value_map`` has replaced.
    """

    row: int
    cells: Mapping[int, str]
    is_line: bool = False
    mapped: frozenset[int] = frozenset()


@dataclass(kw_only=True)
class Errors:
    """The errors of a correction, for a person to fix. Only the first ones are kept; all are counted."""

    found: list[FieldError] = field(default_factory=list)
    count: int = 0

    def add(self, field: str, code: str, message: str) -> None:
        self.count += 1
        if len(self.found) < MOST_ERRORS:
            self.found.append(FieldError(field, code, message))

    def check(self) -> None:
        """Raise the errors, if there are any.

        Raises:
            InvalidInput: there are errors.
        """
        if not self.count:
            return
        told = " ".join(error.message for error in self.found)
        more = f" And {self.count - len(self.found):,} more." if self.count > len(self.found) else ""
        raise InvalidInput(told + more, code=self.found[0].code, errors=self.found)


def from_values(rows: Iterable[tuple[int, Mapping[str, str]]], sheet: Sheet) -> list[Given]:
    """Return the corrected rows of a JSON request, sorted by row. ``rows``: row number → column name → new text.

    A column is found by its name in the template, else by its name in the header.

    Raises:
        InvalidInput: a column does not exist or is given twice, a row is given twice, or there are no rows.
    """
    errors = Errors()
    given: list[Given] = []
    for row, values in rows:
        cells: dict[int, str] = {}
        for name, text in values.items():
            place = sheet.place(name, by_header=False)
            if place is None:
                errors.add(name, "unknown_column", f"Row {row:,}: {shown(name)} is no column of the file.")
            elif place in cells:
                errors.add(name, "duplicate_column", f"Row {row:,}: {shown(name)} is given twice, by two names.")
            else:
                cells[place] = text
        given.append(Given(row=row, cells=cells))
    return _distinct(given, errors)


def from_csv(
    blobs: Readable,
    name: str,
    *,
    sheet: Sheet,
    template: Template,
    encoding: str | None = None,
    delimiter: str | None = None,
    has_header: bool = True,
    skip_lines: int = 0,
    keeps_blanks: bool = False,
    most_bytes: int,
    look: Callable[[Opened, Block], None] | None = None,
) -> list[Given]:
    """Return the corrected rows of a CSV that looks like a file of rejects, sorted by row.

    The column ``row`` says which row of the job's file a line corrects. The other columns are that row's cells. They
    have the names of the job's header, or else of the template. The columns that tell what was wrong are ignored, and
    so is a line that is empty apart from them. ``encoding``: the text's encoding; without it UTF-8, or the one that the
    file's mark (BOM) names. Without a header the columns are those of a file of rejects. ``keeps_blanks``: a blank cell
    changes nothing. ``look`` is called with each block of the file. Errors name lines of the file; the header and
    skipped lines count.

    Raises:
        InvalidInput: the file is no CSV, or does not hold rows of this job.
        TooLarge: the text, unpacked if the file was packed, has more than ``most_bytes``.
    """
    params = Params(
        encoding=encoding or encodings.mark_of(blobs.read(name, 0, LONGEST_MARK_BYTES)),
        delimiter=delimiter,
        skip_lines=skip_lines,
        has_header=has_header,
        column_map=dict.fromkeys((*sheet.headers, *REJECT_COLUMNS), None),
    )
    try:
        width = len(sheet.headers) + len(REJECT_COLUMNS)
        opened = open_file(blobs, name, template=template, params=params, width=width)
        given = _read(opened, sheet, most_bytes, look)
    except TaskRefused as refused:
        where = f"{refused.where}: " if refused.where and refused.where not in refused.detail else ""
        raise InvalidInput(f"{where}{refused.detail}", code=refused.code) from refused
    return [_without_blanks(one) for one in given] if keeps_blanks else given


def _without_blanks(given: Given) -> Given:
    return replace(given, cells={place: text for place, text in given.cells.items() if not unseen.shows_nothing(text)})


def _read(opened: Opened, sheet: Sheet, most_bytes: int, look: Callable[[Opened, Block], None] | None) -> list[Given]:
    errors = Errors()
    names = _without_unnamed(opened.header.cells) if opened.header.is_header else (*sheet.headers, *REJECT_COLUMNS)
    number, places = _header(names, sheet, errors)
    above = opened.header.lines_above
    if errors.count and above is not None:
        errors = Errors()
        hint = layout.skip_hint(above)
        errors.add("", "unknown_column", f"The first line names no column of the job's file. {hint}")
    elif errors.count and opened.header.is_header and (above := _lines_above(opened, most_bytes)) is not None:
        errors.add("", "unknown_column", layout.skip_hint(above))
    errors.check()
    given: list[Given] = []
    width = len(names)
    fewest = max(number, *places) + 1 if places else number + 1
    for line, found, stray in _cells(opened, most_bytes, look):
        if stray is not None:
            errors.add("", TEXT_AFTER_QUOTE, stray)
            continue
        cells = _fitted(found, width, fewest=fewest)
        if cells is None:
            said = f"Line {line:,} has {len(found):,} cells; the header has {width:,}."
            errors.add("", "wrong_number_of_cells", said)
            continue
        text = cells[number].strip()
        own = {place: cells[at] for at, place in places.items()}
        if not text and not any(own.values()):
            continue
        row = _ROW_NUMBER.fullmatch(text)
        if row is None:
            said = f"Line {line:,}: {shown(text)} is no number of a row."
            errors.add(ROW, "not_a_row", said)
            continue
        given.append(Given(row=int(row[1]), cells=own, is_line=True))
        if len(given) > MOST_ROWS:
            break
    return _distinct(given, errors)


def _lines_above(opened: Opened, most_bytes: int) -> int | None:
    """Return the number of lines above a line that looks like the header; ``None`` if none of the first lines does."""
    try:
        for line, cells, _ in islice(_cells(opened, most_bytes, None), delimiters.MOST_LINES_ABOVE):
            if ROW in map(_folded, cells):
                return line - 1
    except (TaskRefused, TooLarge):
        pass
    return None


def _folded(name: str) -> str:
    """Return a header's name in lower case (case-folded), without the blanks around it."""
    return name.strip().casefold()


def _without_unnamed(names: Sequence[str]) -> Sequence[str]:
    """Return a header without the empty names at its end, which spreadsheets leave there."""
    return names[
        : max((place for place, name in enumerate(names, start=1) if not unseen.shows_nothing(name)), default=0)
    ]


def _fitted(cells: Sequence[str], width: int, *, fewest: int) -> list[str] | None:
    """Return exactly ``width`` cells; ``None`` if there are fewer than ``fewest``, or a surplus one shows something."""
    if len(cells) < fewest or not all(map(unseen.shows_nothing, cells[width:])):
        return None
    return [*cells, *[""] * width][:width]


def _header(cells: Sequence[str], sheet: Sheet, errors: Errors) -> tuple[int, dict[int, int]]:
    """Return the place of the rows' numbers, and for each other place which column of the job's file it is."""
    folded = [_folded(cell) for cell in cells]
    told = len(cells) - len(REJECT_COLUMNS)
    if told < 0 or tuple(folded[told:]) != REJECT_COLUMNS:  # a person moved or removed some of these columns
        told = len(cells)
        numbers = [
            at for at, name in enumerate(folded) if name == ROW and sheet.place(cells[at], by_header=True) is None
        ]
        if len(numbers) != 1:
            errors.add(ROW, "missing_column", _no_numbers(cells, numbers))
            return 0, {}
    number = told if told < len(cells) else numbers[0]
    places: dict[int, int] = {}
    for at, name in enumerate(cells[:told]):
        place = at if at < len(sheet.headers) and sheet.headers[at] == name else sheet.place(name, by_header=True)
        if at == number or (place is None and folded[at] in REJECT_COLUMNS):
            continue
        if place is None:
            errors.add(name, "unknown_column", f"Column {at + 1}, {shown(name)}, is no column of the job's file.")
        elif place in places.values():
            errors.add(name, "duplicate_column", f"Column {at + 1}, {shown(name)}, stands there twice.")
        else:
            places[at] = place
    return number, places


def _no_numbers(cells: Sequence[str], numbers: Sequence[int]) -> str:
    """Return the message for a header in which no column, or more than one, may hold the rows' numbers."""
    if numbers:
        listed = ", ".join(shown(cells[at]) for at in numbers)
        return f"Several columns may say which row of the job's file each line is: {listed}. Keep one of them."
    listed = ", ".join(shown(cell) for cell in cells[:MOST_ERRORS])
    return f"A column {ROW!r} says which row of the job's file each line is. The header has: {listed}."


def _cells(
    opened: Opened, most_bytes: int, look: Callable[[Opened, Block], None] | None
) -> Iterator[tuple[int, Sequence[str], str | None]]:
    """Yield for each record the line where it begins, its cells, and an error if text follows a closing quote."""
    for block in opened.blocks(by_line=True):
        if block is None:
            continue
        if block.end > most_bytes:
            raise TooLarge(f"The rows have more than {most_bytes:,} bytes together. Correct some of them at a time.")
        if look is not None:
            look(opened, block)
        records = block.records or opened.grammar.split(block.data, final=True)
        line, at = block.first_line or 1, 0
        for index, record in enumerate(records.lines):
            begin = block.data.find(record, at)
            line += block.data.count(b"\n", at, begin)
            stray = opened.grammar.stray(record) if index in records.strays else None
            cells = layout.parse(record, opened.header.delimiter)
            where = f"line {line:,}"
            yield line, cells, None if stray is None else stray_sentence(opened.grammar, stray, where=where, line=line)
            line, at = line + record.count(b"\n"), begin + len(record)


def _distinct(given: list[Given], errors: Errors) -> list[Given]:
    """Return the rows sorted by number. Raise the errors, if there are any."""
    if not given and not errors.count:
        errors.add("rows", "no_rows", "There are no rows to correct.")
    if len(given) > MOST_ROWS:
        errors.add("rows", "too_many_rows", f"At most {MOST_ROWS:,} rows can be corrected at once.")
    seen: set[int] = set()
    for one in given:
        if one.row in seen:
            errors.add(str(one.row), "duplicate_row", f"Row {one.row:,} is given twice.")
        seen.add(one.row)
    errors.check()
    return sorted(given, key=lambda one: one.row)


def text_of(
    given: Sequence[Given], lines: Mapping[int, str], sheet: Sheet, *, lacking: Mapping[int, Sequence[str]]
) -> bytes:
    """Return the corrected rows as CSV text: each row's own text (``lines``) with the given cells in their places.

    ``lacking``: row → columns of which the row has no cell, because ``column_shift`` moved them. The correction has to
    give each of these cells. An empty cell in a line of a file does not count; an empty text in JSON does.

    Raises:
        InvalidInput: a row cannot be put together, or is too long.
    """
    errors, made = Errors(), []
    for one in given:
        if missing := [name for name in lacking.get(one.row, ()) if not sheet.says(one, name)]:
            said = f"Row {one.row:,} has no cell of {', '.join(missing)} since that was moved: give one."
            errors.add(str(one.row), "incomplete_row", said)
            continue
        try:
            line = sheet.correct(lines[one.row], one).encode()
        except ValueError as unclear:
            said = f"Row {one.row:,} {unclear}: give all of its columns."
            errors.add(str(one.row), "incomplete_row", said)
            continue
        if len(line) > MAX_RECORD_BYTES:
            errors.add(str(one.row), "row_too_long", f"Row {one.row:,} is longer than {MAX_RECORD_BYTES:,} bytes.")
        elif len(line) + len(lines[one.row].encode()) > MOST_KEPT_BYTES:
            said = f"Row {one.row:,} and its correction have more than {MOST_KEPT_BYTES:,} bytes together."
            errors.add(str(one.row), "row_too_long", said)
        made.append(line)
    errors.check()
    return b"\n".join([*made, b""])


def record(cells: Sequence[str], delimiter: str) -> str:
    """Return one record as CSV text without its line end."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=_EITHER_RETURN).writerow(cells)
    return text.getvalue().removesuffix(_EITHER_RETURN)


def shown(name: str) -> str:
    """Return the text in quotes, cut to a length that fits into a message."""
    return repr(name if len(name) <= layout.MOST_CHARACTERS else name[: layout.MOST_CHARACTERS] + "…")
