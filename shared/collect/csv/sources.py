"""The text of an input file as UTF-8, piece by piece in flat memory: plain, gzipped, or in another encoding."""

from __future__ import annotations

import codecs
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from collect.csv import encodings
from collect.csv.encodings import UTF_8
from collect.errors import TaskRefused
from collect.jobs.model import FileRef

PIECE_BYTES = 1024 * 1024
UTF8_BOM = codecs.BOM_UTF8

BOMB_RATIO = 200
BOMB_FLOOR_BYTES = 64 * 1024 * 1024
FEWEST_MEMBER_BYTES = 8
FREE_MEMBERS = 50_000
"""Number of gzip members that may be empty. Further ones must hold :data:`FEWEST_MEMBER_BYTES` on the average, because
each member costs a few microseconds, even an empty one."""
FED_BYTES = 16 * 1024
"""Most bytes given to an inflator at once. At the end of a member it copies the bytes that are left."""
GATHERED_BYTES = 256 * 1024
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
_MAGIC = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook (xlsx)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document"),
    (b"\x7fELF", "a program"),
    (b"%PDF-", "a PDF document"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"PAR1", "a Parquet file"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
)


class Readable(Protocol):
    """The part of a blob store that reading needs."""

    def size(self, name: str) -> int: ...

    def read(self, name: str, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Text:
    """A file's text. ``is_plain``: it is the blob's own bytes, so offsets in the text are offsets in the blob."""

    pieces: Iterator[bytes]
    is_plain: bool
    encoding: str
    is_gzip: bool


def open_text(
    blobs: Readable, name: str, *, encoding: str | None = None, sent: FileRef | None = None, hashed: bool = True
) -> Text:
    """Return the text of a blob. Its first bytes tell whether it is gzip.

    ``sent``: the upload that the blob has to equal. Its size is compared, and with ``hashed`` its SHA-256 as well.

    Raises:
        TaskRefused: the blob is no CSV, or not what was sent. It is also raised while the pieces are read: for a
            damaged archive, for bytes of another encoding, and at the end for another checksum.
    """
    codec = _codec(encoding)
    size = blobs.size(name)
    head = blobs.read(name, 0, PIECE_BYTES)
    is_gzip = head.startswith(_GZIP)
    pieces = stretch(blobs, name, start=0, end=size)
    if sent is not None and sent.sha256:
        _check_size(size, sent)
        pieces = _hashed(pieces, sent.sha256) if hashed else pieces
    if is_gzip:
        pieces = _inflated(pieces)
        first = next(filter(None, pieces), b"")
        if first.startswith(_GZIP):
            raise TaskRefused("The file is a gzip archive within a gzip archive. Unpack it once.", code="nested_gzip")
        head, pieces = first, _put_back(first, pieces)
    _check_head(head, codec)
    if codec != UTF_8:
        pieces = encodings.transcoded(pieces, codec)
    return Text(pieces=pieces, is_plain=not is_gzip and codec == UTF_8, encoding=codec, is_gzip=is_gzip)


def stretch(blobs: Readable, name: str, *, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of a blob from ``start`` to ``end``."""
    while start < end:
        # Up to the next whole piece, because a store that keeps blobs in pieces would read two for one.
        piece = blobs.read(name, start, min(PIECE_BYTES - start % PIECE_BYTES, end - start))
        if not piece:
            raise TaskRefused("The stored file is shorter than it was when it was planned.", code="file_changed")
        start += len(piece)
        yield piece


def members(blobs: Readable, name: str, table: Sequence[Sequence[int]], *, offset: int) -> Iterator[bytes]:
    """Yield the text of a blob of gzip members, from ``offset`` of the text on.

    ``table``: ``[offset in the text, offset in the blob, length in the blob]`` of each member.
    """
    following = [member[0] for member in table[1:]]
    for (begin, at, length), next_begin in zip(table, [*following, None], strict=True):
        if next_begin is not None and next_begin <= offset:
            continue
        text = b"".join(_inflated(stretch(blobs, name, start=at, end=at + length)))
        yield text[max(0, offset - begin) :]


def packed_member(data: bytes) -> bytes:
    """Return ``data`` as a gzip member for :func:`members`. It is packed for speed, not for size."""
    packer = zlib.compressobj(1, wbits=_GZIP_WINDOW)
    return packer.compress(data) + packer.flush()


def empty() -> TaskRefused:
    """Return the refusal of a file without a record."""
    return TaskRefused("The file is empty.", code="empty_file")


def _codec(encoding: str | None) -> str:
    if encoding is None:
        return UTF_8
    codec = encodings.codec_of(encoding)
    if codec is None:
        raise TaskRefused(encodings.unknown(encoding), code="unknown_encoding")
    return codec


def _check_head(head: bytes, codec: str) -> None:
    """Raise an error if the first bytes are no text, or text of another encoding. It says what they look like."""
    if not head.removeprefix(UTF8_BOM).strip():
        raise empty()
    looks_like = next((what for magic, what in _MAGIC if head.startswith(magic)), None)
    begin = head.removeprefix(UTF8_BOM).lstrip()[:20].lower()
    if begin.startswith((b"<!doctype", b"<html", b"<?xml")):
        looks_like = "a web page (HTML or XML)"
    if head.startswith(b"MZ") and b"\0" in head[:64]:
        looks_like = "a program"
    if looks_like is not None:
        raise TaskRefused(f"The file is no CSV: it looks like {looks_like}. {_advice(looks_like)}", code="not_csv")
    encodings.check_head(head, codec)


def _advice(looks_like: str) -> str:
    if "archive" in looks_like and "Excel" not in looks_like:
        return "Unpack it, or pack it with gzip."
    if "web page" in looks_like:
        return "It was saved from a page that asks to be signed in, perhaps. Get the file itself."
    return "Save it as CSV (UTF-8) and send that."


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the text in a gzip archive of one or more members: for each of the archive's pieces at least one piece.

    A piece may be empty.
    """
    held: list[bytes] = []
    size = 0
    try:
        for text in _of_members(pieces):
            held.append(text or b"")
            size += len(held[-1])
            if text is None or size >= GATHERED_BYTES:
                yield b"".join(held)
                held, size = [], 0
    except TaskRefused:
        yield b"".join(held)
        raise


def _of_members(pieces: Iterator[bytes]) -> Iterator[bytes | None]:
    """Yield the text of the members, in pieces of any size, and ``None`` after each piece of the archive."""
    packed = unpacked = 0
    members, inflator = 1, zlib.decompressobj(_GZIP_WINDOW)
    for piece in pieces:
        packed += len(piece)
        for begin in range(0, len(piece), FED_BYTES):
            fed = piece[begin : begin + FED_BYTES]
            while fed:
                if inflator.eof:
                    fed = fed.lstrip(b"\0")  # padding, as tape archives have it
                    if not fed:
                        break
                    members, inflator = members + 1, zlib.decompressobj(_GZIP_WINDOW)
                try:
                    text = inflator.decompress(fed, PIECE_BYTES)
                except zlib.error as error:
                    raise TaskRefused("The gzip archive is damaged. Pack it again.", code="damaged_gzip") from error
                fed = inflator.unused_data if inflator.eof else inflator.unconsumed_tail
                unpacked += len(text)
                _check_sizes(packed, unpacked, members)
                yield text
        yield None
    if not inflator.eof:
        raise TaskRefused("The gzip archive ends too early: it was cut off. Send it again.", code="truncated_gzip")


def _check_sizes(packed: int, unpacked: int, members: int) -> None:
    if unpacked > max(BOMB_FLOOR_BYTES, BOMB_RATIO * packed):
        raise TaskRefused(
            f"The gzip archive unpacks to over {BOMB_RATIO} times its size, which no survey does. "
            "If it is one all the same, send it unpacked.",
            code="gzip_bomb",
        )
    if unpacked < FEWEST_MEMBER_BYTES * (members - FREE_MEMBERS):
        raise TaskRefused(
            f"The first {members:,} members of the gzip archive hold {unpacked:,} bytes together, next to nothing "
            "each. Pack the file as a whole, or send it unpacked.",
            code="tiny_gzip_members",
        )


def _check_size(size: int, sent: FileRef) -> None:
    if size != sent.bytes:
        raise _replaced(f"it has {size:,} bytes, and {sent.bytes:,} were sent")


def _hashed(pieces: Iterator[bytes], sha256: str) -> Iterator[bytes]:
    """Yield the same pieces. Raise an error at the end if their SHA-256 is another one."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != sha256:
        raise _replaced(f"its SHA-256 is {digest.hexdigest()[:12]}…, and that of what was sent {sha256[:12]}…")


def _replaced(how: str) -> TaskRefused:
    return TaskRefused(f"The stored file is not the one that was sent: {how}. Send it again.", code="file_changed")


def _put_back(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces
