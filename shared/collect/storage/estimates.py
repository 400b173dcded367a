"""How many responses an export takes: counted as far as that is quick, and judged from the index beyond.

Nothing here reads the whole of a large range, and every query has a time after which the server gives it up.
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
"""Up to here responses are counted one by one."""
COUNT_SECONDS = 3.0
"""For counting in the index alone, which is a fraction of a second unless the server is busy."""
MATCH_SECONDS = 1.0
"""For counting what filters let through, which reads the responses."""
PROBE_SECONDS = 1.0
SAMPLE_BYTES = 8 * 1024 * 1024
"""No more responses are taken as a sample once they are so large together."""
SHARE_PLACES = 32
SHARE_ROWS = 250
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_HINT = dict(EXPORT_INDEX)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """``rows`` that an export gives, of ``in_range`` between its dates; these are more when it has filters.

    ``exact``: ``rows`` was counted. ``sampled``: so many keys and responses the estimate rests on.
    """

    rows: int
    in_range: int
    exact: bool
    sampled: int = 0


def estimate(
    db: Database, selection: Selection, *, most: int = EXACT_ROWS, match_seconds: float = MATCH_SECONDS
) -> Estimate:
    """How many responses the selection takes. Exact up to ``most``; blocks for a second or two.

    With filters it is exact when those that match can be counted in ``match_seconds`` (0: it is not tried); else it is
    the share of matching ones among responses from all over the range; and where not even those could be read in time,
    as many as without filters.
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
    """How many there are, counted up to ``most``; nothing, when that takes longer than ``seconds``.

    Without filters, or not ``filtered``, it reads the index alone.
    """
    query = {**_between(selection), **(selection.match if filtered else {})}
    try:
        return _counted(db, query, most=most, seconds=seconds)
    except ExecutionTimeout:
        return None


def samples(db: Database, selection: Selection, *, places: int, rows: int) -> tuple[bytes, int]:
    """About ``rows`` responses that the selection takes, from all over it, as BSON one after the other; and how many.

    Each response comes once. If there are at most ``rows``, all are taken. Where it would take long to find one that
    the filters let through, there are fewer.
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
    """The keys of a selection without its filters, in covered queries."""

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
        """All of them, counted up to ``most``; nothing, when that takes too long."""
        return count(self._db, self._selection, most=most, filtered=False)

    def ends(self) -> tuple[int, int] | None:
        """The time of the first, and the first millisecond after the last."""
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
        """The time of key number ``keys``; nothing, when it takes too long to get there."""
        bounds = _ms_of(self._selection.start), _ms_of(self._selection.end)
        try:
            found = self._walk(*bounds, keys, direction=1, seconds=COUNT_SECONDS)
        except ExecutionTimeout:
            return None
        return None if found is None else found.at


def _in_range(keys: _IndexKeys, most: int) -> tuple[int, int]:
    """How many keys there are, and how many were read to judge that; none, when all of them were counted."""
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
    """Roughly where the keys lie, to take samples from where they are."""
    ends = keys.ends()
    return densities.stretches(keys, *ends, number=SHARE_PLACES, refinements=SHARE_PLACES) if ends else []


def _share(db: Database, selection: Selection, keys: _IndexKeys) -> tuple[int, int]:
    """Responses that were looked at, from all over the range, and how many of them the filters let through."""
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
