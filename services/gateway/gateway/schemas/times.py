"""The times of requests."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, PlainSerializer

from collect.api.answers import rfc3339
from collect.errors import FieldError, InvalidInput


def check_ahead(at: datetime | None, *, field: str, now: datetime) -> None:
    """Check that a time in the body of a request is still to come.

    Raises:
        InvalidInput: it is not later than ``now``.
    """
    if at is not None and at <= now:
        message = f"{field} is {rfc3339(at)}, which is past: it is {rfc3339(now)} now."
        raise InvalidInput(message, errors=[FieldError(field, "in_the_past", message)])


def _as_text(value: Any) -> Any:
    """A bare number would be read as seconds since 1970."""
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("a time is written as in 2026-01-31T09:30:00Z")
    if isinstance(value, str | datetime):
        return value
    raise ValueError("a time is a text, as in 2026-01-31T09:30:00Z")


def _in_utc(at: datetime) -> datetime:
    """At the ends of the calendar another zone leaves it."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time lies within the years 1 to 9999 in UTC") from None


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")

Time = Annotated[
    AwareDatetime, BeforeValidator(_as_text), AfterValidator(_in_utc), PlainSerializer(rfc3339, when_used="json")
]
"""A time with its zone, in UTC; one without is refused."""
