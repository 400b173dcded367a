"""The check whether a `strptime` format names a date completely, so that no part of it has to be guessed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

_DIRECTIVE = re.compile("%(.?)", re.DOTALL)
_DIRECTIVES = frozenset("aAbBcdfGHIjmMpSuUVwWxXyYzZ%")
_YEARS = frozenset("YyGcx")
_PROBES = (
    datetime(2017, 5, 31, 14, 5, 9, tzinfo=UTC),
    datetime(2018, 11, 2, 3, 40, 50, tzinfo=UTC),
)
"""Two times that test a format: written and read again, both keep their date only if it names day, month and year."""


def wrong(date_format: str) -> str | None:
    """Return why ``date_format`` cannot be used for dates, or ``None`` if it can.

    A usable format names a day, a month and a year, in directives that Python's ``datetime.strptime`` knows.
    """
    incomplete = f"{date_format!r} does not name a day, a month and a year, as '%d/%m/%Y' does"
    directives = _DIRECTIVE.findall(date_format)
    if unknown := [directive for directive in directives if directive not in _DIRECTIVES]:
        return f"{date_format!r} has %{unknown[0]}, which strptime does not know; '%d/%m/%Y' is a format"
    if _YEARS.isdisjoint(directives):
        return incomplete
    try:
        days = [_day(moment.strftime(date_format), date_format) for moment in _PROBES]
    except (ValueError, UnicodeError, re.error):
        return f"{date_format!r} is no format that strptime can use; '%d/%m/%Y' is one"
    return None if days == [moment.date() for moment in _PROBES] else incomplete


def _day(text: str, date_format: str) -> date:
    return datetime.strptime(text, date_format).replace(tzinfo=UTC).date()
