"""The grammar of CSV: where a record ends. Planning, reading and preview all use it, so that they agree on every byte.

The grammar is that of Python's ``csv.reader(strict=True)``. A quote opens a quoted section only at the beginning of a
cell; elsewhere it is a character like others. In a section two quotes stand for one, and newlines belong to the text.
Only the delimiter or the line's end may follow a closing quote. A carriage return outside quotes is allowed only before
a newline. A line whose cells are all empty is blank: it is no record.

Other text after a closing quote is judged by its record and the number of columns alone. So the records do not depend
on how a file is divided into parts. See ADR 0025.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

QUOTE = b'"'
_OPEN = 1
"""Group of the regular expressions that matches if a section is still open at the end of the text."""


class BrokenRecord(ValueError):
    """A record that cannot be cut. ``record``: the number of records before it. ``begin``: its offset in the text."""

    def __init__(self, *, record: int, begin: int) -> None:
        super().__init__(record)
        self.record = record
        self.begin = begin


class LoneCarriageReturn(BrokenRecord):
    """A carriage return outside quotes that no newline follows."""


class TextAfterQuote(BrokenRecord):
    """Text follows a closing quote, and the end of the record is in doubt. ``text``, the record, may be cut off."""

    def __init__(self, *, record: int, begin: int, text: bytes) -> None:
        super().__init__(record=record, begin=begin)
        self.text = text


@dataclass(frozen=True, kw_only=True)
class Stray:
    """Text that follows a closing quote.

    ``column``: the column of the opening quote, from 1. ``opened``: the text from that quote on. ``text``: the text
    behind the closing quote in its line. ``line``: the number of the record's line breaks before that.
    """

    column: int
    opened: bytes
    text: bytes
    line: int


@dataclass(frozen=True, kw_only=True)
class Records:
    """Whole records without their line ends. ``end``: the offset behind the last one.

    ``blank``: number of lines that were left out; ``has_delimiter_lines``: some of these hold delimiters. ``strays``:
    index of each record with text after a closing quote → number of lines before it. ``is_open``: the last record ends
    within a quoted section.
    """

    lines: list[bytes]
    end: int
    blank: int = 0
    has_delimiter_lines: bool = False
    strays: Mapping[int, int] = field(default_factory=dict)
    is_open: bool = False


class Grammar:
    """The grammar for one delimiter. Its time is linear in the length of the text, for any text.

    ``width``: the number of columns of the file. A record with text after a closing quote is cut only if it is known.
    ``strict=False`` allows text after a closing quote, as ``csv`` does by default. ``every_line``: a line of delimiters
    is a record too. Parts that the release before has planned are read with both.
    """

    def __init__(
        self, delimiter: str, *, width: int | None = None, strict: bool = True, every_line: bool = False
    ) -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
            raise ValueError(f"{delimiter!r} cannot be a delimiter")
        self.delimiter = delimiter
        self.width = width
        self.strict = strict
        self.every_line = every_line
        self._delimiter = delimiter.encode()
        escaped = re.escape(self._delimiter)
        opening = QUOTE + b"(?<![^\n\r" + escaped + b']")'
        body = rb'[^"]*+(?:""[^"]*+)*+'
        cell_ends = b"(?![^\r\n" + escaped + b"])"
        self._lenient = re.compile(opening + body + rb'(?:"|(\Z))')
        self._section = self._outside = self._lenient
        if strict:
            self._section = re.compile(opening + body + rb'(?:"' + cell_ends + rb'|(\Z)|("))')
            # A quote that is not closed correctly matches up to the end, so that :meth:`count` misses newlines.
            self._outside = re.compile(opening + b"(?:" + body + b'"' + cell_ends + rb"|[\s\S]*+)")
        self._to_cell_end = re.compile(opening + rb'(?:[^"]++|""|"(?![\r\n' + escaped + rb']|\Z))*+(?:"|(\Z))')
        self._closing = re.compile(body + QUOTE)
        unquoted = b'(?:[^"\r\n' + escaped + b"][^\r\n" + escaped + b"]*+)?"
        cell = b"(?:" + QUOTE + body + QUOTE + b"|" + unquoted + b")"
        self._whole = re.compile(cell + b"(?:" + escaped + cell + rb")*+\r?\Z")
        more = b"(?:" + escaped + b'(?:"")?)*+'
        self._blank = re.compile(b"" if every_line else b'(?:"")?' + more)
        empty_cells = () if every_line else (escaped + b'(?:"")?' + more, b'""' + more)
        # One search for the newline in front is faster than one search for each kind of blank line.
        self._blank_line = re.compile(b"\n(?:" + b"|".join(rest + b"\r?\n" for rest in (b"", *empty_cells)) + b")")
        self._first_blank = re.compile(self._blank.pattern + b"\r?\n")

    def count(self, data: bytes, *, newlines: int | None = None) -> tuple[int, int] | None:
        """Return the number of records that end in ``data``, and where the last one ends. It only counts newlines.

        That is the fast way. ``data`` begins at a record. ``newlines``: their number in ``data``, if known. ``None``:
        the fast way cannot tell, but :meth:`split` can.
        """
        if newlines is None:
            newlines = data.count(b"\n")
        outside = self._outside.sub(b"", data) if QUOTE in data else data
        if outside is not data and outside.count(b"\n") != newlines:
            return None
        if self._first_blank.match(data) or self._blank_line.search(data):
            return None
        end = data.rfind(b"\n") + 1
        if b"\r" in data and data.count(b"\r", 0, end) != data.count(b"\r\n", 0, end):
            return None
        return newlines, end

    def split(self, data: bytes, *, lines: int = -1, final: bool = False) -> Records:
        """Return the records that end within the first ``lines`` lines of ``data`` (-1: all), which begins at a record.

        ``final``: nothing comes after ``data``, so the last record ends where ``data`` ends.

        Raises:
            LoneCarriageReturn: a record has one.
            TextAfterQuote: a quoted cell goes on after its closing quote, and the end of its record is in doubt.
        """
        pieces = data.split(b"\n", lines)
        rest = pieces.pop()
        takes_all = final and (lines < 0 or len(pieces) < lines)
        if takes_all and rest:
            pieces.append(rest)
        if QUOTE not in data:
            end = len(data) if takes_all else len(data) - len(rest)
            return self._kept(pieces, data, end=end)
        return self._join(data, pieces, takes_all=takes_all)

    def end(self, data: bytes) -> int:
        """Return the end of the last line of ``data`` that ends outside quotes. ``data`` begins at a record."""
        outside = self._lenient.sub(_hidden, data) if QUOTE in data else data
        return outside.rfind(b"\n") + 1

    def is_open(self, data: bytes) -> bool:
        """Return whether a quoted section is open at the end of ``data``, which begins at a record."""
        return self._open_at(data) is not None

    def opened(self, record: bytes) -> tuple[int, bytes]:
        """Return the column, from 1, of the quote that is open at the end of ``record``, and the text from there on."""
        at = self._open_at(record) or 0
        return self._column(record, at), record[at:]

    def stray(self, record: bytes) -> Stray | None:
        """Return the first text in a record that follows a closing quote, or ``None``. A lenient grammar finds none."""
        section = self._broken(record, 0) if QUOTE in record else None
        if section is None or section.lastindex == _OPEN:
            return None
        return Stray(
            column=self._column(record, section.start()),
            opened=record[section.start() :],
            text=record[section.end() :].partition(b"\n")[0],
            line=record.count(b"\n", 0, section.end()),
        )

    def ends_here(self, line: bytes) -> bool:
        """Return whether a record with text after a closing quote ends with ``line`` beyond doubt.

        ``line`` is all of the record so far. Such a cell can be read in two ways: it ends at the next delimiter, or it
        ends at the next quote before a delimiter or the line's end. The record ends here if one of the two readings
        gives as many cells as there are columns, or if both give more. Empty cells at the end are not counted.
        """
        if self.width is None:
            return False
        counts = [self._cells(section, line) for section in (self._lenient, self._to_cell_end)]
        if any(fewest <= self.width <= most for fewest, most in filter(None, counts)):
            return True
        return all(count is not None and count[0] > self.width for count in counts)

    def requoted(self, line: bytes) -> bytes:
        """Return a row with text after a closing quote in correct quotes, as it was meant, as far as that is clear.

        Of the two readings (see :meth:`ends_here`) the one counts that gives as many cells as there are columns. If
        both do, it is the one in which a quote within the cell belongs to the text.
        """
        count = self._cells(self._to_cell_end, line) if self.stray(line) else None
        if count is None or self.width is None or not count[0] <= self.width <= count[1]:
            return line
        return self._to_cell_end.sub(_doubled, line)

    def _cells(self, section: re.Pattern[bytes], line: bytes) -> tuple[int, int] | None:
        """Return a line's number of cells without the empty ones at its end, and with them.

        ``None``: a quoted section is open at the end of the line.
        """
        if any(match.lastindex == _OPEN for match in section.finditer(line)):
            return None
        outside = section.sub(_one_letter, line)
        most = outside.count(self._delimiter) + 1
        return outside.rstrip(self._delimiter).count(self._delimiter) + 1, most

    def _join(self, data: bytes, pieces: Sequence[bytes], *, takes_all: bool) -> Records:
        """Return the records in these lines. A line that ends in a quoted section goes on in the next line."""
        records: list[bytes] = []
        strays: dict[int, int] = {}
        begin = position = 0
        is_open = False
        for number, piece in enumerate(pieces):
            position += len(piece) + 1
            goes_on, at = is_open, 0
            if is_open:
                closing = self._closing.match(piece)
                if closing is None:
                    continue
                at = closing.end()
            elif QUOTE not in piece or self._whole.match(piece):  # nearly all lines: one match instead of one a cell
                records.append(piece)
                begin = position
                continue
            broken = self._broken(piece, at)
            is_open = broken is not None and broken.lastindex == _OPEN
            if (broken is not None and not is_open) or (goes_on and self._goes_on(piece, at)):
                if goes_on or not self.ends_here(piece.removesuffix(b"\r")):
                    before = self._kept(records, data, end=begin)
                    raise TextAfterQuote(record=len(before.lines), begin=begin, text=data[begin : position - 1])
                strays[len(records)] = number
                is_open = False
            if not is_open:
                records.append(data[begin : position - 1] if goes_on else piece)
                begin = position
        if is_open and takes_all:
            records.append(data[begin:])
            begin = len(data)
        return self._kept(records, data, end=min(begin, len(data)), strays=strays, is_open=is_open and takes_all)

    def _goes_on(self, piece: bytes, at: int) -> bool:
        """Return whether text follows the closing quote that ends at ``at``."""
        return self.strict and piece[at : at + 1] not in (b"", b"\r", self._delimiter)

    def _broken(self, text: bytes, at: int) -> re.Match[bytes] | None:
        """Return the first section from ``at`` on that is open at the end, or closed and followed by text."""
        for section in self._section.finditer(text, at):
            if section.lastindex is not None:
                return section
        return None

    def _open_at(self, text: bytes) -> int | None:
        """Return the offset of the section that is open at the end, or ``None``."""
        last = None
        for last in self._lenient.finditer(text):  # noqa: B007 - the last match, in flat memory
            pass
        return last.start() if last is not None and last.lastindex == _OPEN else None

    def _column(self, record: bytes, at: int) -> int:
        return self._lenient.sub(b"", record[:at]).count(self._delimiter) + 1

    def _kept(
        self,
        records: list[bytes],
        data: bytes,
        *,
        end: int,
        strays: Mapping[int, int] | None = None,
        is_open: bool = False,
    ) -> Records:
        """Return the records without carriage returns at their ends, and without blank lines."""
        has_returns = b"\r" in data
        bare = [line[:-1] if line.endswith(b"\r") else line for line in records] if has_returns else records
        lines, empty = bare, 0
        if self._may_have_blank(data, bare, end):
            lines = [line for line in bare if not self._blank.fullmatch(line)]
            empty = bare.count(b"")
            strays = self._renumbered(bare, strays) if strays else None
        if has_returns:
            self._check_returns(records, lines)
        blank = len(bare) - len(lines)
        return Records(
            lines=lines, end=end, blank=blank, has_delimiter_lines=blank > empty, strays=strays or {}, is_open=is_open
        )

    def _may_have_blank(self, data: bytes, bare: Sequence[bytes], end: int) -> bool:
        """Return whether a line before ``end`` looks blank. The last line may lack its newline."""
        if not bare:
            return False
        if self._first_blank.match(data) or self._blank_line.search(data, 0, end):
            return True
        return self._blank.fullmatch(bare[-1]) is not None

    def _renumbered(self, bare: Sequence[bytes], strays: Mapping[int, int]) -> dict[int, int]:
        kept = (place for place, line in enumerate(bare) if not self._blank.fullmatch(line))
        return {index: strays[place] for index, place in enumerate(kept) if place in strays}

    def _check_returns(self, records: Sequence[bytes], lines: Sequence[bytes]) -> None:
        number = next((n for n, line in enumerate(lines) if b"\r" in line and self._has_return(line)), None)
        if number is None:
            return
        kept = (place for place, line in enumerate(records) if not self._blank.fullmatch(line.removesuffix(b"\r")))
        place = next(place for index, place in enumerate(kept) if index == number)
        raise LoneCarriageReturn(record=number, begin=sum(len(line) + 1 for line in records[:place]))

    def _has_return(self, line: bytes) -> bool:
        return b"\r" in self._lenient.sub(b"", line)


def _hidden(section: re.Match[bytes]) -> bytes:
    return bytes(len(section[0]))


def _one_letter(section: re.Match[bytes]) -> bytes:
    """Return one letter for a quoted cell, or nothing for an empty one."""
    return b"" if section[0] == b'""' else b"x"


def _doubled(section: re.Match[bytes]) -> bytes:
    """Return a quoted cell with each quote within it doubled."""
    text = section[0][1:-1].replace(QUOTE * 2, QUOTE)
    return QUOTE + text.replace(QUOTE, QUOTE * 2) + QUOTE
