"""Reading a part from its cursor: as many records at a time as are asked for, and where exactly each lot ends."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from collect.csv import sources
from collect.csv.blocks import MAX_RECORD_BYTES
from collect.csv.grammar import Grammar
from collect.csv.sources import Readable
from collect.errors import TaskRefused

VERSION = 3
"""The newest that this release reads. It writes 1 where it can, which every release reads."""
_PLAIN, _NUMBERED, RULED = 1, 2, 3
"""Rows that follow each other; rows whose numbers are listed; rows whose cells are read by a job's params, which a
release that does not know these would read otherwise."""
_NUMBER_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Lot:
    """``rows`` records that follow each other. ``offset`` and ``row`` are those of the first, ``end`` is behind them.

    ``data`` is their text, without empty lines. ``listed``: the numbers that the records have in the job's file, where
    they do not follow each other there.
    """

    data: bytes
    rows: int
    row: int
    offset: int = 0
    end: int = 0
    listed: tuple[int, ...] = ()
    grammar: Grammar = field(compare=False)

    @classmethod
    def of(cls, records: Sequence[bytes], *, row: int, grammar: Grammar) -> Lot:
        """Records that come from elsewhere."""
        return cls(data=b"\n".join(records), rows=len(records), row=row, grammar=grammar)

    @cached_property
    def records(self) -> list[bytes]:
        """The records one by one. Asked for only where one of them is wanted: cutting takes time."""
        return self.grammar.split(self.data, final=True).lines

    @property
    def numbers(self) -> Sequence[int]:
        """The number of each record in the job's file, ascending."""
        return self.listed or range(self.row, self.row + self.rows)

    @property
    def mended(self) -> Mapping[int, str]:
        """The text by row, where these are rows that were rejected before and have been mended since."""
        return {row: self.line(row) for row in self.listed}

    def line(self, row: int) -> str:
        """The text of a row."""
        return self.records[bisect_left(self.numbers, row)].decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A part's stretch of the text. ``members``: the blob is made of gzip members, ``[offset, at, length]`` each.

    ``numbers``: those that its records have in the job's file, where they do not follow each other from ``first_row``
    on. Cursors count the records all the same.
    """

    blob: str
    start: int
    end: int
    first_row: int
    delimiter: str
    members: tuple[tuple[int, int, int], ...] = ()
    numbers: tuple[int, ...] = ()

    @classmethod
    def of(cls, source: dict[str, Any]) -> Source:
        """As :meth:`document` wrote it; what else stands there is the reader's own."""
        return cls(
            blob=source["blob"],
            start=source["start"],
            end=source["end"],
            first_row=source["first_row"],
            delimiter=source["delimiter"],
            members=tuple(tuple(member) for member in source.get("members", ())),
            numbers=_unpacked(source.get("numbers", b"")),
        )

    def document(self) -> dict[str, Any]:
        """For the part's document."""
        return {
            "v": _NUMBERED if self.numbers else _PLAIN,
            "blob": self.blob,
            "start": self.start,
            "end": self.end,
            "first_row": self.first_row,
            "delimiter": self.delimiter,
            "members": [list(member) for member in self.members],
            **({"numbers": _packed(self.numbers)} if self.numbers else {}),
        }

    def listed(self, row: int, rows: int) -> tuple[int, ...]:
        """The numbers of ``rows`` records from the one that a cursor calls ``row``, where they are listed."""
        return self.numbers[row - self.first_row :][:rows]

    def pieces(self, blobs: Readable, offset: int) -> Iterator[bytes]:
        """The text from ``offset``, which lies in the part, to the part's end."""
        if self.members:
            return sources.members(blobs, self.blob, self.members, offset=offset)
        return sources.stretch(blobs, self.blob, start=offset, end=self.end)


def cursor(offset: int, row: int) -> dict[str, Any]:
    """Where a chunk begins: its offset in the text, and the number of its first row."""
    return {"v": _PLAIN, "offset": offset, "row": row}


def lots(
    blobs: Readable,
    source: Source,
    at: dict[str, Any],
    *,
    most_rows: Callable[[], int],
    most_bytes: int,
) -> Iterator[Lot]:
    """The records from the cursor ``at`` to the part's end. How many at a time is asked anew for each lot."""
    grammar = Grammar(source.delimiter)
    offset, row = at["offset"], at["row"]
    pieces = source.pieces(blobs, offset)
    held, newlines = b"", 0
    final = False
    lines = most_rows()
    while True:
        if final or newlines >= lines or len(held) >= most_bytes:
            rows, data, end = _first(held, grammar, lines=lines, final=final)
            if rows:
                yield Lot(
                    data=data, rows=rows, row=row, offset=offset, end=offset + end, listed=source.listed(row, rows),
                    grammar=grammar,
                )  # fmt: skip
            if end:
                offset, row, held = offset + end, row + rows, held[end:]
                newlines = newlines - rows if len(data) == end else held.count(b"\n")
                lines = most_rows()
                continue
            if final and not held:
                return
            if final or newlines > lines:  # a record of more lines than were asked for
                lines *= 2
                continue
        piece = next(pieces, None)
        final = piece is None
        held += piece or b""
        newlines += (piece or b"").count(b"\n")
        if len(held) > 2 * MAX_RECORD_BYTES + most_bytes:
            raise TaskRefused("The stored file is not as it was when it was planned.", code="file_changed")


def _first(held: bytes, grammar: Grammar, *, lines: int, final: bool) -> tuple[int, bytes, int]:
    """The records that end within the first ``lines`` lines: how many, their text, and where they end.

    Where each line is a record, the text is the stretch itself; else it is put together from the records.
    """
    *lines_of, rest = held.split(b"\n", min(lines, len(held)))
    data = held[: len(held) - len(rest)]
    counted = grammar.count(data, newlines=len(lines_of))
    if data and counted is not None and counted[1] == len(data):
        return counted[0], data, len(data)
    taken = grammar.split(held, lines=lines, final=final)
    return len(taken.lines), b"\n".join(taken.lines), taken.end


def _packed(numbers: Sequence[int]) -> bytes:
    return zlib.compress(b"".join(number.to_bytes(_NUMBER_BYTES, "little") for number in numbers), 1)


def _unpacked(packed: bytes) -> tuple[int, ...]:
    raw = memoryview(zlib.decompress(packed) if packed else b"")
    return tuple(int.from_bytes(raw[at : at + _NUMBER_BYTES], "little") for at in range(0, len(raw), _NUMBER_BYTES))
