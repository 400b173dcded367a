"""Checks results of exports: their objects are stored, and the sums are right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

from collect.admin.invariants.facts import Snapshot
from collect.admin.invariants.findings import Code, Finding
from collect.errors import NotFound
from collect.jobs.states import State
from collect.storage import results

_ENDED = [State.SUCCEEDED.value, State.STOPPED.value]


class Sizes(Protocol):
    """A store of bytes that knows the size of each object."""

    def size(self, name: str) -> int:
        """Return the object's bytes. Raises :class:`collect.errors.NotFound`."""


def check(snapshot: Snapshot, blobs: Sizes) -> Iterator[Finding]:
    """A succeeded export has a result; the objects of a result are stored; bytes and rows add up."""
    query: dict[str, Any] = {"kind": results.KIND, "state": {"$in": _ENDED}}
    for job in snapshot.find("jobs", query, sort=["_id"]):
        result = job.get("result")
        if result is None:
            if job["state"] == State.SUCCEEDED.value:
                yield _differs(job, "It has succeeded, but has no result.")
        elif not results.is_expired(result, snapshot.now):
            yield from _sums(job, result)
            yield from _objects(snapshot, blobs, job, result)


def _sums(job: dict[str, Any], result: dict[str, Any]) -> Iterator[Finding]:
    objects, parts = sum(found["bytes"] for found in result["objects"]), result["parts"]
    if result["sha256"] is not None and objects != result["bytes"]:
        yield _differs(job, f"Its objects have {objects} bytes, its result {result['bytes']}.")
    rows = sum(part["rows"] for part in parts)
    if rows != result["rows"]:
        yield _differs(job, f"Its parts have {rows} rows, its result {result['rows']}.")


def _objects(snapshot: Snapshot, blobs: Sizes, job: dict[str, Any], result: dict[str, Any]) -> Iterator[Finding]:
    sizes = {found["name"]: found.get("size", found["bytes"]) for found in result["objects"] if "name" in found}
    rows = 0
    for entry in snapshot.find("ledger", {"job_id": job["_id"], "objects.0": {"$exists": True}}, {"objects": 1}):
        sizes |= {stored["name"]: stored["bytes"] for stored in entry["objects"]}
        rows += sum(stored["rows"] for stored in entry["objects"])
    if rows != result["rows"]:
        yield _differs(job, f"The ledger's objects have {rows} rows, its result {result['rows']}.")
    for name, size in sizes.items():
        found = _size(blobs, name)
        if found != size and _is_kept(snapshot, job):
            there = "is not stored" if found is None else f"has {found} bytes"
            yield Finding(code=Code.OBJECT_MISSING, subject=job["_id"], message=f"{name} {there}; it had {size}.")


def _size(blobs: Sizes, name: str) -> int | None:
    try:
        return blobs.size(name)
    except NotFound:
        return None


def _is_kept(snapshot: Snapshot, job: dict[str, Any]) -> bool:
    """Return whether the job still has its result. It may have been removed since the snapshot was taken."""
    now = snapshot.db.jobs.find_one({"_id": job["_id"]}) or {}
    result = now.get("result")
    return result is not None and not results.is_expired(result, datetime.now(UTC))


def _differs(job: dict[str, Any], message: str) -> Finding:
    return Finding(code=Code.RESULT_DIFFERS, subject=job["_id"], message=message)


def taken_back(snapshot: Snapshot) -> set[str]:
    """Return the ids of the exports that were undone, so no object of theirs may exist."""
    query = {"kind": results.KIND, "state": {"$in": [State.TERMINATED.value, State.UNDONE.value]}}
    return {job["_id"] for job in snapshot.find("jobs", query, {"_id": 1})}


def job_of(name: str) -> str | None:
    """Return the id of the job that the object belongs to; ``None`` if it is no object of a result."""
    return name.split("/")[1] if name.startswith(results.PREFIX) else None


def owned(snapshot: Snapshot) -> set[str]:
    """Return the names of the objects in ledgers and results, and of the headers of all exports."""
    names: set[str] = set()
    for entry in snapshot.find("ledger", {"objects.0": {"$exists": True}}, {"objects.name": 1}):
        names.update(stored["name"] for stored in entry["objects"])
    for job in snapshot.find("jobs", {"kind": results.KIND}, {"result.objects.name": 1}):
        names.add(results.header_name(job["_id"]))
        names.update(stored["name"] for stored in (job.get("result") or {}).get("objects", ()) if "name" in stored)
    return names
