"""Reading parts."""

from __future__ import annotations

from pymongo import ASCENDING

from collect.jobs.model import Part
from collect.storage.database import Database


def of_job(db: Database, *, job_id: str) -> list[Part]:
    """The parts of a job, by number."""
    return [Part.model_validate(document) for document in db.parts.find({"job_id": job_id}).sort("n", ASCENDING)]


def of_jobs(db: Database, *, job_ids: list[str]) -> dict[str, list[Part]]:
    """Job id → its parts, by number."""
    parts: dict[str, list[Part]] = {job_id: [] for job_id in job_ids}
    for document in db.parts.find({"job_id": {"$in": job_ids}}).sort([("job_id", ASCENDING), ("n", ASCENDING)]):
        parts[document["job_id"]].append(Part.model_validate(document))
    return parts
