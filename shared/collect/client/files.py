"""The calls on input files, and functions that read and write files on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from collect.api.data import File
from collect.client.errors import ClientError
from collect.client.transport import Transport, new_idempotency_key

PIECE_BYTES = 64 * 1024

OnBytes = Callable[[int, int | None], None]
"""A function that is called with the bytes so far, and the total if it is known."""


class FilesApi:
    """The calls on input files (``client.files``)."""

    def __init__(self, *, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self,
        source: Path | str | IO[bytes],
        *,
        name: str | None = None,
        on_bytes: OnBytes | None = None,
        idempotency_key: str | None = None,
    ) -> File:
        """Upload a file unchanged, in pieces, and return it. ``name``: needed for a stream without a name.

        Raises:
            ClientError: the file cannot be read.
        """
        opened = _open(source)
        with opened as stream:
            shown = name or _name_of(source)
            reader = _Counted(stream, on_bytes)
            body, _ = self._transport.send(
                "/v1/files",
                source=b"" if reader.length == 0 else reader,
                params={"name": shown},
                headers={"Idempotency-Key": idempotency_key or new_idempotency_key()},
            )
        return File.model_validate(body)

    def get(self, file_id: str) -> File:
        """Return the name, size and checksum of a file."""
        body, _ = self._transport.json("GET", f"/v1/files/{file_id}")
        return File.model_validate(body)

    def save(self, file_id: str, path: Path) -> int:
        """Download a file, and return its size in bytes. ``path`` is created only when the download is complete."""
        return save(self._transport, f"/v1/files/{file_id}/content", {}, path)


def save(transport: Transport, path: str, params: dict[str, str], target: Path) -> int:
    """Write an answer to a file, and return its size in bytes. The file is created only when all of it was received.

    Raises:
        ClientError: the file cannot be written.
    """
    beside = target.with_name(f".{target.name}.part")
    try:
        with transport.stream(path, params=params) as pieces, beside.open("wb") as out:
            written = sum(out.write(piece) for piece in pieces)
        os.replace(beside, target)
    except OSError as error:
        raise ClientError(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        beside.unlink(missing_ok=True)
    return written


def read(path: Path) -> bytes:
    """Return the bytes of a small file.

    Raises:
        ClientError: the file cannot be read.
    """
    with _open(path) as stream:
        return stream.read()


class _Counted:
    """A stream that reports how much of it was read. It has a length, so that the request gets a Content-Length."""

    def __init__(self, stream: IO[bytes], on_bytes: OnBytes | None) -> None:
        self._stream = stream
        self._on_bytes = on_bytes
        self._read = 0
        self.length = _length(stream)

    def __len__(self) -> int:
        return self.length or 0

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(PIECE_BYTES), b"")

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self._read += len(piece)
        if self._on_bytes is not None and piece:
            self._on_bytes(self._read, self.length)
        return piece

    def seekable(self) -> bool:
        return self._stream.seekable()

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._read = 0
        return self._stream.seek(offset, whence)


def _length(stream: IO[bytes]) -> int | None:
    if not stream.seekable():
        return None
    here = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    return end


def _open(source: Path | str | IO[bytes]) -> IO[bytes] | nullcontext[IO[bytes]]:
    if not isinstance(source, (str, Path)):
        return nullcontext(source)
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise ClientError(f"{source} cannot be read: {error.strerror}.") from error


def _name_of(source: Path | str | IO[bytes]) -> str:
    named = source if isinstance(source, (str, Path)) else getattr(source, "name", None)
    return Path(named).name if isinstance(named, (str, Path)) else "upload.csv"
