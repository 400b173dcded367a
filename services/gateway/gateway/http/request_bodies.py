"""The body of a request as gunicorn hands it to the application. It knows whether all of it was read.

An answer may be given before the body was read. What is left of the body would then be taken for the next request of
the connection, so it is either read and dropped, or the connection ends with the answer, which says so.
"""

from __future__ import annotations

import time
from typing import Any

from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException

DROPPED_BYTES = 64 * 1024
"""How much of a body that was not read is read and dropped, so that the connection can serve the next request."""
DROPPED_SECONDS = 0.5
"""How long this may take. The answer waits meanwhile."""


class RequestBody(Body):  # type: ignore[misc]  # gunicorn has no types
    """The body of one request. Reading from it blocks, at the pace that its unreader allows."""

    def __init__(self, request: Any) -> None:
        super().__init__(request.body.reader)
        self._request = request
        self._unreader = request.unreader

    def finish(self) -> None:
        """Call before the answer: drop the rest of the body, or let the answer say that the connection ends with it."""
        if not self._is_read() and not self._drop():
            self._request.force_close()

    def _read_reader(self, size: int) -> bytes:
        """The next bytes from the connection.

        Raises:
            TimeoutError: they come too slowly.
            OSError: a chunked body is not as one is written, its trailer included.
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
        """Whether the rest was read. It is not waited for when it is too much, or when the client waits for a word."""
        if self.failed or self._request.should_close() or self._unreader.awaits_continue:
            return False
        if isinstance(self.reader, LengthReader) and self.reader.length > DROPPED_BYTES:
            return False
        self._unreader.deadline = time.monotonic() + DROPPED_SECONDS
        left = DROPPED_BYTES
        try:
            while left > 0 and (piece := self.read(min(left, 8 * 1024))):
                left -= len(piece)
        except OSError:  # too slow, broken off, or not as a chunked body is written
            return False
        finally:
            self._unreader.deadline = None
        return self._is_read()
