"""Reading parts."""

from __future__ import annotations

from typing import Any

from pymongo import ASCENDING

from collect.jobs.model import Counts, Part
from collect.storage.database import Database


def of_job(db: Database, *, job_id: str) -> list[Part]:
    """The parts of a job, by number."""
    return [Part.model_validate(document) for document in db.parts.find({"job_id": job_id}).sort("n", ASCENDING)]


def counted(db: Database, *, job_ids: list[str]) -> dict[str, Counts]:
    """Job id → the counts of all its parts together, summed by the database: a job can have thousands of parts."""
    sums = {name: {"$sum": f"$counts.{name}"} for name in Counts.model_fields}
    pipeline: list[dict[str, Any]] = [
        {"$match": {"job_id": {"$in": job_ids}}},
        {"$group": {"_id": "$job_id", **sums}},
    ]
    found = {document.pop("_id"): Counts.model_validate(document) for document in db.parts.aggregate(pipeline)}
    return {job_id: found.get(job_id, Counts()) for job_id in job_ids}
