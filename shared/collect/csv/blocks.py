"""A file's text in blocks of whole records. Each block has its exact place and the numbers of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from collect.csv.grammar import BrokenRecord, Grammar, Records, Stray, TextAfterQuote
from collect.errors import TaskRefused

BLOCK_BYTES = 4 * 1024 * 1024
SHOWN_BYTES = 40
MAX_RECORD_BYTES = 8 * 1024 * 1024
"""Longest record, in bytes. A MongoDB document has at most 16 MiB, and an upsert may merge two rows."""
TEXT_AFTER_QUOTE = "text_after_quote"
"""Error code of a row or a file in which text follows a closing quote."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of whole records. ``first_row``: the number of the first one. ``rows``: how many there are.

    ``first_line``: the number of the block's first line in the file, from 1, if known. ``lines``: the number of all
    lines. ``blank``: the number of lines that belong to no record. ``records``: the records, if they had to be cut one
    by one. ``differs``: the grammar of the release before reads other rows here.
    """

    offset: int
    data: bytes
    first_row: int
    rows: int
    first_line: int | None = None
    lines: int = 0
    blank: int = 0
    differs: bool = False
    records: Records | None = field(default=None, compare=False)

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


def blocks(
    pieces: Iterator[bytes],
    grammar: Grammar,
    *,
    offset: int,
    first_row: int = 1,
    first_line: int | None = None,
    block_bytes: int | None = None,
    by_line: bool = False,
) -> Iterator[Block | None]:
    """Cut text into blocks of about ``block_bytes``. The text begins at a record: at ``offset``, with ``first_row``.

    ``first_line``: the number of the text's first line in the file, if known. ``block_bytes``: :data:`BLOCK_BYTES` if
    it is left out. ``by_line``: errors name the line of the file instead of the row.

    Yields ``None`` after each piece that completes no block. Raises :class:`TaskRefused`, which names the row, for a
    quote that is not closed, text after a closing quote where it is in doubt which lines belong to the row, a lone
    carriage return, bytes that are not UTF-8, and a record over :data:`MAX_RECORD_BYTES`.
    """
    cutter = _Cutter(grammar, offset=offset, first_row=first_row, first_line=first_line, by_line=by_line)
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size < (block_bytes or BLOCK_BYTES):
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
    def __init__(self, grammar: Grammar, *, offset: int, first_row: int, first_line: int | None, by_line: bool) -> None:
        self._grammar = grammar
        self._offset = offset
        self._row = first_row
        self._line = first_line
        self._by_line = by_line

    def cut(self, data: bytes, *, final: bool) -> Block:
        block = self._block(data, final=final)
        self._check_rest(data[len(block.data) :], where=self._where(block.rows, data, len(block.data)))
        self._check_encoding(block.data)
        self._offset += len(block.data)
        self._row += block.rows
        self._line = None if self._line is None else self._line + block.lines
        return block

    def _block(self, data: bytes, *, final: bool) -> Block:
        counted = self._grammar.count(data)
        if counted is not None and (not final or counted[1] == len(data)):
            rows, end = counted
            return Block(
                offset=self._offset, data=data[:end], first_row=self._row, rows=rows, first_line=self._line, lines=rows
            )
        records = self._records(data, final=final)
        return Block(
            offset=self._offset,
            data=data[: records.end],
            first_row=self._row,
            rows=len(records.lines),
            first_line=self._line,
            lines=lines_of(data, records.end),
            blank=records.blank,
            differs=bool(records.strays) or records.has_delimiter_lines,
            records=records,
        )

    def _records(self, data: bytes, *, final: bool) -> Records:
        try:
            records = self._grammar.split(data, final=final)
        except BrokenRecord as error:
            self._check_encoding(data[: error.begin])  # report the error that comes first in the file
            raise self._refusal(error, data) from error
        if records.is_open:
            last = records.lines[-1]
            self._check_encoding(data[: len(data) - len(last)])
            where = self._where(len(records.lines) - 1, data, len(data) - len(last))
            raise unclosed(self._grammar, last, where=where)
        return records

    def _refusal(self, error: BrokenRecord, data: bytes) -> TaskRefused:
        where = self._where(error.record, data, error.begin)
        line = None if self._line is None else self._line + data.count(b"\n", 0, error.begin)
        return refusal(self._grammar, error, where=where, line=line)

    def _where(self, record: int, data: bytes, begin: int) -> str:
        """Return the name of the record with index ``record``, which begins at ``begin`` of ``data``."""
        if self._by_line and self._line is not None:
            line = self._line + data.count(b"\n", 0, begin)
            return f"line {line:,}"
        return row_name(self._row + record)

    def _check_rest(self, rest: bytes, *, where: str) -> None:
        if len(rest) <= MAX_RECORD_BYTES:
            return
        if self._grammar.is_open(rest):
            raise unclosed(self._grammar, rest, where=where)
        raise TaskRefused(
            f"The row is longer than {MAX_RECORD_BYTES // 1024**2} MiB, which is the most. Is a line end missing?",
            code="row_too_long", where=where,
        )  # fmt: skip

    def _check_encoding(self, data: bytes) -> None:
        """Raise an error if ``data`` is not UTF-8. ``data`` begins where the next block begins."""
        if data.isascii():
            return
        try:
            data.decode()
        except UnicodeDecodeError as error:
            before = self._grammar.split(data[: error.start], final=False)
            raise TaskRefused(
                f"The file is not UTF-8: byte {self._offset + error.start:,} is 0x{data[error.start]:02x}. If it "
                'has another encoding, name it in "encoding", as in "cp1252".',
                code="encoding", where=self._where(len(before.lines), data, error.start),
            ) from error  # fmt: skip


def lines_of(data: bytes, end: int) -> int:
    """Return the number of lines in ``data`` before ``end``. The last one may lack its newline."""
    return data.count(b"\n", 0, end) + (end > 0 and data[end - 1 : end] != b"\n")


def refusal(grammar: Grammar, error: BrokenRecord, *, where: str, line: int | None) -> TaskRefused:
    """Return the refusal of a file with a record that cannot be cut.

    ``where``: the record's name. ``line``: the line where it begins, if known.
    """
    if isinstance(error, TextAfterQuote):
        return text_after_quote(grammar, error.text, where=where, line=line)
    return lone_return(where)


def text_after_quote(grammar: Grammar, record: bytes, *, where: str, line: int | None) -> TaskRefused:
    """Return the refusal of a file where text follows a closing quote, so that the end of the record is in doubt."""
    stray = grammar.stray(record)
    assert stray is not None
    return TaskRefused(
        f"{stray_sentence(grammar, stray, where=where, line=line)} So it is in doubt which lines belong to the row. "
        "Close the cell where it ends; a quote that belongs to the text is doubled, in a cell within quotes.",
        code=TEXT_AFTER_QUOTE, where=where,
    )  # fmt: skip


def stray_sentence(grammar: Grammar, stray: Stray, *, where: str, line: int | None) -> str:
    """Return the sentence about text after a closing quote.

    ``where``: the name of the record. ``line``: the line of the file where the record begins, if known.
    """
    opened = _shown(stray.opened)[1:]
    in_line = "" if line is None else f" in line {line + stray.line:,}"
    return (
        f"The quote that opens in {where}, column {stray.column:,}, before {opened!r}, is closed{in_line}, and "
        f"{_shown(stray.text)!r} follows. Only {spoken(grammar.delimiter)} or the line's end may follow a closing "
        "quote."
    )


def spoken(delimiter: str) -> str:
    """Return a delimiter in words."""
    return {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar (|)"}.get(delimiter, repr(delimiter))


def _shown(text: bytes) -> str:
    return text[:SHOWN_BYTES].removesuffix(b"\r").decode("utf-8", "replace")


def lone_return(where: str) -> TaskRefused:
    """Return the refusal of a file with a lone carriage return in the record ``where``."""
    return TaskRefused(
        "A carriage return (CR) stands outside quotes without a newline (LF) after it: lines must end with LF or CRLF, "
        "and a cell with line breaks must be in quotes.",
        code="lone_carriage_return", where=where,
    )  # fmt: skip


def unclosed(grammar: Grammar, record: bytes, *, where: str) -> TaskRefused:
    """Return the refusal of a file whose ``record`` opens a quote and does not close it, or not within the limit."""
    column, text = grammar.opened(record)
    shown = _shown(text)
    too_long = len(record) > MAX_RECORD_BYTES
    never = f"not closed within {MAX_RECORD_BYTES // 1024**2} MiB" if too_long else "never closed"
    return TaskRefused(
        f"The quote that opens in {where}, column {column:,}, before {shown[1:]!r}, is {never}, so all that follows "
        "would be one cell. Close it; a quote that belongs to the text is doubled, in a cell within quotes.",
        code="unclosed_quote", where=where,
    )  # fmt: skip


def row_name(row: int) -> str:
    """Return the name of a row for messages; 0 is the header."""
    return f"row {row:,}" if row else "the header"
