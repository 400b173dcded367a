"""Reading a part from its cursor: as many records at a time as are asked for, and where exactly each lot ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from collect.csv import sources
from collect.csv.blocks import MAX_RECORD_BYTES
from collect.csv.grammar import Grammar
from collect.csv.sources import Readable
from collect.errors import TaskRefused

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Lot:
    """Records that follow each other. ``offset`` and ``row`` are those of the first one, ``end`` is behind the last."""

    records: list[bytes]
    offset: int
    row: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """A part's stretch of the text. ``members``: the blob is made of gzip members, ``[offset, at, length]`` each."""

    blob: str
    start: int
    end: int
    first_row: int
    delimiter: str
    members: tuple[tuple[int, int, int], ...] = ()

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
        )

    def document(self) -> dict[str, Any]:
        """For the part's document."""
        return {
            "v": VERSION,
            "blob": self.blob,
            "start": self.start,
            "end": self.end,
            "first_row": self.first_row,
            "delimiter": self.delimiter,
            "members": [list(member) for member in self.members],
        }

    def pieces(self, blobs: Readable, offset: int) -> Iterator[bytes]:
        """The text from ``offset``, which lies in the part, to the part's end."""
        if self.members:
            return sources.members(blobs, self.blob, self.members, offset=offset)
        return sources.stretch(blobs, self.blob, start=offset, end=self.end)


def cursor(offset: int, row: int) -> dict[str, Any]:
    """Where a chunk begins: its offset in the text, and the number of its first row."""
    return {"v": VERSION, "offset": offset, "row": row}


def lots(
    blobs: Readable,
    source: Source,
    at: dict[str, Any],
    *,
    most_rows: Callable[[], int],
    most_bytes: Callable[[], int],
) -> Iterator[Lot]:
    """The records from the cursor ``at`` to the part's end. How many at a time is asked anew for each lot."""
    grammar = Grammar(source.delimiter)
    offset, row = at["offset"], at["row"]
    pieces = source.pieces(blobs, offset)
    held = b""
    final = False
    lines = most_rows()
    while True:
        if final or held.count(b"\n") >= lines or len(held) >= most_bytes():
            taken = grammar.split(held, lines=lines, final=final)
            if taken.lines:
                yield Lot(records=taken.lines, offset=offset, row=row, end=offset + taken.end)
            if taken.end:
                offset, row, held = offset + taken.end, row + len(taken.lines), held[taken.end :]
                lines = most_rows()
                continue
            if final and not held:
                return
            if final or held.count(b"\n") > lines:  # a record of more lines than were asked for
                lines *= 2
                continue
        piece = next(pieces, None)
        final = piece is None
        held += piece or b""
        if len(held) > 2 * MAX_RECORD_BYTES + most_bytes():
            raise TaskRefused("The stored file is not as it was when it was planned.", code="file_changed")
