"""`If-Match`: a condition by which a request fails if the job has changed since the caller read it."""

from __future__ import annotations

import re

from flask import request

from collect.errors import InvalidInput, PreconditionFailed
from collect.jobs.model import Job

NEVER = -1
_TAG = re.compile(r'(W/)?"((?P<seq>[0-9]{1,15})|[^"]*)"')


def if_match() -> int | None:
    """Return the audit number in ``If-Match``; ``None`` without the header or with ``*``.

    Returns ``NEVER``, which no job has, when the tag does not come from this API.

    Raises:
        InvalidInput: the header is malformed.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    tag = _TAG.fullmatch(header.strip())
    if tag is None:
        raise InvalidInput("If-Match is the ETag of a job.", code="bad_etag", malformed=True)
    return int(tag["seq"]) if tag["seq"] else NEVER


def check_unmoved(job: Job) -> None:
    """Raise :class:`PreconditionFailed` when ``If-Match`` names another audit number than the job has now."""
    seen = if_match()
    if seen is not None and seen != job.audit_seq:
        raise PreconditionFailed(f"The job has moved on: it is at {job.audit_seq}, not {seen}.")
