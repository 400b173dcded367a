"""Reads the documents of one job from one snapshot, so that a busy system gives no false findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pydantic import ValidationError
from pymongo.client_session import ClientSession

from collect.admin.invariants.findings import Code, Finding
from collect.jobs.model import OUT, Counts, Job, Part
from collect.jobs.progress import summed
from collect.storage.database import Database

JOBS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry without its undo record, which is big."""

    id: str
    org_id: str
    n: int
    seq: int
    epoch: int
    counts: Counts
    undone: bool
    conflicts: int

    @property
    def wrote(self) -> int:
        """How many documents carried the entry's mark when it was committed."""
        return self.counts.created + self.counts.changed


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A job and its documents in all collections."""

    job: Job
    parts: list[Part]
    entries: list[Entry]
    audit: list[dict[str, Any]]
    rejects: Mapping[str, int] = field(default_factory=dict)
    """Organisation → number of stored rejects."""
    line: tuple[str, ...] = ()
    """The queue of the job's lock, the holder first."""
    cap_reached: bool = False
    """True if other jobs of the organisation use up its limit of concurrent jobs."""
    now: datetime

    @property
    def out(self) -> list[Part]:
        """The parts that a worker can claim or holds."""
        return [part for part in self.parts if part.status in OUT]

    @property
    def counts(self) -> Counts:
        return summed(self.parts)

    @property
    def starts_by_itself(self) -> bool:
        """True for a job with a start time that has not begun. It joins its lock's queue at that time."""
        return self.job.start_at is not None and self.job.started_at is None


class Snapshot:
    """The stores at the time of the first read. The server keeps a snapshot for five minutes by default."""

    def __init__(self, db: Database, session: ClientSession) -> None:
        self.db = db
        self.session = session
        self.now = datetime.now(UTC)
        self._out: dict[str, set[str]] | None = None

    def find(
        self, name: str, query: dict[str, Any], fields: dict[str, Any] | None = None, sort: Iterable[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield documents of a collection. Memory does not grow with their number."""
        cursor = self.db[name].find(query, fields, session=self.session)
        keys = [(key, 1) for key in sort]
        yield from cursor.sort(keys) if keys else cursor

    def aggregate(self, name: str, pipeline: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the results of an aggregation. Memory does not grow with their number."""
        yield from self.db[name].aggregate(pipeline, session=self.session, allowDiskUse=True)

    def facts(self, job_ids: Iterable[str] | None = None) -> Iterator[Facts | Finding]:
        """Yield the facts of these jobs, or of all jobs. A job that cannot be read yields a finding instead."""
        query = {} if job_ids is None else {"_id": {"$in": list(job_ids)}}
        documents = self.find("jobs", query, sort=["_id"])
        while batch := list(islice(documents, JOBS_AT_ONCE)):
            yield from self._batch(batch)

    def _batch(self, documents: list[dict[str, Any]]) -> Iterator[Facts | Finding]:
        ids = [document["_id"] for document in documents]
        parts = self._of_jobs("parts", ids, None, ["job_id", "n"])
        fields = {"undo": 0, "objects": 0, "cursor": 0}
        entries = self._of_jobs("ledger", ids, fields, ["job_id", "n", "seq"])
        audit = self._of_jobs("audit", ids, None, ["job_id", "seq"])
        rejects = self._rejects(ids)
        lines = self._lines({document["lock"] for document in documents if document.get("lock")})
        for document in documents:
            job_id = document["_id"]
            try:
                job = Job.model_validate(document)
                yield Facts(
                    job=job,
                    parts=[Part.model_validate(part) for part in parts.get(job_id, [])],
                    entries=[_entry(found) for found in entries.get(job_id, [])],
                    audit=audit.get(job_id, []),
                    rejects=rejects.get(job_id, {}),
                    line=tuple(lines.get(str(job.lock), [])),
                    cap_reached=self._cap_reached(job),
                    now=self.now,
                )
            except (ValidationError, KeyError) as error:
                message = str(error).splitlines()[0]
                yield Finding(code=Code.UNREADABLE, subject=job_id, message=f"It cannot be read: {message}")

    def _of_jobs(
        self, name: str, ids: list[str], fields: dict[str, Any] | None, sort: list[str]
    ) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for document in self.find(name, {"job_id": {"$in": ids}}, fields, sort):
            found.setdefault(document["job_id"], []).append(document)
        return found

    def _rejects(self, ids: list[str]) -> dict[str, dict[str, int]]:
        group = {"_id": {"job_id": "$job_id", "org_id": "$org_id"}, "rows": {"$sum": 1}}
        counted: dict[str, dict[str, int]] = {}
        for found in self.aggregate("rejects", [{"$match": {"job_id": {"$in": ids}}}, {"$group": group}]):
            counted.setdefault(found["_id"]["job_id"], {})[found["_id"].get("org_id", "")] = found["rows"]
        return counted

    def _lines(self, locks: set[str]) -> dict[str, list[str]]:
        return {lock["_id"]: lock["queue"] for lock in self.find("locks", {"_id": {"$in": list(locks)}})}

    def _cap_reached(self, job: Job) -> bool:
        if self._out is None:
            self._out = {}
            for part in self.find("parts", {"status": {"$in": OUT}}, {"org_id": 1, "job_id": 1}):
                self._out.setdefault(part["org_id"], set()).add(part["job_id"])
        out = self._out.get(job.org_id, set())
        if job.id in out or not out:
            return False
        limits = next(self.find("orgs", {"_id": job.org_id}), {}).get("limits", {})
        return len(out) >= int(limits.get("concurrent_jobs", 8))


def _entry(document: dict[str, Any]) -> Entry:
    return Entry(
        id=document["_id"],
        org_id=document["org_id"],
        n=document["n"],
        seq=document["seq"],
        epoch=document["epoch"],
        counts=Counts.model_validate(document["counts"]),
        undone=document["undone"],
        conflicts=len(document["conflicts"]),
    )
