"""Times as the API writes them: RFC 3339 in UTC, with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, PlainSerializer


def rfc3339(at: datetime) -> str:
    """``2026-01-31T09:30:00.000Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written(value: Any) -> Any:
    """``value`` as JSON has it, its times as the API writes them."""
    match value:
        case datetime():
            return rfc3339(value)
        case dict():
            return {name: written(inner) for name, inner in value.items()}
        case list() | tuple():
            return [written(inner) for inner in value]
        case _:
            return value


Time = Annotated[AwareDatetime, PlainSerializer(rfc3339, when_used="json")]
"""A time with its zone; one without is refused."""
