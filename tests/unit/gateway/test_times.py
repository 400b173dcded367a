"""Times: RFC 3339 with a zone, and nothing that only looks like one."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from collect.api.answers import rfc3339
from gateway.schemas.times import Time

TIME = TypeAdapter(Time)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31T09:30:00Z", "2026-01-31T09:30:00.000Z"),
        ("2026-01-31T09:30:00.123456Z", "2026-01-31T09:30:00.123Z"),
        ("2026-01-31T09:30:00+05:30", "2026-01-31T04:00:00.000Z"),
    ],
)
def test_a_time_is_read_in_its_zone_and_written_in_utc(text: str, meant: str) -> None:
    assert rfc3339(TIME.validate_python(text)) == meant


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-31T09:30:00", "2026-01-31", "0", "1769850600", 1769850600, 0.5, True, None, "", "tomorrow", [], {},
        "2026-02-31T00:00:00Z", "0000-00-00T00:00:00Z", "10000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00",
        "0001-01-01T00:00:00+23:00", "2026-01-31T09:30:00Z\0",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        TIME.validate_python(value)
