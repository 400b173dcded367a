"""Downloads results in pieces, continues after a break, and checks the gateway's checksum."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from collect.client.errors import BadAnswer, ClientError, Damaged, InvalidRequest, Unreachable
from collect.client.files import OnBytes
from collect.client.transport import Transport

RANGE_UNUSABLE = 416
PIECE_BYTES = 1024 * 1024
_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def download(
    transport: Transport, path: str, target: Path, *, params: Mapping[str, Any] | None = None, on_bytes: OnBytes | None
) -> int:
    """Download an answer into ``target``, and return its size in bytes.

    ``target`` is created only when the download is complete and its checksum is right. Until then the bytes are in a
    file with ``.part`` added to its name. Bytes of an earlier try are not downloaded again.

    Raises:
        Damaged: the checksum was wrong twice. The bytes are deleted.
        Unreachable: the download broke off and a try brought no bytes. The bytes so far are kept.
        ClientError: the file cannot be written.
    """
    partial = target.with_name(f"{target.name}.part")
    fetch = _Fetch(transport=transport, path=path, params=params, partial=partial, on_bytes=on_bytes)
    try:
        if not fetch.whole() and not fetch.whole():
            raise Damaged(f"{target} is not what the gateway says it is; nothing of it was kept. Try again.")
        os.replace(partial, target)
    except OSError as error:
        raise ClientError(f"{target} cannot be written: {error.strerror}.") from error
    return target.stat().st_size


class _Fetch:
    def __init__(
        self,
        *,
        transport: Transport,
        path: str,
        params: Mapping[str, Any] | None,
        partial: Path,
        on_bytes: OnBytes | None,
    ) -> None:
        self._transport = transport
        self._path = path
        self._params = params
        self._partial = partial
        self._tell: OnBytes = on_bytes or (lambda _done, _of: None)

    def whole(self) -> bool:
        """Download the missing bytes, and return whether the checksum is right. Deletes the file if it is wrong.

        Tries again after each break, as long as a try brings bytes.
        """
        while True:
            before = self._size()
            try:
                digest = self._rest(before)
            except Unreachable:
                if self._size() <= before:
                    raise
                continue
            except InvalidRequest as error:
                if error.status != RANGE_UNUSABLE or not before:
                    raise
                self._partial.unlink()  # the partial file is longer than the result, so it is from another one
                continue
            if digest is None or digest == _sha256(self._partial):
                return True
            self._partial.unlink()
            return False

    def _size(self) -> int:
        return self._partial.stat().st_size if self._partial.exists() else 0

    def _rest(self, have: int) -> bytes | None:
        """Download from the last byte of the partial file on, and return the checksum of the whole.

        The last byte is requested again since a range must not be empty.
        """
        start = max(0, have - 1)
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        with self._transport.answer(self._path, params=self._params, headers=headers) as answer:
            begin, size = _extent(answer.status, answer.headers, start)
            with self._partial.open("r+b" if have and begin else "wb") as out:
                out.seek(begin)
                out.truncate()
                self._tell(begin, size)
                _copy(answer.pieces, out, begin, lambda done: self._tell(done, size))
                done = out.tell()
                out.flush()
                os.fsync(out.fileno())
        if size is not None and done < size:
            raise Unreachable(f"The answer of {self._transport.url} broke off.")
        return _digest(answer.headers)


def _extent(status: int, headers: Mapping[str, str], start: int) -> tuple[int, int | None]:
    """Return the byte at which the answer begins, and the size of the whole if the answer gives it.

    Raises:
        BadAnswer: the answer is another range than the requested one.
    """
    if status != 206:
        length = headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    found = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if found is None or int(found[1]) != start:
        raise BadAnswer("The gateway sent another part than was asked for.")
    return start, int(found[3])


def _copy(pieces: Any, out: IO[bytes], begin: int, tell: Callable[[int], None]) -> None:
    done = begin
    for piece in pieces:
        done += out.write(piece)
        tell(done)


def _digest(headers: Mapping[str, str]) -> bytes | None:
    found = _DIGEST.search(headers.get("Repr-Digest", ""))
    try:
        return base64.b64decode(found[1], validate=True) if found else None
    except binascii.Error as error:
        raise BadAnswer("The gateway sent a checksum that is none.") from error


def _sha256(path: Path) -> bytes:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            found.update(piece)
    return found.digest()
