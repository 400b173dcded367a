"""Gzip files that are joined from pieces and have a single member.

Some readers stop after the first member, so a file of several members would look too short to them. Each piece ends at
a whole byte and does not refer to earlier bytes (a full flush of deflate). So pieces can be joined without unpacking
them, and the checksum of the file is computed from those of the pieces.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

GZIP_LEVEL = 6

HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""The first bytes of a member: no file name, no time, an unknown system."""
MARKED_HEAD = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff" + b"\x04\x00" + b"cj\x00\x00"
"""The same with an empty extra field ``cj``. It says that the member is made of pieces that can be joined."""
_LAST_BLOCK = b"\x03\x00"
_TRAILER = struct.Struct("<II")
TAIL_BYTES = len(_LAST_BLOCK) + _TRAILER.size
_MODULO = 2**32
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
"""The polynomial 1 in the bit order of a CRC: the highest bit is the coefficient of x to the power of 0."""


def member(blocks: Iterable[bytes]) -> bytes:
    """Return one member with ``blocks`` one after the other. Each block becomes a piece that depends on it alone."""
    crc, size, pieces = 0, 0, [MARKED_HEAD]
    for block in blocks:
        crc, size = zlib.crc32(block, crc), size + len(block)
        pieces.append(_piece(block))
    return b"".join((*pieces, tail(crc, size)))


def _piece(block: bytes) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)


def tail(crc: int, size: int) -> bytes:
    """Return the last bytes of a member, from the CRC-32 and the number of its unpacked bytes."""
    return _LAST_BLOCK + _TRAILER.pack(crc, size % _MODULO)


@dataclass(kw_only=True)
class Joined:
    """The checksums and size of a file of one member, joined from the pieces of members made by :func:`member`.

    ``packed_bytes``: size of the packed file without its tail. ``possible``: false if a member was made in another way,
    so that the file cannot be joined.
    """

    possible: bool = True
    packed_bytes: int = len(HEAD)
    digest: Any = field(default_factory=lambda: hashlib.sha256(HEAD))
    _crc: int = 0
    _size: int = 0

    def body(self, data: bytes) -> None:
        """Add packed bytes of the member that is being read, without its head and tail."""
        self.packed_bytes += len(data)
        self.digest.update(data)

    def end(self, crc: int, size: int) -> None:
        """Add the CRC-32 and the number of unpacked bytes from the end of the member that was read."""
        self._crc, self._size = crc_of_both(self._crc, crc, size), (self._size + size) % _MODULO

    def tail(self) -> bytes:
        """Return the last bytes of the file."""
        return tail(self._crc, self._size)

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file, its end included."""
        whole = self.digest.copy()
        whole.update(self.tail())
        digest: str = whole.hexdigest()
        return digest


class Reading:
    """A member that is read in pieces, from its first byte to its last, and added to several :class:`Joined`."""

    def __init__(self, size: int, into: Iterable[Joined]) -> None:
        self._size = size
        self._into = tuple(into)
        self._at = 0
        self._ends = bytearray()

    def add(self, piece: bytes) -> None:
        """Add the next bytes of the member. After its last byte, its checksum is added to each :class:`Joined`."""
        first, stop = len(MARKED_HEAD), self._size - TAIL_BYTES
        begin, self._at = self._at, self._at + len(piece)
        body = piece[max(0, first - begin) : max(0, stop - begin)]
        for joined in self._into:
            joined.body(body)
        self._ends += piece[: max(0, first - begin)] + piece[max(0, stop - begin) :]
        if self._at == self._size:
            self._finish()

    def _finish(self) -> None:
        marked = self._ends.startswith(MARKED_HEAD) and self._ends[-TAIL_BYTES : -_TRAILER.size] == _LAST_BLOCK
        crc, size = _TRAILER.unpack(self._ends[-_TRAILER.size :]) if marked else (0, 0)
        for joined in self._into:
            joined.possible = joined.possible and marked
            joined.end(crc, size)


def crc_of_both(first: int, second: int, second_bytes: int) -> int:
    """Return the CRC-32 of two texts one after the other, from that of each and the length of the second.

    The first CRC is multiplied by x to the power of the number of bits in the second text, as in zlib's
    ``crc32_combine``.
    """
    factor, square, exponent = _ONE, _ONE >> 1, second_bytes * 8  # x to the power of 0, and of 1
    while exponent:
        if exponent & 1:
            factor = _product(square, factor)
        square, exponent = _product(square, square), exponent >> 1
    return _product(factor, first) ^ second


def _product(one: int, other: int) -> int:
    """Return the product of two polynomials modulo that of the CRC."""
    product = 0
    while one:
        if one & _ONE:
            product ^= other
        one = (one << 1) & (_MODULO - 1)
        other = (other >> 1) ^ (_POLYNOMIAL if other & 1 else 0)
    return product
