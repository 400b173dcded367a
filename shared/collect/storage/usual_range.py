"""What an API key usually exports of a form, from the exports that it has asked for."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from pymongo import DESCENDING

from collect.jobs.model import Job
from collect.storage.database import Database

LOOKED_AT = 20
AT_LEAST = 5
TIMES = 3
MORE_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class Usual:
    """``rows``: the median between the dates. ``dates``: those of an export that comes near it, as it was asked for."""

    rows: float
    dates: dict[str, Any]

    def is_far_below(self, rows: int) -> bool:
        """Whether ``rows`` are many times the usual, and by so many more that it matters."""
        return rows > TIMES * self.rows and rows > self.rows + MORE_ROWS


def usual(db: Database, *, org_id: str, key_id: str, form_id: str) -> Usual | None:
    """The key's habit, from its last exports of the form whose size is known; nothing, before there are five."""
    query: dict[str, Any] = {"kind": "export", "created_by.id": key_id, "params.form_id": form_id}
    query |= {"org_id": org_id, "total_rows": {"$ne": None}}
    found = db.jobs.find(query).sort("_id", DESCENDING).limit(LOOKED_AT)
    sizes = [(job.total_rows or 0, job.params) for job in (Job.model_validate(document) for document in found)]
    if len(sizes) < AT_LEAST:
        return None
    median = statistics.median(rows for rows, _ in sizes)
    _, params = min(sizes, key=lambda each: abs(each[0] - median))  # the first of equals: the newest
    return Usual(rows=median, dates={name: params.get(name) for name in ("from_date", "to_date")})
