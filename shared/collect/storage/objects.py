"""Blobs in an object store: S3 and what speaks like it, Google's, Azure's, through obstore.

Endpoint, region and credentials come from the environment variables that each store's own tools read
(``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``; ``GOOGLE_…``; ``AZURE_…``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from collect.errors import NotFound, StoreFull, Transient

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

PIECE_BYTES = 8 * 1024 * 1024
"""What goes out in one request of an upload."""
READ_BYTES = 1024 * 1024
"""What is read in one request by whoever wants it all: of many at once little is held, and none takes long."""
AT_ONCE = 2
NAMES_AT_ONCE = 1_000


def open_remote(url: str) -> ObjectBlobs:
    """The store behind ``url``. Connects at its first use."""
    client: ClientConfig = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=60)}
    if any(os.environ.get(name, "").startswith("http://") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT")):
        client["allow_http"] = True
    retries = timedelta(seconds=15)
    return ObjectBlobs(store=from_url(url, client_options=client, retry_config={"retry_timeout": retries}))


class ObjectBlobs:
    """Objects of a bucket, below the prefix that the URL names. As :class:`collect.storage.blobs.Blobs` says."""

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
        """As the protocol says. What is broken off after more than a piece leaves an upload that nobody can see."""
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
        """Nothing: uploads that were broken off are not listed. A rule of the bucket's has to remove them."""
        return 0


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What the library raises, as what the caller should do about it."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"There is no blob {name!r}.") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreFull("The file store refuses what is asked of it.", code="store_refused") from error
    except BaseError as error:
        raise Transient(f"The file store did not answer: {error}") from error
