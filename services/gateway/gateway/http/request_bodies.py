"""The body of a request, which gunicorn passes to the application. It knows whether all of it was read.

A request may be answered before its body was read. The rest of the body would then be taken for the next request of the
connection. So the rest is read and dropped, or the answer says that the connection ends, and it ends.
"""

from __future__ import annotations

import time
from typing import Any

from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException

DROPPED_BYTES = 64 * 1024
"""Most bytes of an unread body that are read and dropped, so that the connection can serve the next request."""
DROPPED_SECONDS = 0.5
"""Longest time for dropping an unread body. The answer waits meanwhile."""


class RequestBody(Body):  # type: ignore[misc]  # gunicorn has no types
    """The body of one request. Reading blocks; the unreader limits how slow the client may be."""

    def __init__(self, request: Any) -> None:
        super().__init__(request.body.reader)
        self._request = request
        self._unreader = request.unreader

    def finish(self) -> None:
        """Drop the rest of the body, or make the answer say that the connection ends. Call it before the answer."""
        if not self._is_read() and not self._drop():
            self._request.force_close()

    def _read_reader(self, size: int) -> bytes:
        """Return the next bytes from the connection.

        Raises:
            TimeoutError: the bytes come too slowly.
            OSError: a chunked body, or its trailer, is malformed.
        """
        try:
            data: bytes = super()._read_reader(size)
        except ParseException as error:
            raise OSError("the trailer of the body cannot be read") from error
        return data

    def _is_read(self) -> bool:
        if self.failed or self.buf.tell():
            return False
        match self.reader:
            case LengthReader():
                return bool(self.reader.length == 0)
            case ChunkedReader():
                return self.reader.parser is None and not self.reader.buf.tell()
            case _:
                return False

    def _drop(self) -> bool:
        """Read and drop the rest of the body, and return whether all of it was read.

        Does not read when the rest is too large, or when the client waits for ``100 Continue``.
        """
        if self.failed or self._request.should_close() or self._unreader.awaits_continue:
            return False
        if isinstance(self.reader, LengthReader) and self.reader.length > DROPPED_BYTES:
            return False
        self._unreader.deadline = time.monotonic() + DROPPED_SECONDS
        left = DROPPED_BYTES
        try:
            while left > 0 and (piece := self.read(min(left, 8 * 1024))):
                left -= len(piece)
        except OSError:  # too slow, broken off, or a malformed chunked body
            return False
        finally:
            self._unreader.deadline = None
        return self._is_read()
