"""Gzip files that are put together from pieces, and are one member all the same.

A reader that stops after one member sees all of such a file. Each piece ends at a byte and refers to nothing before it
(a full flush of deflate), so pieces can be joined without unpacking them; the checksum of the whole follows from those
of the pieces.
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
"""What a member begins with: no name, no time, an unknown system."""
MARKED_HEAD = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff" + b"\x04\x00" + b"cj\x00\x00"
"""The same with an empty extra field of our own. It says that the member is made of pieces that can be joined."""
_LAST_BLOCK = b"\x03\x00"
_TRAILER = struct.Struct("<II")
TAIL_BYTES = len(_LAST_BLOCK) + _TRAILER.size
_MODULO = 2**32
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
"""The polynomial 1, as the bits of a CRC have it: the highest bit is the coefficient of x to the power of 0."""


def member(blocks: Iterable[bytes]) -> bytes:
    """Return one member that holds ``blocks`` one after the other. Its pieces depend on each block alone."""
    crc, size, pieces = 0, 0, [MARKED_HEAD]
    for block in blocks:
        crc, size = zlib.crc32(block, crc), size + len(block)
        pieces.append(_piece(block))
    return b"".join((*pieces, tail(crc, size)))


def _piece(block: bytes) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)


def tail(crc: int, size: int) -> bytes:
    """Return what a member ends with, from the CRC-32 and the number of its unpacked bytes."""
    return _LAST_BLOCK + _TRAILER.pack(crc, size % _MODULO)


@dataclass(kw_only=True)
class Joined:
    """The sums of a file of one member, made of the pieces of members that :func:`member` has made.

    ``packed_bytes``: of the packed file, without its tail. A member that was made otherwise leaves ``possible`` false.
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
        """Add what the member that was read says of its unpacked bytes."""
        self._crc, self._size = crc_of_both(self._crc, crc, size), (self._size + size) % _MODULO

    def tail(self) -> bytes:
        """Return the file's end."""
        return tail(self._crc, self._size)

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file, its end included."""
        whole = self.digest.copy()
        whole.update(self.tail())
        digest: str = whole.hexdigest()
        return digest


class Reading:
    """One member, read in pieces from its first byte to its last, on its way into several :class:`Joined`."""

    def __init__(self, size: int, into: Iterable[Joined]) -> None:
        self._size = size
        self._into = tuple(into)
        self._at = 0
        self._ends = bytearray()

    def add(self, piece: bytes) -> None:
        """Add the bytes that follow; after the last ones the sums are complete."""
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

    The first one is multiplied by x to the power of the bits that follow it (as ``crc32_combine`` of zlib does).
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
