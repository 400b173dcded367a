"""Checks for documents without a job, messages that were not published, and objects without an owner."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from collect.admin.invariants import results
from collect.admin.invariants.facts import JOBS_AT_ONCE, Snapshot
from collect.admin.invariants.findings import Code, Finding

_BELONG_TO_JOBS = ("parts", "ledger", "audit", "rejects", "corrections")


class Blobs(Protocol):
    """A store of bytes that can list its objects."""

    def size(self, name: str) -> int:
        """Return the object's bytes. Raises :class:`collect.errors.NotFound`."""

    def stored(self) -> Iterator[tuple[str, datetime]]:
        """Yield each object's name and the time when it was written."""


def check_documents(snapshot: Snapshot) -> Iterator[Finding]:
    """Parts, ledger entries, audit entries and rejects have a job."""
    for name in _BELONG_TO_JOBS:
        job_ids = (found["_id"] for found in snapshot.aggregate(name, [{"$group": {"_id": "$job_id"}}]))
        while batch := list(islice(job_ids, JOBS_AT_ONCE)):
            existing = {job["_id"] for job in snapshot.find("jobs", {"_id": {"$in": batch}}, {"_id": 1})}
            for job_id in batch:
                if job_id not in existing:
                    yield Finding(
                        code=Code.NO_JOB, subject=str(job_id), message=f"{name} belong to a job that does not exist."
                    )


def check_outbox(snapshot: Snapshot, *, older_than_seconds: float) -> Iterator[Finding]:
    """Messages are published within seconds of their commit."""
    before = snapshot.now - timedelta(seconds=older_than_seconds)
    for entry in snapshot.find("outbox", {"at": {"$lt": before}}, {"body": 0}):
        message = (
            f"Not published to {entry['exchange']} {entry['routing_key']}; committed {entry['at']:%Y-%m-%d %H:%M:%S}."
        )
        yield Finding(code=Code.OUTBOX_STANDS, subject=entry["_id"], message=message)


def check_objects(snapshot: Snapshot, blobs: Blobs, *, older_than_seconds: float) -> Iterator[Finding]:
    """Each object is named by a file, a job, a part, a ledger entry or a result; each file has its bytes.

    An export that was undone has no object at all. Otherwise young objects may be without an owner: bytes are written
    before the document that names them.
    """
    owned = _owned(snapshot)
    taken_back = results.taken_back(snapshot)
    before = snapshot.now - timedelta(seconds=older_than_seconds)
    stored: set[str] = set()
    for name, at in blobs.stored():
        stored.add(name)
        if results.job_of(name) in taken_back:
            message = f"Written {at:%Y-%m-%d %H:%M:%S} by an export that was undone."
            yield Finding(code=Code.OBJECT_ORPHANED, subject=name, message=message)
        elif name not in owned and at < before:
            message = f"Written {at:%Y-%m-%d %H:%M:%S}. No file, job, part, ledger entry or result names it."
            yield Finding(code=Code.OBJECT_ORPHANED, subject=name, message=message)
    for file in snapshot.find("files", {}, {"blob": 1}):
        if file["blob"] not in stored:
            yield Finding(code=Code.OBJECT_MISSING, subject=file["_id"], message=f"{file['blob']} is not stored.")


def _owned(snapshot: Snapshot) -> set[str]:
    owned = {file["blob"] for file in snapshot.find("files", {}, {"blob": 1})}
    owned |= {job["file"]["blob"] for job in snapshot.find("jobs", {"file": {"$ne": None}}, {"file.blob": 1})}
    rewritten: dict[str, Any] = {"source.blob": {"$exists": True}}
    owned |= {part["source"]["blob"] for part in snapshot.find("parts", rewritten, {"source.blob": 1})}
    return owned | results.owned(snapshot)
