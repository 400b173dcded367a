"""Reading a part from its cursor, in lots of records. The caller says how many; each lot says exactly where it ends."""

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
"""Newest version of a part's source that this release reads. It writes 1 where it can, because every release reads 1.
"""
_PLAIN, _NUMBERED, RULED = 1, 2, 3
"""Versions of a part's source. 1: its rows follow each other. 2: the numbers of its rows are listed. 3: a release that
does not know the job's params or the strict grammar (ADR 0025) would read other rows."""
_GRAMMAR = 2
"""Number of the strict grammar. A part without it was planned with the older grammar, and is read with that one."""
_NUMBER_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Lot:
    """A lot: ``rows`` records that follow each other. ``offset`` and ``row``: place and number of the first one.

    ``end``: the offset behind the last record. ``data``: the text of the records, without blank lines. ``listed``: the
    numbers of the records in the job's file, if they do not follow each other there. ``strays``: index of each record
    with text after a closing quote → the line of the file where it begins, if known. ``cut``: the records, if they were
    cut one by one already. ``next_line``: the line of the file behind the lot, if known.
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
        """Return a lot of records that were not read from a part.

        ``lines``: index of a record → the line of the file where it begins, as far as it is known.
        """
        known = lines or {}
        strays = {index: known.get(index) for index, record in enumerate(records) if grammar.stray(record)}
        data = b"\n".join(records)
        return cls(data=data, rows=len(records), row=row, strays=strays, cut=records, grammar=grammar)

    @cached_property
    def records(self) -> Sequence[bytes]:
        """The records one by one. They are cut on first use only, because cutting takes time."""
        return self.cut if self.cut is not None else self.grammar.split(self.data, final=True).lines

    @property
    def numbers(self) -> Sequence[int]:
        """The number of each record in the job's file, ascending."""
        return self.listed or range(self.row, self.row + self.rows)

    @property
    def corrected(self) -> Mapping[int, str]:
        """The text of each row by its number, if these are rejected rows that were corrected; empty for other lots."""
        return {row: self.line(row) for row in self.listed}

    def line(self, row: int) -> str:
        """Return the text of a row by its number in the job's file."""
        return self.records[bisect_left(self.numbers, row)].decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True)
class Source:
    """The range of the text that a part covers.

    ``members``: the blob is made of gzip members, ``[offset in the text, offset in the blob, length in the blob]``
    each. ``numbers``: the numbers of its records in the job's file, if they do not follow each other from ``first_row``
    on; cursors count the records one by one even then. ``width``: number of columns of the file. ``strict`` and
    ``every_line``: see :class:`Grammar`. ``first_line``: the line of the file where the part begins, if known.
    ``lines``: its number of lines, if known; ``blank_rows`` of them are no rows. ``differs``: the release before would
    read other rows.
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
        """Return the source that :meth:`document` wrote. Its other fields are the reader's own and are ignored here."""
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
        """Return the source as the part's document stores it."""
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
        """Return the listed numbers of ``rows`` records; empty if none are listed.

        ``row``: the number by which a cursor counts the first of these records.
        """
        return self.numbers[row - self.first_row :][:rows]

    def pieces(self, blobs: Readable, offset: int) -> Iterator[bytes]:
        """Yield the text from ``offset``, which lies in the part, to the part's end."""
        if self.members:
            return sources.members(blobs, self.blob, self.members, offset=offset)
        return sources.stretch(blobs, self.blob, start=offset, end=self.end)


def cursor(offset: int, row: int, line: int | None = None) -> dict[str, Any]:
    """Return the cursor of a chunk: the offset where it begins, the number of its first row, and its line if known."""
    return {"v": _PLAIN, "offset": offset, "row": row, **({} if line is None else {"line": line})}


def lots(
    blobs: Readable,
    source: Source,
    at: dict[str, Any],
    *,
    most_rows: Callable[[], int],
    most_bytes: int,
) -> Iterator[Lot]:
    """Yield the records from the cursor ``at`` to the part's end, in lots. ``most_rows`` is called again for each lot.

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
            if final or newlines > lines:  # the record has more lines than were asked for
                lines *= 2
                continue
        piece = next(pieces, None)
        final = piece is None
        held += piece or b""
        newlines += (piece or b"").count(b"\n")
        if len(held) > 2 * MAX_RECORD_BYTES + most_bytes:
            raise TaskRefused("The stored file is not as it was when it was planned.", code="file_changed")


def _first(held: bytes, grammar: Grammar, *, row: int, offset: int, line: int | None, lines: int, final: bool) -> Lot:
    """Return the lot of the records that end within the first ``lines`` lines of ``held``.

    If each line is a record, the lot's text is that part of ``held`` unchanged; else it is joined from the records.
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
    except BrokenRecord as error:  # cannot happen in a planned file: planning refuses such a record
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
