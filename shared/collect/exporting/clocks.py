"""The local time of a moment in a time zone."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]

FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""First and last moment of the years 1 to 9999, in milliseconds since 1970. RFC 3339 has no text for other moments."""
MINUTE_MS = 60_000
SLOT_MS = 15 * MINUTE_MS
"""Milliseconds in which no zone changes its clock more than once."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def offsets(moments: Numbers, zone: str) -> Numbers:
    """Return the minutes by which clocks in ``zone`` are ahead of UTC, at ``moments`` in milliseconds since 1970.

    An offset is whole minutes, as RFC 3339 has it; the seconds of times before standard time are cut off. It is 0 where
    the clock would show a year before 1 or after 9999.
    """
    slots, place = np.unique(moments // SLOT_MS, return_inverse=True)
    found = np.array([_of_slot(zone, int(slot)) for slot in slots], dtype=np.int64).reshape(-1, 2)[place]
    minutes = found[:, 0].copy()
    for row in np.flatnonzero(found[:, 0] != found[:, 1]).tolist():
        minutes[row] = _offset(zone, int(moments[row]))
    shown = moments + minutes * MINUTE_MS
    return np.where((shown >= FIRST_MS) & (shown <= LAST_MS), minutes, 0)


@lru_cache(maxsize=50_000)
def _of_slot(zone: str, slot: int) -> tuple[int, int]:
    """Return the offset at the beginning and at the end of a slot, in minutes."""
    return _offset(zone, slot * SLOT_MS), _offset(zone, slot * SLOT_MS + SLOT_MS - 1)


def _offset(zone: str, moment: int) -> int:
    try:
        offset = (_EPOCH + timedelta(milliseconds=moment)).astimezone(zoneinfo.ZoneInfo(zone)).utcoffset()
    except OverflowError:  # at the ends of the calendar
        return 0
    return 0 if offset is None else int(offset.total_seconds() / 60)


def written(at: datetime, zone: str | None) -> str:
    """Return ``at`` in RFC 3339 with milliseconds, in the local time of ``zone`` (``None``: UTC)."""
    moment = (at.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    minutes = int(offsets(np.array([moment], dtype=np.int64), zone)[0]) if zone is not None else 0
    shown = _EPOCH + timedelta(milliseconds=moment + minutes * MINUTE_MS)
    return f"{shown.replace(tzinfo=None).isoformat(timespec='milliseconds')}{suffix(minutes, zone)}"


def suffix(minutes: int, zone: str | None) -> str:
    """Return the offset that is written after a time: ``Z`` if there is no zone, else as in ``+05:30``."""
    if zone is None:
        return "Z"
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
