"""The headers of answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

COUNTED = ("RateLimit", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
OF_PROBLEMS = ("X-Request-Id", *COUNTED, "Retry-After", "WWW-Authenticate", "Content-Range")

_MEANINGS: dict[str, str] = {
    "Accept-Ranges": "`bytes`: a part can be asked for.",
    "Content-Disposition": "What the file is called.",
    "Content-Range": "Which bytes these are, of how many (206); or how many there are (416).",
    "ETag": "Of a job: the number of its last audit entry, for If-Match. Of a file: its SHA-256, for If-Range.",
    "Idempotency-Replayed": "`true`: the first answer to this Idempotency-Key, once more.",
    "Location": "Where what was made is found.",
    "RateLimit": "What is left of the key's requests of this minute: limit, remaining, reset in seconds.",
    "RateLimit-Limit": "How many requests the key may make in a minute.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "Seconds until all of them are there again.",
    "Repr-Digest": "SHA-256 of the whole file (RFC 9530), also with a part of it.",
    "Retry-After": (
        "Seconds. Of 429, 503, and 409 while the same request is under way: try again then. "
        "Of a request that waits for a job: what it waits for is not there yet; ask again. "
        "Not of one that waits for a job that has ended otherwise: nothing changes unless somebody acts."
    ),
    "WWW-Authenticate": "Of 401: `Bearer`.",
    "X-Request-Id": "Finds the request in logs and traces; the one that was sent, or a new one.",
}
_IN_NUMBERS = frozenset({"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After"})


def components() -> dict[str, Any]:
    """Return the header components of the OpenAPI document: name → description and schema."""
    return {
        name: {"description": meaning, "schema": {"type": "integer" if name in _IN_NUMBERS else "string"}}
        for name, meaning in _MEANINGS.items()
    }


def named(*names: str) -> dict[str, Any]:
    """Return the headers of one answer, as references to the components."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}
