"""Where a record of a CSV ends. Planning, reading and preview all ask here, so that they agree on every byte.

The grammar is that of Python's ``csv``: a quote opens a quoted section only at the beginning of a field, elsewhere it
is a character like others; in a section a doubled quote is one, and newlines belong to the text. A line with nothing in
it is no record. A carriage return outside quotes is allowed only before a newline.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

QUOTE = b'"'
_ANY_NEWLINE = (b"\n", b"\r\n")


class LoneCarriageReturn(ValueError):
    """A carriage return outside quotes that no newline follows. ``record``: how many records stand before it."""

    def __init__(self, record: int) -> None:
        super().__init__(record)
        self.record = record


@dataclass(frozen=True, kw_only=True)
class Records:
    """Whole records, without their line ends, and where what comes after them begins."""

    lines: list[bytes]
    end: int


class Grammar:
    """The grammar for one delimiter. Linear in what it reads, whatever stands in it."""

    def __init__(self, delimiter: str) -> None:
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
            raise ValueError(f"{delimiter!r} cannot be a delimiter")
        self.delimiter = delimiter
        field_before = b"(?<![^\n\r" + re.escape(delimiter.encode()) + b']")'
        self._section = re.compile(QUOTE + field_before + rb'[^"]*+(?:""[^"]*+)*+(?:"|(\Z))')
        self._closing = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')

    def count(self, data: bytes, *, newlines: int | None = None) -> tuple[int, int] | None:
        """How many records end in ``data``, and where the last one does: the fast way, by counting newlines.

        ``data`` begins at a record; ``newlines`` are in it, if that is known. ``None``: only :meth:`split` can say.
        """
        if newlines is None:
            newlines = data.count(b"\n")
        outside = self._section.sub(b"", data) if QUOTE in data else data
        if outside is not data and outside.count(b"\n") != newlines:
            return None
        if data.startswith(_ANY_NEWLINE) or b"\n\n" in data or b"\n\r\n" in data:
            return None
        end = data.rfind(b"\n") + 1
        if b"\r" in data and data.count(b"\r", 0, end) != data.count(b"\r\n", 0, end):
            return None
        return newlines, end

    def split(self, data: bytes, *, lines: int = -1, final: bool = False) -> Records:
        """The records that end within the first ``lines`` lines of ``data`` (-1: all), which begins at a record.

        ``final``: nothing comes after ``data``, so its end is the end of the last record too.

        Raises:
            LoneCarriageReturn: and says after how many records.
        """
        pieces = data.split(b"\n", lines)
        rest = pieces.pop()
        if QUOTE not in data:
            found, end = pieces, len(data) - len(rest)
        else:
            found, end = self._join(data, pieces)
        if final and (lines < 0 or len(pieces) < lines) and end < len(data):
            found, end = [*found, data[end:]], len(data)
        return Records(lines=_bare(found, self._section, has_returns=b"\r" in data), end=end)

    def end(self, data: bytes) -> int:
        """Where the last line of ``data``, which begins at a record, ends that is not within a quoted section."""
        outside = self._section.sub(_blank, data) if QUOTE in data else data
        return outside.rfind(b"\n") + 1

    def is_open(self, data: bytes) -> bool:
        """Whether a quoted section of ``data``, which begins at a record, is open at its end."""
        return self._opens(data, 0) is not None

    def opened(self, record: bytes) -> tuple[int, bytes]:
        """The column, from 1, of the quote that is open at the end of ``record``, and the text from there on."""
        at = self._opens(record, 0) or 0
        return self._section.sub(b"", record[:at]).count(self.delimiter.encode()) + 1, record[at:]

    def _join(self, data: bytes, pieces: list[bytes]) -> tuple[list[bytes], int]:
        """Lines into records: those that end in a quoted section go on in the next line."""
        found: list[bytes] = []
        begin = position = 0
        is_open = False
        for piece in pieces:
            position += len(piece) + 1
            if is_open:
                closing = self._closing.match(piece)
                if closing is None:
                    continue
                is_open = self._opens(piece, closing.end()) is not None
            elif QUOTE in piece:
                is_open = self._opens(piece, 0) is not None
            if not is_open:
                found.append(data[begin : position - 1])
                begin = position
        return found, begin

    def _opens(self, piece: bytes, start: int) -> int | None:
        """Where the section begins that is open at the end."""
        last = None
        for last in self._section.finditer(piece, start):  # noqa: B007 - the last match, in flat memory
            pass
        return last.start() if last is not None and last.lastindex is not None else None


def _blank(section: re.Match[bytes]) -> bytes:
    return bytes(len(section[0]))


def _bare(lines: list[bytes], section: re.Pattern[bytes], *, has_returns: bool) -> list[bytes]:
    """Without carriage returns at their ends, and without empty lines."""
    if not has_returns:
        return [line for line in lines if line]
    bare = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    bare = [line for line in bare if line]
    for number, line in enumerate(bare):
        if b"\r" in line and b"\r" in section.sub(b"", line):
            raise LoneCarriageReturn(number)
    return bare
