"""The value of one cell's text, by type. ``None``: the text has no value.

Times are milliseconds since 1970 in UTC.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

INT64 = range(-(2**63), 2**63)
DIGITS = re.compile(r"[+-]?[0-9]+")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}.*")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?")
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
_NOT_ZERO = re.compile(r"[+-]?[0.]*[1-9]")
_MOST_EXACT = 2**53
"""A float holds each whole number up to here."""
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
"""Numbers that are not finite, as exports write them."""
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
_POINT_AND_COMMA = str.maketrans(".,", ",.")
_PROBE = date(2001, 2, 3)
"""A day whose ISO 8601 text is another day when its month and day are read the other way round."""


def integer(text: str) -> int | None:
    """Return the whole number, if it fits into 64 bits."""
    value = int(text) if _INTEGER.fullmatch(text) else None
    return value if value is not None and value in INT64 else None


def number(text: str, decimal: str = ".") -> float | None:
    """Return the finite number that is written with this decimal mark. Thousands are never grouped.

    ``None`` also for a text that :func:`rounded` returns a number for: it would become another number.
    """
    plain = text.translate(_POINT_AND_COMMA) if decimal == "," else text
    value = float(plain) if _NUMBER.fullmatch(plain) else math.nan
    if 0 < abs(value) < _MOST_EXACT:
        return value
    return None if not math.isfinite(value) or _is_changed(plain, value) else value


def rounded(text: str, decimal: str = ".") -> float | None:
    """Return the number that a text would become, if that is another number in a way that matters; else ``None``.

    It matters for a whole number with more digits than 64 bits hold, and for a number so small that it becomes zero.
    Decimals may be rounded: coordinates often have more of them than are known.
    """
    plain = text.translate(_POINT_AND_COMMA) if decimal == "," else text
    value = float(plain) if _NUMBER.fullmatch(plain) else math.nan
    return value if math.isfinite(value) and _is_changed(plain, value) else None


def any_number(text: str, decimal: str = ".", *, bounded: bool = False) -> float | None:
    """Return the number, as :func:`number` does, and also infinities and NaN.

    ``bounded``: the column has a minimum or maximum. NaN is not between them, so it is ``None``.
    """
    found = _NOT_FINITE.get(text)
    if found is None:
        return number(text, decimal)
    return None if bounded and math.isnan(found) else found


def _is_changed(plain: str, value: float) -> bool:
    """Return whether ``value``, the float nearest to a text, is another number.

    A text that ``repr`` writes for a float is not changed.
    """
    if value == 0:
        return _NOT_ZERO.match(plain) is not None
    if abs(value) < _MOST_EXACT or not _WHOLE.fullmatch(plain):
        return False
    return Decimal(plain) not in (Decimal(value), Decimal(repr(value)))


def boolean(text: str) -> bool | None:
    """Return the truth value of a word such as ``true`` or ``no``."""
    return _BOOLEANS.get(text.lower())


def day(text: str, formats: tuple[str, ...] = ()) -> int | None:
    """Return the midnight (UTC) of a day: by the first of ``formats`` that reads it, else by ISO 8601.

    A time of day other than midnight makes it no day. ISO 8601 is left out when one of the formats reads its texts as
    other days, as ``%Y-%d-%m`` does.
    """
    read = _by_formats(text, formats)
    if read is not None:
        is_midnight = read.time() == time()
        return milliseconds(datetime(read.year, read.month, read.day, tzinfo=UTC)) if is_midnight else None
    if not _iso_too(formats):
        return None
    try:
        found = date.fromisoformat(text) if DATE.fullmatch(text) else None
    except ValueError:
        return None
    return None if found is None else milliseconds(datetime(found.year, found.month, found.day, tzinfo=UTC))


def moment(text: str, formats: tuple[str, ...] = ()) -> int | None:
    """Return the moment of a time with a zone: by the first of ``formats`` that reads it, else by ISO 8601."""
    try:
        read = _moment(text, formats)
        return None if read is None or read.tzinfo is None else milliseconds(read.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def lacks_zone(text: str, formats: tuple[str, ...] = ()) -> bool:
    """Return whether ``text`` is a valid time apart from its missing zone."""
    try:
        read = _moment(text, formats)
    except ValueError:
        return False
    return read is not None and read.tzinfo is None


def canonical(text: str, *, decimal: str = ".", formats: tuple[str, ...] = ()) -> str:
    """Return a number with a decimal point, and a date or time in ISO 8601; any other text unchanged."""
    if decimal != "." and number(text, decimal) is not None:
        return text.translate(_POINT_AND_COMMA)
    read = _by_formats(text, formats)
    if read is None:
        return text
    return read.date().isoformat() if read.tzinfo is None and read.time() == time() else read.isoformat()


def milliseconds(at: datetime) -> int:
    """Return the milliseconds from 1970 to a time that has a zone."""
    return (at - _EPOCH) // _MILLISECOND


def read_as(text: str, form: str) -> datetime | None:
    """Return the time that ``strptime`` reads by one format, or ``None``, also for a format that it does not know."""
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 (a zone may be missing: that is for the caller)
    except (ValueError, OverflowError, re.error):
        return None


def _moment(text: str, formats: tuple[str, ...]) -> datetime | None:
    read = _by_formats(text, formats)
    if read is None and _iso_too(formats) and DATETIME.fullmatch(text):
        return datetime.fromisoformat(text)
    return read


def _by_formats(text: str, formats: tuple[str, ...]) -> datetime | None:
    return next((read for form in formats if (read := read_as(text, form)) is not None), None)


@lru_cache(maxsize=100)
def _iso_too(formats: tuple[str, ...]) -> bool:
    probes = [
        f"{_PROBE.isoformat()}{clock}{zone}"
        for clock in ("", "T00:00", " 00:00", "T00:00:00", " 00:00:00")
        for zone in ("", "Z", "+00:00")
    ]
    read = [found for form in formats for probe in probes if (found := read_as(probe, form)) is not None]
    return all(found.date() == _PROBE for found in read)
