"""Bytes by name: input files, and what jobs make of them. ``gridfs://`` (default) or ``file:///folder``."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING

from collect.errors import NotFound, StoreFull
from collect.storage.database import Database, Document

CHUNK_BYTES = 1024 * 1024
BUCKET = "blobs"
FILES = f"{BUCKET}.files"
CHUNKS = f"{BUCKET}.chunks"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Blobs(Protocol):
    """A blob is written once and never changed. Names are ours: letters, digits, ``-``, ``.`` and ``/``."""

    def size(self, name: str) -> int:
        """Bytes. Raises :class:`collect.errors.NotFound`."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end."""

    def write(self, name: str, data: Iterable[bytes]) -> int:
        """Store ``data`` in flat memory; the blob is there when this returns, whole, or not at all. Gives its bytes.

        Raises :class:`collect.errors.StoreFull`.
        """

    def delete(self, name: str) -> None:
        """Remove it. Idempotent."""

    def delete_prefix(self, prefix: str) -> int:
        """Remove all whose name begins so. Idempotent. Returns how many there were."""

    def stored(self) -> Iterator[tuple[str, datetime]]:
        """Every name, and when it was written."""


def stream(blobs: Blobs, name: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes from ``start`` to before ``end``, in pieces."""
    stop = blobs.size(name) if end is None else end
    while start < stop:
        piece = blobs.read(name, start, min(CHUNK_BYTES, stop - start))
        if not piece:
            return
        yield piece
        start += len(piece)


def open_blobs(url: str, db: Database) -> Blobs:
    """The blob store that ``url`` names.

    Raises:
        ValueError: there is no such kind of store.
    """
    parts = urlsplit(url)
    if parts.scheme == "gridfs":
        return GridFsBlobs(db=db)
    if parts.scheme == "file":
        return FileBlobs(folder=Path(unquote(parts.path)))
    raise ValueError(f"STORAGE_URL is gridfs:// or file:///folder, not {parts.scheme}://")


class GridFsBlobs:
    """In MongoDB itself: nothing more to run. Stored as GridFS has it.

    Reading and writing are done here, a chunk at a time: the library's streams hold up to 48 MB of each upload back,
    twice, and fetch up to 16 MB for a read of one.
    """

    def __init__(self, *, db: Database) -> None:
        self._files = db[FILES]
        self._chunks = db[CHUNKS]

    def size(self, name: str) -> int:
        return int(self._file(name)["length"])

    def read(self, name: str, offset: int, length: int) -> bytes:
        file = self._file(name)
        end = min(offset + length, file["length"])
        if offset >= end:
            return b""
        size = file["chunkSize"]
        first, last = offset // size, (end - 1) // size
        query = {"files_id": file["_id"], "n": {"$gte": first, "$lte": last}}
        data = b"".join(chunk["data"] for chunk in self._chunks.find(query, {"data": 1}).sort("n", ASCENDING))
        if len(data) < min((last + 1) * size, file["length"]) - first * size:
            raise NotFound(f"The blob {name!r} is not whole.")
        return data[offset - first * size : end - first * size]

    def write(self, name: str, data: Iterable[bytes]) -> int:
        file_id = ObjectId()
        written = 0
        try:
            for n, piece in enumerate(_resized(data)):
                self._chunks.insert_one({"files_id": file_id, "n": n, "data": piece})
                written += len(piece)
            self._files.insert_one(
                {
                    "_id": file_id,
                    "filename": name,
                    "length": written,
                    "chunkSize": CHUNK_BYTES,
                    "uploadDate": datetime.now(UTC),
                }
            )
        except BaseException:
            self._chunks.delete_many({"files_id": file_id})
            raise
        return written

    def delete(self, name: str) -> None:
        for document in list(self._files.find({"filename": name}, {"_id": 1})):
            self._remove(document["_id"])

    def delete_prefix(self, prefix: str) -> int:
        query = {"filename": {"$gte": prefix, "$lt": prefix + "\uffff"}}
        found = [document["_id"] for document in self._files.find(query, {"_id": 1})]
        for file_id in found:
            self._remove(file_id)
        return len(found)

    def stored(self) -> Iterator[tuple[str, datetime]]:
        for document in self._files.find({}, {"filename": 1, "uploadDate": 1}):
            yield document["filename"], document["uploadDate"]

    def _file(self, name: str) -> Document:
        document = self._files.find_one({"filename": name}, sort=[("uploadDate", DESCENDING)])
        if document is None:
            raise NotFound(f"There is no blob {name!r}.")
        return document

    def _remove(self, file_id: object) -> None:
        self._files.delete_one({"_id": file_id})
        self._chunks.delete_many({"files_id": file_id})


def _resized(data: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of :data:`CHUNK_BYTES`, the last one excepted."""
    held = bytearray()
    for piece in data:
        held += piece
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)


class FileBlobs:
    """In a folder that every service sees under the same path."""

    def __init__(self, *, folder: Path) -> None:
        self._folder = folder

    def size(self, name: str) -> int:
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError as error:
            raise NotFound(f"There is no blob {name!r}.") from error

    def read(self, name: str, offset: int, length: int) -> bytes:
        try:
            with self._path(name).open("rb") as source:
                source.seek(offset)
                return source.read(length)
        except FileNotFoundError as error:
            raise NotFound(f"There is no blob {name!r}.") from error

    def write(self, name: str, data: Iterable[bytes]) -> int:
        try:
            return self._write(self._path(name), data)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise StoreFull("The file store has no room left. Ask again when there is some.") from error

    def _write(self, path: Path, data: Iterable[bytes]) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        try:
            with os.fdopen(descriptor, "wb") as target:
                for piece in data:
                    target.write(piece)
                    written += len(piece)
                target.flush()
                os.fsync(target.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return written

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def delete_prefix(self, prefix: str) -> int:
        found = [name for name, _ in self.stored() if name.startswith(prefix)]
        for name in found:
            self.delete(name)
        return len(found)

    def stored(self) -> Iterator[tuple[str, datetime]]:
        for path in self._folder.rglob("*"):
            if path.is_file() and not path.name.startswith(".writing-"):
                at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                yield path.relative_to(self._folder).as_posix(), at

    def _path(self, name: str) -> Path:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise NotFound(f"There is no blob {name!r}.")
        return path
