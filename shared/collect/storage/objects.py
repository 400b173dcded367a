"""The blob store in an object store: S3 and compatible ones, Google Cloud Storage, Azure. Uses obstore.

Endpoint, region and credentials come from the environment variables that each store's own tools read
(``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``; ``GOOGLE_…``; ``AZURE_…``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from collect.errors import CollectError, NotFound, StoreFull, Transient

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

PIECE_BYTES = 8 * 1024 * 1024
"""Most bytes sent in one request of an upload."""
READ_BYTES = 1024 * 1024
"""Most bytes read in one request of :meth:`ObjectBlobs.stretch`.

Small, so that many readers at the same time hold little memory, and no request takes long.
"""
AT_ONCE = 2
"""Most requests of one upload that run at the same time."""
NAMES_AT_ONCE = 1_000
"""Most names in one request that lists or deletes objects."""
_ANSWER = re.compile(r"status code: ((\d{3})[\w ]*)(.*)", re.DOTALL)
"""The part of a library error's text that repeats the store's answer: the status, and the body if there was one."""
_WORDS = re.compile(r"<(?:Code|Message)>([^<]*)")
"""The only parts of an answer's body that are shown. Some bodies repeat the names of keys and the signed text."""
_NO_ROOM = re.compile(r"quota|storage.?full|storage.?cap|insufficient.?storage", re.IGNORECASE)
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound")
_PASSING = frozenset({408, 409, 429})
"""Statuses below 500 after which the same request can succeed."""


def open_remote(url: str) -> ObjectBlobs:
    """Return the blob store that ``url`` names. It connects at the first use."""
    client: ClientConfig = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=60)}
    if any(os.environ.get(name, "").startswith("http://") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT")):
        client["allow_http"] = True
    retries = timedelta(seconds=15)
    return ObjectBlobs(store=from_url(url, client_options=client, retry_config={"retry_timeout": retries}))


class ObjectBlobs:
    """The blob store in a bucket, below the URL's prefix. See :class:`collect.storage.object_store.Blobs`."""

    def __init__(self, *, store: ObjectStore) -> None:
        self._store = store

    def size(self, name: str) -> int:
        with _told(name):
            return obstore.head(self._store, name)["size"]

    def read(self, name: str, offset: int, length: int) -> bytes:
        with _told(name):
            whole = obstore.head(self._store, name)["size"]
            end = min(offset + length, whole)
            return obstore.get_range(self._store, name, start=offset, end=end).to_bytes() if offset < end else b""

    def stretch(self, name: str, start: int, end: int) -> Iterator[bytes]:
        if start < end and self.size(name) < end:
            raise NotFound(f"The blob {name!r} ends before {end:,}.")
        while start < end:
            stop = min(start + READ_BYTES, end)
            with _told(name):
                piece = obstore.get_range(self._store, name, start=start, end=stop)
            view = memoryview(piece)
            yield view.tobytes()
            start += len(view)

    def write(self, name: str, data: Iterable[bytes]) -> int:
        """Store ``data``, as the protocol ``Blobs`` says.

        If a write breaks off after more than one piece, the store keeps an unfinished upload that is not listed.
        """
        written = 0
        with _told(name):
            target = obstore.open_writer(self._store, name, buffer_size=PIECE_BYTES, max_concurrency=AT_ONCE)
        for piece in data:
            with _told(name):
                target.write(piece)
            written += len(piece)
        with _told(name):
            target.close()
        return written

    def delete(self, name: str) -> None:
        with _told(name):
            obstore.delete(self._store, name)

    def delete_prefix(self, prefix: str) -> int:
        names = [name for name, _ in self.stored(prefix)]
        with _told(prefix):
            for begin in range(0, len(names), NAMES_AT_ONCE):
                obstore.delete(self._store, names[begin : begin + NAMES_AT_ONCE])
        return len(names)

    def stored(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        folder = prefix.rpartition("/")[0] or None  # a store lists whole folders
        with _told(prefix):
            for found in obstore.list(self._store, prefix=folder, chunk_size=NAMES_AT_ONCE):
                yield from ((one["path"], one["last_modified"]) for one in found if one["path"].startswith(prefix))

    def sweep(self, before: datetime) -> int:
        """Do nothing: unfinished uploads are not listed. A lifecycle rule of the bucket has to remove them."""
        return 0


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn an error of the library into the error class that tells the caller what to do."""
    try:
        yield
    except (BaseError, OSError) as error:  # closing a writer raises none of the library's own
        raise _classed(name, error) from error


def _classed(name: str, error: Exception) -> CollectError:
    """Return the error class for ``error``.

    ``NotFound`` if there is no such blob. ``StoreFull`` if there is no room, or if the store would refuse the same call
    next time too. ``Transient`` for all else.
    """
    text = str(error).partition("\n\nDebug source:")[0]
    answer = _ANSWER.search(text)
    if isinstance(error, FileNotFoundError) and not _NO_BUCKET.search(text):
        return NotFound(f"There is no blob {name!r}.")
    if answer is None:
        return Transient(f"The file store did not answer: {text}")
    status, body = int(answer[2]), answer[3]
    words = ", ".join((answer[1], *_WORDS.findall(body))).rstrip(".")
    if status == 507 or _NO_ROOM.search(body):
        return StoreFull(f"The file store has no room left: {words}.")
    if status in _PASSING or status >= 500 or "RequestTimeout" in body:
        return Transient(f"The file store cannot do it now: {words}.")
    return StoreFull(f"The file store refuses what is asked of it: {words}.", code="store_refused")
