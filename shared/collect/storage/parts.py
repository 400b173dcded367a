"""Read the documents of parts, and keep track of former owners that may still be writing objects."""

from __future__ import annotations

from typing import Any

from pymongo import ASCENDING
from pymongo.client_session import ClientSession

from collect.jobs.model import Counts, Part, PartStatus, Sums
from collect.storage.database import Database, SessionId

WRITERS_KEPT = 20
"""Most former owners stored for a part. The newest are kept."""
LEFT_WRITING: dict[str, Any] = {
    "$slice": [
        {
            "$concatArrays": [
                {"$ifNull": ["$writers", []]},
                {"$cond": [{"$eq": ["$status", "leased"]}, [{"lsid": "$lsid", "at": "$$NOW"}], []]},
            ]
        },
        -WRITERS_KEPT,
    ]
}
"""The new value of ``writers`` in an update that takes a part from its owner.

It adds the owner, which may still be writing an object.
"""


def of_job(db: Database, *, job_id: str) -> list[Part]:
    """Return the parts of a job, in the order of their numbers."""
    return [Part.model_validate(document) for document in db.parts.find({"job_id": job_id}).sort("n", ASCENDING)]


def counted(db: Database, *, job_ids: list[str]) -> dict[str, Sums]:
    """Return job id → the sum of the counts of all its parts.

    The database computes the sums, because a job can have thousands of parts.
    """
    sums = {name: {"$sum": f"$counts.{name}"} for name in Counts.model_fields}
    pipeline: list[dict[str, Any]] = [
        {"$match": {"job_id": {"$in": job_ids}}},
        {"$group": {"_id": "$job_id", **sums, "blank_rows": {"$sum": "$source.blank_rows"}}},
    ]
    found = {document.pop("_id"): Sums.model_validate(document) for document in db.parts.aggregate(pipeline)}
    return {job_id: found.get(job_id, Sums()) for job_id in job_ids}


def count(db: Database, *, org_id: str, kind: str, status: PartStatus) -> int:
    """Count the organisation's parts of one kind with this status."""
    return db.parts.count_documents({"org_id": org_id, "kind": kind, "status": status.value})


def planned(db: Database, *, job_id: str) -> dict[str, Any] | None:
    """Return the ``source`` of one planned part of the job, as its task wrote it; ``None`` if there is none.

    How the file is read is the same in the sources of all parts.
    """
    query = {"job_id": job_id, "correction": None, "source.columns": {"$exists": True}}
    found = db.parts.find_one(query, {"source": 1})
    return None if found is None else dict(found["source"])


def is_read(db: Database, *, job_id: str, blob: str) -> bool:
    """Return whether a part of the job reads this blob."""
    return db.parts.find_one({"job_id": job_id, "source.blob": blob}, {"_id": 1}) is not None


def rejected_first(db: Database, *, job_id: str, session: ClientSession | None = None) -> int:
    """Count the rows of the original file that were rejected. Corrections do not change this number."""
    pipeline: list[dict[str, Any]] = [
        {"$match": {"job_id": job_id, "correction": None}},
        {"$group": {"_id": None, "rejected": {"$sum": "$counts.rejected"}}},
    ]
    return sum(found["rejected"] for found in db.parts.aggregate(pipeline, session=session))


def has_writers(db: Database, *, job_id: str, lease_seconds: float) -> bool:
    """Return whether an owner that lost its part in the last ``lease_seconds`` may still be writing an object.

    Such an owner stays in ``writers`` until :func:`writes_no_more` removes it.
    """
    recent = {"$gt": ["$$this.at", {"$subtract": ["$$NOW", round(lease_seconds * 1000)]}]}
    writers = {"$map": {"input": {"$ifNull": ["$writers", []]}, "in": recent}}
    return db.parts.find_one({"job_id": job_id, "$expr": {"$anyElementTrue": [writers]}}, {"_id": 1}) is not None


def writes_no_more(db: Database, *, part_id: str, session_id: SessionId) -> None:
    """Remove from ``writers`` the former owner with this session: it does not write objects any more. Idempotent."""
    db.parts.update_one({"_id": part_id, "writers.lsid": session_id}, {"$pull": {"writers": {"lsid": session_id}}})
