"""Answers that are downloads, whole or in part. Their memory does not grow with the size of the download."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import parse_range_header

from collect.errors import PreconditionFailed

BYTES = "application/octet-stream"


def partial(*, size: int, read: Callable[[int, int], Iterator[bytes]], name: str, sha256: str) -> Response:
    """Return the requested bytes, or 304 if the caller has them already. ``sha256``: the checksum of the whole.

    ``If-Match`` and ``If-None-Match`` are checked before ``Range`` (RFC 9110).

    Raises:
        PreconditionFailed: ``If-Match`` names another version.
        RequestedRangeNotSatisfiable: the range begins after the end.
    """
    version = f'"{sha256}"'
    if request.if_match and not request.if_match.contains(sha256):
        raise PreconditionFailed("The download is not the version that If-Match names: its ETag is another one.")
    if request.if_none_match.contains_weak(sha256):
        return _not_modified(version)
    found = _asked(size, version)
    start, end = found or (0, size)
    status = 206 if found else 200
    answer = Response(read(start, end), status=status, mimetype=BYTES, direct_passthrough=True)
    answer.headers["Content-Length"] = str(end - start)
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Content-Disposition"] = disposition(name)
    answer.headers["ETag"] = version
    answer.headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
    if status == 206:
        answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return answer


def _not_modified(version: str) -> Response:
    answer = Response(status=304, headers={"ETag": version, "Accept-Ranges": "bytes"})
    answer.headers.pop("Content-Type", None)
    return answer


def _asked(size: int, version: str) -> tuple[int, int] | None:
    """Return the requested range as (start, end), or ``None`` for the whole.

    It is the whole when several ranges are requested, when the header cannot be understood, and when ``If-Range`` names
    another version, as from a browser that continues an older download.

    Raises:
        RequestedRangeNotSatisfiable: the range begins after the end.
    """
    header = request.headers.get("Range")
    asked = parse_range_header(header) if header and request.headers.get("If-Range", version) == version else None
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    first, stop = asked.ranges[0]
    start = max(0, size + first) if first < 0 else first
    end = size if stop is None else min(stop, size)
    if start >= end:
        raise RequestedRangeNotSatisfiable(length=size)
    return start, end


def csv_download(lines: Iterator[bytes], *, name: str) -> Response:
    """Return a CSV answer whose lines are made while it is sent."""
    answer = Response(lines, mimetype="text/csv", direct_passthrough=True)
    answer.headers["Content-Disposition"] = disposition(name)
    return answer


def disposition(name: str) -> str:
    """Return the Content-Disposition header that names a download. It is safe for any name (RFC 6266)."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
