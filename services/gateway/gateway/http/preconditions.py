"""`If-Match`: a request that holds only for the job as its caller has seen it."""

from __future__ import annotations

import re

from flask import request

from collect.errors import InvalidInput, PreconditionFailed
from collect.jobs.model import Job

NEVER = -1
_TAG = re.compile(r'(W/)?"((?P<seq>[0-9]{1,15})|[^"]*)"')


def if_match() -> int | None:
    """The audit number that the caller has seen; one that no job has, when it is another server's tag.

    Raises:
        InvalidInput: malformed.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    tag = _TAG.fullmatch(header.strip())
    if tag is None:
        raise InvalidInput("If-Match is the ETag of a job.", code="bad_etag", malformed=True)
    return int(tag["seq"]) if tag["seq"] else NEVER


def check_unmoved(job: Job) -> None:
    """Raises :class:`PreconditionFailed` when the caller has seen the job at another number."""
    seen = if_match()
    if seen is not None and seen != job.audit_seq:
        raise PreconditionFailed(f"The job has moved on: it is at {job.audit_seq}, not {seen}.")
