"""Opening a file: its encoding, its delimiter, its header, and the place where its rows begin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from collect.csv import delimiters, layout, realign, sources, unseen
from collect.csv.blocks import Block, blocks, lone_return, text_after_quote, unclosed
from collect.csv.delimiters import MAX_BYTES_ABOVE
from collect.csv.grammar import Grammar, LoneCarriageReturn
from collect.csv.layout import DELIMITERS, MAX_HEADER_BYTES, MOST_CELLS, Header, Params
from collect.csv.reading import Lot
from collect.csv.realign import Lacking, Shifted
from collect.csv.sources import UTF8_BOM, Readable, Text
from collect.csv.validation import Validator
from collect.errors import TaskRefused
from collect.jobs.model import FileRef
from collect.jobs.template import ColumnType, Template

_DELIMITER = b"[" + re.escape("".join(DELIMITERS)).encode() + b"]"
_SEPARATOR = re.compile(rb'(?P<quote>"?)sep=(?P<delimiter>' + _DELIMITER + rb")(?P=quote)(?:\r?\n|\Z)", re.IGNORECASE)
_NO_TEXT = re.compile(rb'(?:\s|""|' + _DELIMITER + b")*+")
_TEXTUAL = frozenset({ColumnType.STRING})


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A file whose header has been read. ``pieces`` hold the text from ``offset`` on, where the first row begins.

    ``first_line``: the line of the file where the first row begins; ``None`` if the text is not the file's own, because
    cells were moved. ``blank_above``: number of blank lines above the header.
    """

    text: Text
    header: Header
    grammar: Grammar
    pieces: Iterator[bytes]
    offset: int
    first_line: int | None
    blank_above: int = 0
    shifted: Shifted | None = None

    @property
    def blank_rows(self) -> int:
        """The number of blank lines so far that no block counts: above the header, or dropped when cells were moved."""
        return self.blank_above + (0 if self.shifted is None else self.shifted.blank_rows)

    def blocks(self, *, by_line: bool = False) -> Iterator[Block | None]:
        """Return an iterator over the rows in blocks. See :func:`collect.csv.blocks.blocks`."""
        return blocks(self.pieces, self.grammar, offset=self.offset, first_line=self.first_line, by_line=by_line)

    def lacking(self, first_row: int, last_row: int) -> Lacking:
        """Return which of these rows have no cell of a column, because ``column_shift`` moved it.

        The rows ``first_row`` to ``last_row`` must have been read already.
        """
        return {} if self.shifted is None else self.shifted.lacking(first_row, last_row)

    def from_(self, offset: int) -> Iterator[bytes]:
        """Yield the pieces from ``offset`` of the text on. Pieces before it come as empty ones."""
        to_skip = offset - self.offset
        for piece in self.pieces:
            yield piece[to_skip:]
            to_skip = max(0, to_skip - len(piece))


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The beginning of a text, from its first record or a blank line before that. ``final``: the text ends with it.

    ``offset``: number of bytes of the text before it, ``lines``: number of lines in these, ``skipped``: the first of
    these bytes. ``delimiter``: the one that a ``sep=`` line of the text names.
    """

    data: bytes
    final: bool
    offset: int
    lines: int
    skipped: bytes
    delimiter: str | None


def open_file(
    blobs: Readable,
    name: str,
    *,
    template: Template,
    params: Params,
    sent: FileRef | None = None,
    hashed: bool = True,
    width: int | None = None,
) -> Opened:
    """Open a blob and read its header.

    ``sent``: the upload that the blob has to equal. Its size is compared, and with ``hashed`` its SHA-256 as well.
    ``width``: number of columns of a file without a header; the template's number if it is left out.

    Raises:
        TaskRefused: the file is no CSV, or its header cannot be read.
    """
    text = sources.open_text(blobs, name, encoding=params.encoding, sent=sent, hashed=hashed)
    head = _head(text.pieces, params.skip_lines)
    params = replace(params, delimiter=params.delimiter or head.delimiter)
    if not head.data.strip() or (head.final and _NO_TEXT.fullmatch(head.data)):
        raise _nothing_left(params.skip_lines, head.lines) if params.skip_lines else sources.empty()
    try:
        header, record, length = _header(head, template=template, params=params, width=width or len(template.names))
    except LoneCarriageReturn as error:
        raise _all_in_one_line() if b"\n" not in head.data else lone_return("the header") from error
    blank_above = head.data.count(b"\n", 0, head.data.index(record))
    begin = length if header.is_header else 0
    opened = Opened(
        text=text,
        header=header,
        grammar=Grammar(header.delimiter, width=len(header.cells)),
        pieces=_after(head.data[begin:], text.pieces),
        offset=head.offset + begin,
        first_line=1 + head.lines + head.data.count(b"\n", 0, begin),
        blank_above=blank_above if header.is_header else 0,
    )
    moved = _moved(header, template, params)
    return _with_moved(opened, moved) if moved else opened


def _with_moved(opened: Opened, moved: dict[str, tuple[int, int]]) -> Opened:
    """Return the file with its text written anew. Each line of it is a row, even if all its cells have moved away."""
    shifted = Shifted(opened.blocks(), opened.grammar, moves=moved)
    return replace(
        opened,
        text=replace(opened.text, is_plain=False),
        grammar=Grammar(opened.header.delimiter, width=opened.grammar.width, every_line=True),
        pieces=iter(shifted),
        first_line=None,
        shifted=shifted,
    )


def _moved(header: Header, template: Template, params: Params) -> dict[str, tuple[int, int]]:
    if not params.column_shift:
        return {}
    arranged, _ = layout.arrange(header, template, params, only_key=True)
    return realign.moves(arranged, params.column_shift)


def _all_in_one_line() -> TaskRefused:
    return TaskRefused(
        "The lines end with carriage returns (CR) alone, as on old Macintoshes. Save the file with LF or CRLF.",
        code="lone_carriage_return", where="the header",
    )  # fmt: skip


def _head(pieces: Iterator[bytes], skip_lines: int) -> _Head:
    """Return enough of the text to hold a header, without the first ``skip_lines`` lines.

    Raises:
        TaskRefused: the file has no further line.
    """
    data, final = _more(b"", pieces)
    mark = len(UTF8_BOM) if data.startswith(UTF8_BOM) else 0
    delimiter, offset = _named(data, mark)
    lines = data.count(b"\n", 0, offset)
    skipped, data, at = data[mark:offset], data[offset:], 0
    while lines < skip_lines:
        end = data.find(b"\n", at) + 1
        if end:
            at, lines = end, lines + 1
            continue
        if final:
            raise _nothing_left(skip_lines, lines + (at < len(data)))
        skipped, offset, at = (skipped + data)[:MAX_BYTES_ABOVE], offset + len(data), 0
        data, final = _more(b"", pieces)
    skipped, data, offset = (skipped + data[:at])[:MAX_BYTES_ABOVE], data[at:], offset + at
    if lines and len(data) <= MAX_HEADER_BYTES and not final:
        data, final = _more(data, pieces)
    named, length = _named(data, 0) if skip_lines else (None, 0)
    return _Head(
        data=data[length:],
        final=final,
        offset=offset + length,
        lines=lines + data.count(b"\n", 0, length),
        skipped=skipped,
        delimiter=named or delimiter,
    )


def _more(head: bytes, pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """Return the text that begins with ``head``, long enough to hold a header, and whether that is all of the text."""
    parts, size = [head], len(head)
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > MAX_HEADER_BYTES:
            return b"".join(parts), False
    return b"".join(parts), True


def _named(data: bytes, at: int) -> tuple[str | None, int]:
    """Return the delimiter in a ``sep=`` line at ``at``, as Excel writes it, and where that line ends.

    Without such a line: ``None`` and ``at``.
    """
    named = _SEPARATOR.match(data, at)
    return (None, at) if named is None else (named["delimiter"].decode(), named.end())


def _nothing_left(skip_lines: int, lines: int) -> TaskRefused:
    return TaskRefused(
        f"skip_lines leaves out the first {skip_lines:,} lines; nothing stands below line {lines:,} of the file. Set "
        "it to the number of lines above the header.",
        code="skip_lines_beyond_end",
    )  # fmt: skip


def _header(head: _Head, *, template: Template, params: Params, width: int) -> tuple[Header, bytes, int]:
    """Return the header, the first record, and where in ``head`` the record's line ends."""
    known = layout.known_names(template, params)
    delimiter = _delimiter(head, known=known, template=template, params=params, width=width)
    record = delimiters.first_record(head.data, Grammar(delimiter, strict=False), final=head.final)
    cells = tuple(layout.parse(record, delimiter))
    names = layout.names_of(cells, known)
    above = delimiters.lines_above(head.data, known) if known.isdisjoint(names) else None
    header = Header(
        cells=cells, is_header=True, delimiter=delimiter, lines_above=None if above is None else above + head.lines
    )
    begin = head.data.index(record)
    end = head.data.find(b"\n", begin + len(record)) + 1 or len(head.data)
    if params.has_header is False and _strays(record, delimiter) and Grammar(delimiter, width=width).ends_here(record):
        return replace(header, cells=template.names, is_header=False), record, end
    where = "row 1" if params.has_header is False else "the header"
    _check_first(record, header, known, where=where, line=1 + head.lines + head.data.count(b"\n", 0, begin))
    is_header = params.has_header
    if is_header is None:
        is_header = not _is_data(record, cells, delimiter, template=template, params=params)
        if not is_header:
            _check_skipped(head, known, params)
    if is_header:
        header = _without_unnamed(replace(header, cells=names) if params.cells.trim else header, params)
    else:
        header = replace(header, cells=tuple(layout.fitted(cells, width)), is_header=False)
    if len(header.cells) > MOST_CELLS:
        raise TaskRefused(
            f"The header has {len(header.cells):,} columns; at most {MOST_CELLS:,} are read. Remove those that the "
            "dataset does not have.",
            code="too_many_columns", where="the header",
        )  # fmt: skip
    return header, record, end


def _check_first(record: bytes, header: Header, known: frozenset[str], *, where: str, line: int) -> None:
    """Raise an error if the quotes or the bytes of the first record are wrong. It begins in ``line`` of the file."""
    grammar = Grammar(header.delimiter)
    refusal: TaskRefused | None = None
    if Grammar(header.delimiter, strict=False).is_open(record):
        refusal = unclosed(grammar, record, where=where)
    elif _strays(record, header.delimiter) and not layout.other_delimiter(header, known):
        refusal = text_after_quote(grammar, record, where=where, line=line)
    if refusal is not None and header.lines_above is not None:
        raise TaskRefused(
            f"{refusal.detail} {layout.skip_hint(header.lines_above)}", code=refusal.code, where=where
        ) from refusal
    if refusal is not None:
        raise refusal
    try:
        record.decode()
    except UnicodeDecodeError as error:
        raise TaskRefused(
            f'The file is not UTF-8: byte {error.start} of {where} is 0x{record[error.start]:02x}. If it has '
            'another encoding, name it in "encoding", as in "cp1252".',
            code="encoding", where=where,
        ) from error  # fmt: skip


def _strays(record: bytes, delimiter: str) -> bool:
    return Grammar(delimiter).stray(record) is not None


def _check_skipped(head: _Head, known: frozenset[str], params: Params) -> None:
    """Raise an error if the header is among the lines that ``skip_lines`` leaves out: rows may be among them too."""
    line = delimiters.header_line(head.skipped, known) if params.skip_lines else None
    if line is not None:
        raise TaskRefused(
            f"Line {line:,} looks like the header, and skip_lines leaves out the first {params.skip_lines:,} lines. "
            f"Set it to {line - 1}, or set has_header to false if the file is to be read without its header.",
            code="header_skipped",
        )  # fmt: skip


def _without_unnamed(header: Header, params: Params) -> Header:
    """Return the header without the cells at its end that name nothing."""
    cells = header.cells
    while cells and unseen.shows_nothing(cells[-1]) and cells[-1] not in params.column_map:
        cells = cells[:-1]
    return replace(header, cells=cells, unnamed=len(header.cells) - len(cells)) if cells else header


def _delimiter(head: _Head, *, known: frozenset[str], template: Template, params: Params, width: int) -> str:
    """Return the given delimiter, or detect it: by the column names in the header, or by the number of cells."""
    if params.delimiter is not None:
        try:
            return Grammar(params.delimiter).delimiter
        except ValueError as error:
            raise TaskRefused(str(error), code="unknown_delimiter") from error

    def first(delimiter: str) -> tuple[bytes, tuple[str, ...]]:
        record = delimiters.first_record(head.data, Grammar(delimiter, strict=False), final=head.final)
        return record, tuple(layout.parse(record, delimiter))

    def is_data(delimiter: str) -> bool:
        record, cells = first(delimiter)
        return _is_data(record, cells, delimiter, template=template, params=params)

    by_names = delimiters.by_names(head.data, known=known, final=head.final)
    if params.has_header or (
        params.has_header is None and not known.isdisjoint(layout.names_of(first(by_names)[1], known))
    ):
        return by_names
    by_width = delimiters.by_width(
        head.data,
        width=width,
        final=head.final,
        decimal=params.cells.decimal,
        may_be=is_data if params.has_header is None else None,
    )
    return by_width or by_names


def _is_data(record: bytes, cells: tuple[str, ...], delimiter: str, *, template: Template, params: Params) -> bool:
    """Return whether the first record is a row: it names no column, and it is valid by the template.

    It must also have a value in a column that is more than plain text: one of another type, or with a pattern.
    """
    width = len(template.names)
    known = layout.known_names(template, params)
    if not known.isdisjoint(layout.names_of(cells, known)) or len(layout.fitted(cells, width)) != width:
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
