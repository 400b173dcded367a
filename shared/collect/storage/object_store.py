"""The blob store: named byte strings, for input files and for the files that jobs write.

It is in MongoDB (``gridfs://``, the default), in a folder (``file:///folder``), or in an object store
(``s3://bucket/prefix``, ``gs://…``, ``az://…``: :mod:`collect.storage.objects`).
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING

from collect.errors import NotFound, StoreFull, Transient
from collect.storage.database import Database, Document

CHUNK_BYTES = 1024 * 1024
TOGETHER_BYTES = 4 * CHUNK_BYTES
"""Most bytes in one insert. Large, because each insert costs the time that the server waits for its journal."""
SMALL_CHUNK_BYTES = 256 * 1024
"""Size of a chunk of a blob in :data:`SMALL`, in bytes."""
SMALL = ("results/",)
"""Prefixes of blobs with small chunks.

Many clients can download a result at the same time, so each download should hold little memory. The other blobs are
read by jobs: by few at a time, and large chunks are faster.
"""
PIECE_BYTES = 256 * 1024
"""Most bytes of a file that are read at once, for a piece of :meth:`Blobs.stretch`."""
BUCKET = "blobs"
FILES = f"{BUCKET}.files"
CHUNKS = f"{BUCKET}.chunks"
REMOTE = ("s3", "gs", "az")
WRITING = ".writing-"
"""The prefix of the names of files that are still being written."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_PASSING = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT})
"""Errors after which the same call can succeed: of a file server that comes back, or of a disk that fails to read."""


class Blobs(Protocol):
    """A blob store. A blob is written once and never changed.

    Only this project makes the names of blobs: letters, digits, ``-``, ``.`` and ``/``. Every method can raise
    :class:`collect.errors.StoreFull` (there is no room, or the store refuses the call), and
    :class:`collect.errors.Transient` if the store cannot do it now.
    """

    def size(self, name: str) -> int:
        """Return the blob's length in bytes. Raises :class:`collect.errors.NotFound`."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset`` on, fewer only at the blob's end.

        Raises:
            NotFound: there is no such blob.
        """

    def stretch(self, name: str, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to before ``end`` in pieces. Only a few pieces are in memory at a time.

        Raises:
            NotFound: there is no such blob, or it ends before ``end``.
        """

    def write(self, name: str, data: Iterable[bytes]) -> int:
        """Store ``data`` as a blob, in flat memory, and return its length in bytes.

        When this returns, the whole blob is stored. If it raises, there is no blob.
        """

    def delete(self, name: str) -> None:
        """Remove the blob. Idempotent."""

    def delete_prefix(self, prefix: str) -> int:
        """Remove all blobs whose names begin with ``prefix``; return how many there were. Idempotent.

        If ``prefix`` is a whole folder, what unfinished writes have left in the folder is removed too.
        """

    def stored(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        """Yield (name, time of the write) for each blob whose name begins with ``prefix``.

        All names of one folder come one after the other.
        """

    def sweep(self, before: datetime) -> int:
        """Remove what interrupted writes have left before that time; return from how many of them. Idempotent."""


def stream(blobs: Blobs, name: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Return an iterator of the bytes from ``start`` to before ``end`` (or to the blob's end), in pieces."""
    return blobs.stretch(name, start, blobs.size(name) if end is None else end)


def open_blobs(url: str, db: Database) -> Blobs:
    """Return the blob store that ``url`` names.

    Raises:
        ValueError: the URL's scheme is none of the known ones.
    """
    parts = urlsplit(url)
    if parts.scheme == "gridfs":
        return GridFsBlobs(db=db)
    if parts.scheme == "file":
        return FileBlobs(folder=Path(unquote(parts.path)))
    if parts.scheme in REMOTE:
        from collect.storage.objects import open_remote  # a big library: import it only if it is used

        return open_remote(url)
    known = ", ".join(f"{scheme}://bucket/prefix" for scheme in REMOTE)
    raise ValueError(f"STORAGE_URL is gridfs://, file:///folder, {known}; not {parts.scheme}://")


class GridFsBlobs:
    """The blob store in MongoDB itself, so that no other server is needed. Its documents are those of GridFS.

    Reading and writing are done here, a chunk at a time, and not with the library's streams. Those hold up to 48 MB of
    each upload in memory, twice, and fetch up to 16 MB to read one chunk.
    """

    def __init__(self, *, db: Database) -> None:
        self._files = db[FILES]
        self._chunks = db[CHUNKS]

    def size(self, name: str) -> int:
        return int(self._file(name)["length"])

    def read(self, name: str, offset: int, length: int) -> bytes:
        file = self._file(name)
        end = min(offset + length, file["length"])
        return b"".join(self._cut(file, offset, end)) if offset < end else b""

    def stretch(self, name: str, start: int, end: int) -> Iterator[bytes]:
        if start >= end:
            return
        file = self._file(name)
        if end > file["length"]:
            raise NotFound(f"The blob {name!r} ends at {file['length']:,}.")
        while start < end:
            stop = min((start // file["chunkSize"] + 1) * file["chunkSize"], end)
            yield from self._cut(file, start, stop)
            start = stop

    def _cut(self, file: Document, start: int, end: int) -> list[bytes]:
        """Return the bytes from ``start`` to before ``end``, as a list with a piece for each chunk. One query."""
        size = file["chunkSize"]
        first, last = start // size, (end - 1) // size
        query = {"files_id": file["_id"], "n": {"$gte": first, "$lte": last}}
        found = [chunk["data"] for chunk in self._chunks.find(query, {"_id": 0, "data": 1}).sort("n", ASCENDING)]
        if sum(map(len, found)) < min((last + 1) * size, file["length"]) - first * size:
            raise NotFound(f"The blob {file['filename']!r} is not whole.")
        found[-1] = found[-1][: end - last * size]
        found[0] = found[0][start - first * size :]
        return found

    def write(self, name: str, data: Iterable[bytes]) -> int:
        file_id, size = ObjectId(), SMALL_CHUNK_BYTES if name.startswith(SMALL) else CHUNK_BYTES
        written = 0
        pieces = enumerate(_resized(data, size))
        try:
            while together := list(islice(pieces, TOGETHER_BYTES // size)):
                self._chunks.insert_many([{"files_id": file_id, "n": n, "data": piece} for n, piece in together])
                written += sum(len(piece) for _, piece in together)
            if self._chunks.count_documents({"files_id": file_id}) != -(-written // size):
                raise Transient("Something of the file was taken for a leftover while it came in. Send it again.")
            self._files.insert_one(
                {
                    "_id": file_id,
                    "filename": name,
                    "length": written,
                    "chunkSize": size,
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
        found = [document["_id"] for document in self._files.find(_begins(prefix), {"_id": 1})]
        for file_id in found:
            self._remove(file_id)
        return len(found)

    def stored(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        fields = {"_id": 0, "filename": 1, "uploadDate": 1}  # all in the index
        for document in self._files.find(_begins(prefix), fields).sort("filename", ASCENDING):
            yield document["filename"], document["uploadDate"]

    def sweep(self, before: datetime) -> int:
        """Remove chunks that belong to no file. A file's document is written after all its chunks.

        A write that began long ago can still be running. So chunks are removed only if the newest one is old.
        """
        early = {"files_id": {"$lt": ObjectId.from_datetime(before)}}
        removed = 0
        each: list[Document] = [{"$match": early}, {"$sort": {"files_id": 1, "n": 1}}, {"$group": {"_id": "$files_id"}}]
        for found in self._chunks.aggregate(each):
            if self._files.find_one({"_id": found["_id"]}, {"_id": 1}) is None and self._newest(found["_id"]) < before:
                self._chunks.delete_many({"files_id": found["_id"]})
                removed += 1
        return removed

    def _newest(self, file_id: ObjectId) -> datetime:
        """Return when the last chunk of the file was written, by its id. The far future if there is none."""
        chunk = self._chunks.find_one({"files_id": file_id}, {"_id": 1}, sort=[("n", DESCENDING)])
        return chunk["_id"].generation_time if chunk is not None else datetime.max.replace(tzinfo=UTC)

    def _file(self, name: str) -> Document:
        document = self._files.find_one({"filename": name}, sort=[("uploadDate", DESCENDING)])
        if document is None:
            raise NotFound(f"There is no blob {name!r}.")
        return document

    def _remove(self, file_id: object) -> None:
        self._files.delete_one({"_id": file_id})
        self._chunks.delete_many({"files_id": file_id})


def _begins(prefix: str) -> Document:
    return {"filename": {"$gte": prefix, "$lt": prefix + "\uffff"}}


def _resized(data: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of ``size``; only the last piece can be shorter.

    No byte is moved within the buffer.
    """
    held = bytearray()
    for arrived in data:
        piece, at = memoryview(arrived), 0
        while at < len(piece):
            more = piece[at : at + size - len(held)]
            at += len(more)
            if len(more) == size:
                yield bytes(more)
                continue
            held += more
            if len(held) == size:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn an error of the operating system into the error class that tells the caller what to do.

    So a disk that fails gives the job a reason and does not crash the process.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"There is no blob {name!r}.") from error
    except OSError as error:
        words = error.strerror or str(error)
        if error.errno in _NO_ROOM:
            raise StoreFull("The file store has no room left. Ask again when there is some.") from error
        if error.errno in _PASSING:
            raise Transient(f"The file store did not answer: {words}.") from error
        raise StoreFull(f"The file store refuses it: {words}.", code="store_refused") from error


def _make_durable(folder: Path) -> None:
    """Write the folder to disk. Without this, a new name in it can be lost when the power fails."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FileBlobs:
    """The blob store in a folder that every service sees under the same path."""

    def __init__(self, *, folder: Path) -> None:
        self._folder = folder.resolve()

    def size(self, name: str) -> int:
        with _told(name):
            return self._path(name).stat().st_size

    def read(self, name: str, offset: int, length: int) -> bytes:
        with _told(name), self._path(name).open("rb") as source:
            source.seek(offset)
            return source.read(length)

    def stretch(self, name: str, start: int, end: int) -> Iterator[bytes]:
        with _told(name), self._path(name).open("rb", buffering=0) as source:
            source.seek(start)
            while start < end:
                piece = source.read(min(PIECE_BYTES, end - start))
                if not piece:
                    raise NotFound(f"The blob {name!r} ends at {start:,}.")
                yield piece
                start += len(piece)

    def write(self, name: str, data: Iterable[bytes]) -> int:
        """Store ``data``, as :meth:`Blobs.write` says. An error of ``data`` itself is raised unchanged."""
        written = 0
        with _told(name):
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=WRITING)
        target = os.fdopen(descriptor, "wb")
        try:
            for piece in data:
                with _told(name):
                    target.write(piece)
                written += len(piece)
            with _told(name):
                target.flush()
                os.fsync(target.fileno())
                target.close()
                Path(temporary).replace(path)
                _make_durable(path.parent)
        except BaseException:
            with suppress(OSError):  # closing writes the buffer, which can fail too
                target.close()
            with suppress(OSError):  # sweep() removes it later
                Path(temporary).unlink(missing_ok=True)
            raise
        return written

    def delete(self, name: str) -> None:
        with _told(name):
            self._path(name).unlink(missing_ok=True)

    def delete_prefix(self, prefix: str) -> int:
        found = [name for name, _ in self.stored(prefix)]
        for name in found:
            self.delete(name)
        if prefix.endswith("/"):
            self._remove_begun(self._path(prefix))
            self._remove_empty(self._path(prefix))
        return len(found)

    def stored(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        with _told(prefix):
            for path, at in self._walk(self._path(prefix.rpartition("/")[0])):
                name = path.relative_to(self._folder).as_posix()
                if name.startswith(prefix) and not path.name.startswith(WRITING):
                    yield name, at

    def sweep(self, before: datetime) -> int:
        left = [path for path, at in self._walk(self._folder) if path.name.startswith(WRITING) and at < before]
        for path in left:
            with _told(path.name):
                path.unlink(missing_ok=True)
        return len(left)

    def _walk(self, folder: Path) -> Iterator[tuple[Path, datetime]]:
        """Yield every file below ``folder``, and when it was last written. A file removed meanwhile is left out."""
        for root, _, names in os.walk(folder):
            for name in names:
                path = Path(root, name)
                with suppress(FileNotFoundError):
                    yield path, datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def _remove_begun(self, folder: Path) -> None:
        """Remove the files that unfinished writes have left in the folder."""
        for path, _ in self._walk(folder):
            if path.name.startswith(WRITING):
                with _told(path.name):
                    path.unlink(missing_ok=True)

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):  # it does not exist, or a new file is in it
            folder.rmdir()

    def _path(self, name: str) -> Path:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder):
            raise NotFound(f"There is no blob {name!r}.")
        return path
