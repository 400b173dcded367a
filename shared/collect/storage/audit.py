"""Read the audit entries of a job: what was done to it, by whom, and how long it took."""

from __future__ import annotations

from typing import Any

from pymongo import ASCENDING

from collect.storage.database import Database


def page(
    db: Database, *, org_id: str, job_id: str, limit: int, after: int = 0
) -> tuple[list[dict[str, Any]], int | None]:
    """Return one page of the job's audit entries in order, beginning after number ``after``.

    The second value is the ``after`` of the next page, or ``None``.
    """
    query = {"job_id": job_id, "org_id": org_id, "seq": {"$gt": after}}
    found = list(db.audit.find(query, {"_id": 0, "job_id": 0, "org_id": 0}).sort("seq", ASCENDING).limit(limit + 1))
    return found[:limit], found[limit - 1]["seq"] if len(found) > limit else None
