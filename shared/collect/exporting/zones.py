"""The names of time zones in the IANA database."""

from __future__ import annotations

import difflib
import zoneinfo
from functools import lru_cache

UTC_NAME = "UTC"
_NOT_OF_A_PLACE = frozenset({"localtime", "Factory"})


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Return the names in the IANA time zone database of this machine."""
    return frozenset(zoneinfo.available_timezones()) - _NOT_OF_A_PLACE


def nearest(name: str) -> list[str]:
    """Return up to three names that look like ``name``."""
    by_lower = {known.lower(): known for known in names()}
    return [by_lower[each] for each in difflib.get_close_matches(name.lower(), by_lower, n=3)]
