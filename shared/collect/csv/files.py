"""Opening a file: what it is, what its header says, and where its rows begin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from collect.csv import layout, shifts, sources
from collect.csv.blocks import lone_return, unclosed
from collect.csv.grammar import Grammar, LoneCarriageReturn
from collect.csv.layout import DELIMITERS, MAX_HEADER_BYTES, MOST_CELLS, Header, Params
from collect.csv.reading import Lot
from collect.csv.shifts import Lacking, Shifted
from collect.csv.sources import UTF8_BOM, Readable, Text
from collect.csv.validation import Validator
from collect.errors import TaskRefused
from collect.jobs.model import FileRef
from collect.jobs.template import ColumnType, Template

_DELIMITER = b"[" + re.escape("".join(DELIMITERS)).encode() + b"]"
_SEPARATOR = re.compile(rb'(?P<quote>"?)sep=(?P<delimiter>' + _DELIMITER + rb")(?P=quote)(?:\r?\n|\Z)", re.IGNORECASE)
_TEXTUAL = frozenset({ColumnType.STRING})


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A file whose header has been read. ``pieces`` go on at ``offset`` of the text, where the first row begins."""

    text: Text
    header: Header
    grammar: Grammar
    pieces: Iterator[bytes]
    offset: int
    shifted: Shifted | None = None

    def lacking(self, first_row: int, last_row: int) -> Lacking:
        """Of rows that have been read: those that have no cell of a column, since it was moved."""
        return {} if self.shifted is None else self.shifted.lacking(first_row, last_row)

    def from_(self, offset: int) -> Iterator[bytes]:
        """The pieces from ``offset`` of the text on; what is left out comes as empty ones."""
        to_skip = offset - self.offset
        for piece in self.pieces:
            yield piece[to_skip:]
            to_skip = max(0, to_skip - len(piece))


def open_file(
    blobs: Readable,
    name: str,
    *,
    template: Template,
    params: Params,
    sent: FileRef | None = None,
    hashed: bool = True,
) -> Opened:
    """Open a blob and read its header. ``sent``: its bytes are to be those that were sent; not ``hashed``, as many.

    Raises:
        TaskRefused: it is no CSV, or its header cannot be read.
    """
    text = sources.open_text(blobs, name, encoding=params.encoding, sent=sent, hashed=hashed)
    head, final = _head(text.pieces)
    mark, delimiter = _before_the_header(head)
    head, params = head[mark:], replace(params, delimiter=params.delimiter or delimiter)
    if not head.strip():
        raise sources.empty()
    try:
        header, length = _header(head, final=final, template=template, params=params)
    except LoneCarriageReturn as error:
        raise _all_in_one_line() if b"\n" not in head else lone_return("the header") from error
    begin = length if header.is_header else 0
    grammar, offset = Grammar(header.delimiter), mark + begin
    pieces = _after(head[begin:], text.pieces)
    moved = _moved(header, template, params)
    if not moved:
        return Opened(text=text, header=header, grammar=grammar, pieces=pieces, offset=offset)
    shifted = Shifted(pieces, grammar, offset=offset, moves=moved)
    text = replace(text, is_plain=False)
    return Opened(text=text, header=header, grammar=grammar, pieces=iter(shifted), offset=offset, shifted=shifted)


def _moved(header: Header, template: Template, params: Params) -> dict[str, tuple[int, int]]:
    if not params.column_shift:
        return {}
    arranged, _ = layout.arrange(header, template, params, only_key=True)
    return shifts.moves(arranged, params.column_shift)


def _all_in_one_line() -> TaskRefused:
    return TaskRefused(
        "The lines end with carriage returns (CR) alone, as on old Macintoshes. Save the file with LF or CRLF.",
        code="lone_carriage_return", where="the header",
    )  # fmt: skip


def _head(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """Enough of the text to hold a header, and whether it is all of it."""
    head: list[bytes] = []
    size = 0
    for piece in pieces:
        head.append(piece)
        size += len(piece)
        if size > MAX_HEADER_BYTES:
            return b"".join(head), False
    return b"".join(head), True


def _before_the_header(head: bytes) -> tuple[int, str | None]:
    """How many bytes stand before the first record, and the delimiter that they name, in a line as Excel writes it."""
    mark = len(UTF8_BOM) if head.startswith(UTF8_BOM) else 0
    named = _SEPARATOR.match(head, mark)
    return (mark, None) if named is None else (named.end(), named["delimiter"].decode())


def _header(head: bytes, *, final: bool, template: Template, params: Params) -> tuple[Header, int]:
    """The first record, and where it ends."""
    delimiter = _delimiter(head, final=final, template=template, params=params)
    grammar = Grammar(delimiter)
    record = layout.first_record(head, grammar, final=final)
    if grammar.is_open(record):
        raise unclosed(grammar, record, where="the header")
    try:
        record.decode()
    except UnicodeDecodeError as error:
        raise TaskRefused(
            f'The file is not UTF-8: byte {error.start} of the header is 0x{record[error.start]:02x}. If it has '
            'another encoding, name it in "encoding", as in "cp1252".',
            code="encoding", where="the header",
        ) from error  # fmt: skip
    cells = tuple(layout.parse(record, delimiter))
    if len(cells) > MOST_CELLS:
        raise TaskRefused(
            f"The header has {len(cells):,} columns; at most {MOST_CELLS:,} are read. Remove those that the dataset "
            "does not have.",
            code="too_many_columns", where="the header",
        )  # fmt: skip
    is_header = params.has_header
    if is_header is None:
        is_header = not _is_data(record, cells, delimiter, template=template, params=params)
    end = head.find(b"\n", head.index(record) + len(record)) + 1
    return Header(cells=cells, is_header=is_header, delimiter=delimiter), end or len(head)


def _delimiter(head: bytes, *, final: bool, template: Template, params: Params) -> str:
    known = layout.known_names(template, params)
    try:
        return layout.find_delimiter(head, known=known, given=params.delimiter, final=final)
    except ValueError as error:
        if isinstance(error, LoneCarriageReturn):
            raise
        raise TaskRefused(str(error), code="unknown_delimiter") from error


def _is_data(record: bytes, cells: tuple[str, ...], delimiter: str, *, template: Template, params: Params) -> bool:
    """Whether the first record is a row: it names no column, and fits the template where that is not just text."""
    if any(cell in layout.known_names(template, params) for cell in cells) or len(cells) != len(template.names):
        return False
    arranged = layout.Layout(delimiter=delimiter, columns=template.names)
    row = Lot.of([record], row=1, grammar=Grammar(delimiter))
    valid, rejects = Validator(template=template, layout=arranged, rules=params.cells).validate(row)
    typed = [column.name for column in template.columns if column.type not in _TEXTUAL or column.pattern]
    return not rejects and any(_has_value(valid.columns[name]) for name in typed)


def _has_value(values: pa.Array) -> bool:
    return bool(len(values) - values.null_count)


def _after(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from pieces
