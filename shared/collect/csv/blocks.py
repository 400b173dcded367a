"""A file's text in blocks of whole records, each with its exact place and the numbers of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from collect.csv.grammar import Grammar, LoneCarriageReturn
from collect.errors import TaskRefused

BLOCK_BYTES = 4 * 1024 * 1024
SHOWN_BYTES = 40
MAX_RECORD_BYTES = 8 * 1024 * 1024
"""A document of MongoDB has at most 16 MiB, and an upsert may merge two rows."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Whole records. ``first_row`` is the number of the first one, ``rows`` how many there are."""

    offset: int
    data: bytes
    first_row: int
    rows: int

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


def blocks(
    pieces: Iterator[bytes], grammar: Grammar, *, offset: int, first_row: int = 1, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block | None]:
    """Cut text into blocks of about ``block_bytes``. The text begins at a record; ``offset`` and ``first_row`` are its.

    ``None`` after each piece that makes no block. Raises :class:`TaskRefused`, naming the row, for a quote that is not
    closed, a lone carriage return, bytes that are not UTF-8, and a record over :data:`MAX_RECORD_BYTES`.
    """
    cutter = _Cutter(grammar, offset=offset, first_row=first_row)
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size < block_bytes:
            yield None
            continue
        data = b"".join(held)
        block = cutter.cut(data, final=False)
        rest = data[len(block.data) :]
        held, size = [rest], len(rest)
        yield block if block.data else None
    data = b"".join(held)
    if data:
        yield cutter.cut(data, final=True)


class _Cutter:
    def __init__(self, grammar: Grammar, *, offset: int, first_row: int) -> None:
        self._grammar = grammar
        self._offset = offset
        self._row = first_row

    def cut(self, data: bytes, *, final: bool) -> Block:
        rows, end = self._records(data, final=final)
        self._check_rest(data[end:], self._row + rows)
        block = Block(offset=self._offset, data=data[:end], first_row=self._row, rows=rows)
        self._check_encoding(block)
        self._offset += end
        self._row += rows
        return block

    def _records(self, data: bytes, *, final: bool) -> tuple[int, int]:
        counted = self._grammar.count(data)
        if counted is not None and (not final or counted[1] == len(data)):
            return counted
        try:
            records = self._grammar.split(data, final=final)
        except LoneCarriageReturn as error:
            raise lone_return(_row(self._row + error.record)) from error
        if final and records.lines and self._grammar.is_open(records.lines[-1]):
            raise unclosed(self._grammar, records.lines[-1], where=_row(self._row + len(records.lines) - 1))
        return len(records.lines), records.end

    def _check_rest(self, rest: bytes, row: int) -> None:
        if len(rest) <= MAX_RECORD_BYTES:
            return
        if self._grammar.is_open(rest):
            raise unclosed(self._grammar, rest, where=_row(row))
        raise TaskRefused(
            f"The row is longer than {MAX_RECORD_BYTES // 1024**2} MiB, which is the most. Is a line end missing?",
            code="row_too_long", where=_row(row),
        )  # fmt: skip

    def _check_encoding(self, block: Block) -> None:
        if block.data.isascii():
            return
        try:
            block.data.decode()
        except UnicodeDecodeError as error:
            before = self._grammar.split(block.data[: error.start], final=False)
            row = block.first_row + len(before.lines)
            raise TaskRefused(
                f"The file is not UTF-8: byte {block.offset + error.start:,} is 0x{block.data[error.start]:02x}. If it "
                'has another encoding, name it in "encoding", as in "cp1252".',
                code="encoding", where=_row(row),
            ) from error  # fmt: skip


def lone_return(where: str) -> TaskRefused:
    """The refusal of a file with a carriage return in the record that ``where`` names."""
    return TaskRefused(
        "A carriage return (CR) stands outside quotes without a newline (LF) after it: lines must end with LF or CRLF, "
        "and a cell with line breaks must be in quotes.",
        code="lone_carriage_return", where=where,
    )  # fmt: skip


def unclosed(grammar: Grammar, record: bytes, *, where: str) -> TaskRefused:
    """The refusal of a file whose ``record`` opens a quote that is not closed before the end, or for too long."""
    column, text = grammar.opened(record)
    shown = text[:SHOWN_BYTES].decode("utf-8", "replace")
    too_long = len(record) > MAX_RECORD_BYTES
    never = f"not closed within {MAX_RECORD_BYTES // 1024**2} MiB" if too_long else "never closed"
    return TaskRefused(
        f"The quote that opens in {where}, column {column:,}, before {shown[1:]!r}, is {never}, so all that follows "
        "would be one cell. Close it; a quote that belongs to the text is doubled, in a cell within quotes.",
        code="unclosed_quote", where=where,
    )  # fmt: skip


def _row(row: int) -> str:
    return f"row {row:,}" if row else "the header"
