"""Files: what jobs read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from collect.client.errors import ClientError
from collect.client.models import File
from collect.client.transport import Transport, new_idempotency_key

PIECE_BYTES = 64 * 1024

OnBytes = Callable[[int, int | None], None]
"""Told bytes so far and, where it is known, of how many."""


class FilesApi:
    """``client.files``."""

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
        """Send a file as it is, in flat memory; ``name`` is needed for a stream that has none."""
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
        """A file's name, size and checksum."""
        body, _ = self._transport.json("GET", f"/v1/files/{file_id}")
        return File.model_validate(body)

    def save(self, file_id: str, path: Path) -> int:
        """Download a file; returns its bytes. ``path`` appears only when all of it is there."""
        return save(self._transport, f"/v1/files/{file_id}/content", {}, path)


def save(transport: Transport, path: str, params: dict[str, str], target: Path) -> int:
    """Write an answer to a file, which appears only when all of it is there; returns its bytes."""
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
    """A small file, whole.

    Raises:
        ClientError: it cannot be read.
    """
    with _open(path) as stream:
        return stream.read()


class _Counted:
    """A stream that tells how much of it has been read, and how long it is, so that it goes out with its length."""

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
