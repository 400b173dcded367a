"""The usual size of the exports that an API key makes of a form, computed from its last exports."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from pymongo import DESCENDING

from collect.jobs.model import Job
from collect.storage.database import Database

LOOKED_AT = 20
"""Most exports that are read: the newest ones."""
AT_LEAST = 5
"""Fewest exports from which a usual size is computed."""
TIMES = 3
"""An export is unusual only if it has more than this many times the usual rows."""
MORE_ROWS = 500
"""An export is unusual only if it has this many rows more than the usual."""


@dataclass(frozen=True, kw_only=True)
class Usual:
    """The usual export of a key. ``rows``: the median number of responses between the dates, without filters.

    ``dates``: the date parameters of the export that is nearest to this median.
    """

    rows: float
    dates: dict[str, Any]

    def is_far_below(self, rows: int) -> bool:
        """Return whether ``rows`` is over :data:`TIMES` times the usual, and over :data:`MORE_ROWS` more than it."""
        return rows > TIMES * self.rows and rows > self.rows + MORE_ROWS


def usual(db: Database, *, org_id: str, key_id: str, form_id: str) -> Usual | None:
    """Return the key's usual export of the form, from its last exports with a known number of rows.

    ``None`` if there are fewer than :data:`AT_LEAST`.
    """
    query: dict[str, Any] = {"kind": "export", "created_by.id": key_id, "params.form_id": form_id}
    query |= {"org_id": org_id, "total_rows": {"$ne": None}}
    found = db.jobs.find(query).sort("_id", DESCENDING).limit(LOOKED_AT)
    sizes = [(job.total_rows or 0, job.params) for job in (Job.model_validate(document) for document in found)]
    if len(sizes) < AT_LEAST:
        return None
    median = statistics.median(rows for rows, _ in sizes)
    _, params = min(sizes, key=lambda each: abs(each[0] - median))  # min takes the first of equals, which is the newest
    return Usual(rows=median, dates={name: params.get(name) for name in ("from_date", "to_date")})
