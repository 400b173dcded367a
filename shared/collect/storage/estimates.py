"""Estimate how many responses an export takes: counted if that is quick, else estimated from the index.

No function here reads the whole of a large range. Every query has a time limit, after which the server ends it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from pymongo.errors import ExecutionTimeout

from collect.exporting import decoding, densities
from collect.exporting.densities import Reached, Stretch
from collect.exporting.selection import Selection
from collect.storage.database import Database
from collect.storage.indexes import EXPORT_INDEX

EXACT_ROWS = 1_000_000
"""Most responses that are counted. Larger numbers are estimated."""
COUNT_SECONDS = 3.0
"""Longest time to count in the index, in seconds. It takes a fraction of a second unless the server is busy."""
MATCH_SECONDS = 1.0
"""Longest time to count the responses that match filters, in seconds. This reads the responses."""
PROBE_SECONDS = 1.0
"""Longest time for one look into the index, and for all looks of a sample together, in seconds."""
SAMPLE_BYTES = 8 * 1024 * 1024
"""Size of a sample, in bytes, at which no more responses are added to it."""
SHARE_PLACES = 32
"""In how many places of the range the share of matching responses is measured."""
SHARE_ROWS = 250
"""Most responses that are examined in each of these places."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_HINT = dict(EXPORT_INDEX)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The number of rows that an export gives (``rows``), and of responses between its dates (``in_range``).

    ``in_range`` can be larger than ``rows`` only if the export has filters. ``exact``: ``rows`` was counted.
    ``sampled``: the number of keys and responses that were read for the estimate.
    """

    rows: int
    in_range: int
    exact: bool
    sampled: int = 0


def estimate(
    db: Database, selection: Selection, *, most: int = EXACT_ROWS, match_seconds: float = MATCH_SECONDS
) -> Estimate:
    """Return how many responses the selection takes. Exact up to ``most``. Blocks for a second or two.

    With filters, it is exact if the matching responses can be counted in ``match_seconds`` (0: not tried). Otherwise
    the share of matching responses is measured on responses from all over the range. If these cannot be read in time
    either, the number without filters is returned.
    """
    keys = _IndexKeys(db, selection)
    in_range, sampled = _in_range(keys, most)
    if not selection.match:
        return Estimate(rows=in_range, in_range=in_range, exact=sampled == 0, sampled=sampled)
    matching = count(db, selection, most=most + 1, seconds=match_seconds) if match_seconds else None
    if matching is not None and matching <= most:
        return Estimate(rows=matching, in_range=in_range, exact=True)
    looked_at, matched = _share(db, selection, keys)
    rows = round(in_range * matched / looked_at) if looked_at else in_range
    return Estimate(rows=rows, in_range=in_range, exact=False, sampled=sampled + looked_at)


def count(
    db: Database, selection: Selection, *, most: int, seconds: float = COUNT_SECONDS, filtered: bool = True
) -> int | None:
    """Count the selection's responses, up to ``most``. Return ``None`` if that takes longer than ``seconds``.

    Without filters, or if ``filtered`` is false, only the index is read.
    """
    query = {**_between(selection), **(selection.match if filtered else {})}
    try:
        return _counted(db, query, most=most, seconds=seconds)
    except ExecutionTimeout:
        return None


def samples(db: Database, selection: Selection, *, places: int, rows: int) -> tuple[bytes, int]:
    """Return a sample of about ``rows`` responses from all over the selection, as joined BSON, and their number.

    No response is in it twice. If the selection has at most ``rows`` responses, all are taken. From a place where it
    takes too long to find a response that matches the filters, none are taken.
    """
    keys = _IndexKeys(db, selection)
    found: dict[bytes, None] = {}
    counted = keys.counted(rows + 1)
    starts: Iterable[datetime | None] = [None]
    each = rows
    if counted is None or counted > rows:
        starts = (_moment(at) for at in densities.places(_seen(keys), places))
        each = max(1, rows // places)
    for start in starts:
        query = {**_between(selection, start=start), **selection.match}
        batches: Any = db["responses"].find_raw_batches(
            query, sort=EXPORT_INDEX, hint=EXPORT_INDEX, limit=each, batch_size=each,
            max_time_ms=_ms(PROBE_SECONDS / places),
        )  # fmt: skip
        try:
            batch = next(iter(batches), b"")
        except ExecutionTimeout:
            continue
        begins = decoding.starts(batch)
        found.update((batch[begin:end], None) for begin, end in pairwise([*begins, len(batch)]))
        if sum(map(len, found)) >= SAMPLE_BYTES:
            break
    return b"".join(found), len(found)


class _IndexKeys:
    """The keys of a selection, without its filters. Its queries read only the index."""

    def __init__(self, db: Database, selection: Selection) -> None:
        self._db = db
        self._selection = selection

    def ahead(self, start: int, end: int, keys: int) -> Reached | None:
        return self._walk(start, end, keys, direction=1)

    def behind(self, start: int, end: int, keys: int) -> Reached | None:
        return self._walk(start, end, keys, direction=-1)

    def count(self, start: int, end: int, most: int) -> int:
        query = _between(self._selection, start=_moment(start), end=_moment(end))
        return _counted(self._db, query, most=most, seconds=COUNT_SECONDS)

    def counted(self, most: int) -> int | None:
        """Count all keys, up to ``most``. Return ``None`` if that takes too long."""
        return count(self._db, self._selection, most=most, filtered=False)

    def ends(self) -> tuple[int, int] | None:
        """Return the time of the first key, and the time of the last key plus 1 ms, in ms. ``None`` without keys."""
        bounds = _ms_of(self._selection.start), _ms_of(self._selection.end)
        first, last = self.ahead(*bounds, 1), self.behind(*bounds, 1)
        return None if first is None or last is None else (first.at, last.at + 1)

    def _walk(
        self, start: int, end: int, keys: int, *, direction: int, seconds: float = PROBE_SECONDS
    ) -> Reached | None:
        found = list(
            self._db["responses"].find(
                _between(self._selection, start=_moment(start), end=_moment(end)),
                {"submitted_at": 1, "_id": 0},
                sort=[(name, direction) for name, _ in EXPORT_INDEX],
                hint=EXPORT_INDEX,
                skip=keys - 1,
                limit=2,
                max_time_ms=_ms(seconds),
            )
        )
        if not found:
            return None
        times = [_ms_of(document["submitted_at"]) for document in found]
        return Reached(at=times[0], tied=len(times) > 1 and times[1] == times[0])

    def number(self, keys: int) -> int | None:
        """Return the time of the key with the number ``keys``, in ms. ``None`` if it takes too long, or has none."""
        bounds = _ms_of(self._selection.start), _ms_of(self._selection.end)
        try:
            found = self._walk(*bounds, keys, direction=1, seconds=COUNT_SECONDS)
        except ExecutionTimeout:
            return None
        return None if found is None else found.at


def _in_range(keys: _IndexKeys, most: int) -> tuple[int, int]:
    """Return the number of keys, and how many keys were read to estimate it (0 if all were counted)."""
    counted = keys.counted(most + 1)
    if counted is not None and counted <= most:
        return counted, 0
    ends = keys.ends()
    if ends is None:
        return 0, 0
    from_ = keys.number(most + 1) if counted is not None else None
    found = densities.stretches(keys, from_ if from_ is not None else ends[0], ends[1])
    return densities.total(found) + (most if from_ is not None else 0), densities.KEYS * len(found)


def _seen(keys: _IndexKeys) -> list[Stretch]:
    """Return roughly how the keys are spread over time, so that samples are taken where there are keys."""
    ends = keys.ends()
    return densities.stretches(keys, *ends, number=SHARE_PLACES, refinements=SHARE_PLACES) if ends else []


def _share(db: Database, selection: Selection, keys: _IndexKeys) -> tuple[int, int]:
    """Return how many responses from all over the range were examined, and how many of them match the filters."""
    looked_at = matched = 0
    for at in densities.places(_seen(keys), SHARE_PLACES):
        range_ = _between(selection, start=_moment(at))
        pipeline: list[dict[str, Any]] = [
            {"$match": range_}, {"$sort": _HINT}, {"$limit": SHARE_ROWS}, {"$match": selection.match}, {"$count": "n"},
        ]  # fmt: skip
        try:
            found = list(db["responses"].aggregate(pipeline, hint=_HINT, maxTimeMS=_ms(PROBE_SECONDS / SHARE_PLACES)))
            looked_at += _counted(db, range_, most=SHARE_ROWS, seconds=PROBE_SECONDS)
        except ExecutionTimeout:
            continue
        matched += found[0]["n"] if found else 0
    return looked_at, matched


def _counted(db: Database, query: dict[str, Any], *, most: int, seconds: float) -> int:
    command = {"count": "responses", "query": query, "limit": most, "hint": _HINT, "maxTimeMS": _ms(seconds)}
    return int(db.db.command(command)["n"])


def _between(selection: Selection, *, start: datetime | None = None, end: datetime | None = None) -> dict[str, Any]:
    bounds = {"$gte": max(start or selection.start, selection.start), "$lt": min(end or selection.end, selection.end)}
    return {"org_id": selection.org_id, "form_id": selection.form_id, "submitted_at": bounds}


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _ms_of(at: datetime) -> int:
    return (at - EPOCH) // _MILLISECOND


def _moment(ms: int) -> datetime:
    return EPOCH + ms * _MILLISECOND
