"""Reading a part from its cursor: as many records at a time as are asked for, and where exactly each lot ends."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from collect.csv import sources
from collect.csv.blocks import MAX_RECORD_BYTES, lines_of, refusal, row_name
from collect.csv.grammar import BrokenRecord, Grammar
from collect.csv.sources import Readable
from collect.errors import TaskRefused

VERSION = 3
"""The newest that this release reads. It writes 1 where it can, which every release reads."""
_PLAIN, _NUMBERED, RULED = 1, 2, 3
"""Rows that follow each other; rows whose numbers are listed; rows that a release which does not know the job's params
or the strict grammar (ADR 0025) would read otherwise."""
_GRAMMAR = 2
"""The number of the strict grammar. A part without it was planned with the one before, and is read with that."""
_NUMBER_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Lot:
    """``rows`` records that follow each other. ``offset`` and ``row`` are those of the first, ``end`` is behind them.

    ``data`` is their text, without blank lines. ``listed``: the numbers that the records have in the job's file, where
    they do not follow each other there. ``strays``: the records with text after a closing quote, by index, and the line
    of the file in which each begins, where that is known. ``cut``: the records, if they have been cut one by one.
    ``next_line``: the line of the file behind them, where that is known.
    """

    data: bytes
    rows: int
    row: int
    offset: int = 0
    end: int = 0
    listed: tuple[int, ...] = ()
    strays: Mapping[int, int | None] = field(default_factory=dict, compare=False)
    cut: Sequence[bytes] | None = field(default=None, compare=False)
    next_line: int | None = field(default=None, compare=False)
    grammar: Grammar = field(compare=False)

    @classmethod
    def of(
        cls, records: Sequence[bytes], *, row: int, grammar: Grammar, lines: Mapping[int, int | None] | None = None
    ) -> Lot:
        """Records that come from elsewhere. ``lines``: the lines of the file in which some of them begin."""
        known = lines or {}
        strays = {index: known.get(index) for index, record in enumerate(records) if grammar.stray(record)}
        data = b"\n".join(records)
        return cls(data=data, rows=len(records), row=row, strays=strays, cut=records, grammar=grammar)

    @cached_property
    def records(self) -> Sequence[bytes]:
        """The records one by one. Asked for only where one of them is wanted: cutting takes time."""
        return self.cut if self.cut is not None else self.grammar.split(self.data, final=True).lines

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
    on. Cursors count the records all the same. ``width``: how many columns the file has. ``strict`` and ``every_line``
    are those of the :class:`Grammar`. ``first_line`` is the line of the file in which it begins, ``lines`` how many it
    has, where that is known; ``blank_rows`` of them are no row. ``differs``: the release before would read other rows.
    """

    blob: str
    start: int
    end: int
    first_row: int
    delimiter: str
    members: tuple[tuple[int, int, int], ...] = ()
    numbers: tuple[int, ...] = ()
    width: int | None = None
    strict: bool = True
    every_line: bool = False
    first_line: int | None = None
    lines: int | None = None
    blank_rows: int = 0
    differs: bool = False

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
            width=source.get("width"),
            strict="grammar" in source,
            every_line="grammar" not in source or source.get("every_line", False),
            first_line=source.get("first_line"),
            lines=source.get("lines"),
            blank_rows=source.get("blank_rows", 0),
            differs=source.get("v", _PLAIN) >= RULED,
        )

    def document(self) -> dict[str, Any]:
        """For the part's document."""
        version = _NUMBERED if self.numbers else _PLAIN
        known = {"width": self.width, "first_line": self.first_line, "lines": self.lines}
        return {
            "v": RULED if self.differs else version,
            **({"grammar": _GRAMMAR} if self.strict else {}),
            "blob": self.blob,
            "start": self.start,
            "end": self.end,
            "first_row": self.first_row,
            "delimiter": self.delimiter,
            "members": [list(member) for member in self.members],
            **({"numbers": _packed(self.numbers)} if self.numbers else {}),
            **{name: value for name, value in known.items() if value is not None},
            **({"every_line": True} if self.strict and self.every_line else {}),
            **({"blank_rows": self.blank_rows} if self.blank_rows else {}),
        }

    @property
    def grammar(self) -> Grammar:
        """The grammar that the part was planned with."""
        return Grammar(self.delimiter, width=self.width, strict=self.strict, every_line=self.every_line)

    def listed(self, row: int, rows: int) -> tuple[int, ...]:
        """The numbers of ``rows`` records from the one that a cursor calls ``row``, where they are listed."""
        return self.numbers[row - self.first_row :][:rows]

    def pieces(self, blobs: Readable, offset: int) -> Iterator[bytes]:
        """The text from ``offset``, which lies in the part, to the part's end."""
        if self.members:
            return sources.members(blobs, self.blob, self.members, offset=offset)
        return sources.stretch(blobs, self.blob, start=offset, end=self.end)


def cursor(offset: int, row: int, line: int | None = None) -> dict[str, Any]:
    """Where a chunk begins: its offset in the text, the number of its first row, and its line in the file if known."""
    return {"v": _PLAIN, "offset": offset, "row": row, **({} if line is None else {"line": line})}


def lots(
    blobs: Readable,
    source: Source,
    at: dict[str, Any],
    *,
    most_rows: Callable[[], int],
    most_bytes: int,
) -> Iterator[Lot]:
    """The records from the cursor ``at`` to the part's end. How many at a time is asked anew for each lot.

    Raises:
        TaskRefused: the file is not the one that was planned.
    """
    grammar = source.grammar
    offset, row, line = at["offset"], at["row"], at.get("line")
    pieces = source.pieces(blobs, offset)
    held, newlines = b"", 0
    final = False
    lines = most_rows()
    while True:
        if final or newlines >= lines or len(held) >= most_bytes:
            lot = _first(held, grammar, row=row, offset=offset, line=line, lines=lines, final=final)
            if lot.rows:
                yield lot if not source.numbers else replace(lot, listed=source.listed(row, lot.rows))
            if lot.end > offset:
                held, is_stretch = held[lot.end - offset :], len(lot.data) == lot.end - offset
                newlines = newlines - lot.rows if is_stretch else held.count(b"\n")
                offset, row, line = lot.end, row + lot.rows, lot.next_line
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


def _first(held: bytes, grammar: Grammar, *, row: int, offset: int, line: int | None, lines: int, final: bool) -> Lot:
    """The records that end within the first ``lines`` lines of ``held``.

    Where each line is a record, the text is the stretch itself; else it is put together from the records.
    """
    *lines_of_it, rest = held.split(b"\n", min(lines, len(held)))
    data = held[: len(held) - len(rest)]
    counted = grammar.count(data, newlines=len(lines_of_it))
    if data and counted is not None and counted[1] == len(data):
        rows = counted[0]
        return Lot(
            data=data, rows=rows, row=row, offset=offset, end=offset + len(data),
            next_line=None if line is None else line + rows, grammar=grammar,
        )  # fmt: skip
    try:
        taken = grammar.split(held, lines=lines, final=final)
    except BrokenRecord as error:  # planning would have refused it
        at = None if line is None else line + held.count(b"\n", 0, error.begin)
        raise refusal(grammar, error, where=row_name(row + error.record), line=at) from error
    return Lot(
        data=b"\n".join(taken.lines),
        rows=len(taken.lines),
        row=row,
        offset=offset,
        end=offset + taken.end,
        strays={index: None if line is None else line + before for index, before in taken.strays.items()},
        cut=taken.lines,
        next_line=None if line is None else line + lines_of(held, taken.end),
        grammar=grammar,
    )


def _packed(numbers: Sequence[int]) -> bytes:
    return zlib.compress(b"".join(number.to_bytes(_NUMBER_BYTES, "little") for number in numbers), 1)


def _unpacked(packed: bytes) -> tuple[int, ...]:
    raw = memoryview(zlib.decompress(packed) if packed else b"")
    return tuple(int.from_bytes(raw[at : at + _NUMBER_BYTES], "little") for at in range(0, len(raw), _NUMBER_BYTES))
