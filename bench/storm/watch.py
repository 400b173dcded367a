"""Somebody who looks all the time: that progress never falls, that what is final stays, that what was answered is true.

Looks through the gateways, as everybody does; and into the stores, where the word of a gateway is not enough.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from collect.api.jobs import Job
from collect.client.errors import ApiError, ClientError
from collect.client.transport import Patience
from collect.jobs.states import FINAL, State
from collect.storage.database import Database
from storm.field import Field
from storm.findings import Findings
from storm.log import Log
from storm.plan import GATEWAYS, ORGANISATIONS

LOOK_EVERY_SECONDS = 0.5
NEWEST = 150
AGAIN_SECONDS = (0.3, 2.5)
CRASHED = 500
PATIENCE = Patience(connect_seconds=2.0, read_seconds=10.0, retry_seconds=0.0)
AFTER_FINAL = FINAL | {State.UNDOING, State.UNDO_FAILED}
UNDO_BEGAN = frozenset({State.TERMINATING, State.TERMINATED, State.UNDOING, State.UNDONE, State.UNDO_FAILED})


@dataclass(frozen=True, slots=True)
class Sample:
    """What the stores say of one job: moves so far, chunks committed, and documents that carry its mark."""

    audit_seq: int
    state: str
    chunks: int
    done: int
    marks: int


@dataclass(frozen=True, slots=True)
class StandsStill:
    """A job of which nothing may be written since it was answered so."""

    name: str
    job_id: str
    due: float
    sample: Sample


class Watch:
    """Its thread begins with ``start`` and ends with ``close``."""

    def __init__(self, *, field: Field, log: Log, findings: Findings, seed: int) -> None:
        self.looks = 0
        self.samples = 0
        self._field = field
        self._log = log
        self._findings = findings
        self._rng = random.Random(f"{seed} watch")
        self._seen: dict[str, Job] = {}
        self._still: list[StandsStill] = []
        self._sealed: dict[str, tuple[str, int]] = {}
        self._corrected: set[str] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Blocks until the last look is over."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(60)

    def known(self, job: Job) -> None:
        """A job that has just been answered; the next look may be half a second away."""
        with self._lock:
            self._seen.setdefault(job.id, job)

    def jobs(self, org_id: str) -> list[Job]:
        """The organisation's jobs as last seen, youngest first."""
        with self._lock:
            return sorted((job for job in self._seen.values() if job.org_id == org_id), key=_id, reverse=True)

    def may_begin_again(self, job_id: str) -> None:
        """Somebody corrects rows of this job, which may have succeeded."""
        with self._lock:
            self._corrected.add(job_id)

    def stands_still(self, name: str, answer: Job) -> None:
        """``answer`` says that nothing of the job is written any more: take a sample now, and another one later."""
        try:
            sample = _sample(self._field.db, answer.id)
        except PyMongoError as error:
            self._log.write("no_sample", name=name, error=repr(error)[:200])
            return
        if sample is None:
            return
        with self._lock:
            self.samples += 1
            due = time.monotonic() + self._rng.uniform(*AGAIN_SECONDS)
            self._still.append(StandsStill(name, answer.id, due, sample))
        if answer.etag == f'"{sample.audit_seq}"' and answer.progress.done != sample.done:
            said = f"{name}: {answer.id} had {answer.progress.done} rows done when it was answered, {sample.done} after"
            self._findings.add("written_after_verb", said)
        if answer.state in (State.TERMINATING, State.TERMINATED):
            self._sealed.setdefault(answer.id, (name, sample.chunks))

    def settle(self) -> None:
        """Look at all that is to stand still once more, now."""
        self._look_again(everything=True)
        for job_id, (name, chunks) in self._sealed.items():
            now = self._field.db.ledger.count_documents({"job_id": job_id})
            if now != chunks:
                self._findings.add("written_after_verb", f"{name}: {job_id} had {chunks} chunks, and has {now}")

    def _run(self) -> None:
        clients = [
            [self._field.client(org_id, gateway, patience=PATIENCE) for gateway in range(GATEWAYS)]
            for org_id in ORGANISATIONS
        ]
        while not self._over.wait(LOOK_EVERY_SECONDS):
            for org_id, of_org in zip(ORGANISATIONS, clients, strict=True):
                try:
                    found = list(of_org[self._rng.randrange(GATEWAYS)].jobs.list(most=NEWEST))
                except ClientError as error:
                    self._log.write("not_seen", org_id=org_id, error=str(error)[:200])
                    if isinstance(error, ApiError) and error.status == CRASHED:
                        self._findings.add("answer", f"a list of {org_id} was answered with {error.problem}")
                    continue
                self._compare(org_id, found)
            try:
                self._look_again()
            except PyMongoError as error:
                self._log.write("no_sample", error=repr(error)[:200])
        for client in (client for of_org in clients for client in of_org):
            client.close()

    def _compare(self, org_id: str, found: list[Job]) -> None:
        twice = [job_id for job_id, times in Counter(job.id for job in found).items() if times > 1]
        if twice:
            self._findings.add("listed_twice", f"{twice} in one list of {org_id}")
        with self._lock:
            before = dict(self._seen)
            self._seen.update((job.id, job) for job in found)
            self.looks += 1
        for job in found:
            if job.org_id != org_id:
                self._findings.add("other_organisation", f"{job.id} of {job.org_id} was shown to {org_id}")
            last = before.get(job.id)
            if last is not None:
                self._follows(last, job)
            total = job.progress.total
            if total is not None and job.progress.done > total:
                self._findings.add("progress", f"{job.id}: {job.progress.done} of {total} rows are done")

    def _follows(self, last: Job, job: Job) -> None:
        if job.progress.done < last.progress.done:
            said = f"{job.id} fell from {last.progress.done} to {job.progress.done} ({last.state} → {job.state})"
            self._findings.add("progress", said)
        if last.progress.total is not None and not _total_follows(last, job):
            self._findings.add("progress", f"{job.id}: {last.progress.total} rows, later {job.progress.total}")
        begins_again = last.state is State.SUCCEEDED and job.id in self._corrected
        if last.state in FINAL and job.state not in (last.state, *AFTER_FINAL) and not begins_again:
            self._findings.add("final", f"{job.id} was {last.state} and is {job.state}")
        if last.state in UNDO_BEGAN and job.state not in UNDO_BEGAN:
            self._findings.add("final", f"{job.id} was {last.state} and is {job.state}")

    def _look_again(self, *, everything: bool = False) -> None:
        with self._lock:
            now = time.monotonic()
            due = [one for one in self._still if everything or one.due <= now]
            self._still = [one for one in self._still if one not in due]
        for one in due:
            sample = _sample(self._field.db, one.job_id)
            if sample is None or sample.audit_seq != one.sample.audit_seq:
                continue
            if (sample.chunks, sample.done, sample.marks) != (one.sample.chunks, one.sample.done, one.sample.marks):
                said = f"{one.name}: {one.job_id} stood at {one.sample}, and without another verb at {sample}"
                self._findings.add("written_after_verb", said)


def _total_follows(last: Job, job: Job) -> bool:
    """An export's falls by what its filters are found to leave out."""
    before, now = last.progress.total, job.progress.total
    if job.kind != "export" or before is None or now is None:
        return now == before
    return now <= before


def marks_of(db: Database, job_id: str) -> int:
    """How many rows, teams and people carry a mark of the job."""
    query = {"written_by": {"$gte": f"{job_id}:", "$lt": f"{job_id};"}}
    return sum(collection.count_documents(query) for collection in (db.rows, db.teams, db.members))


def _sample(db: Database, job_id: str) -> Sample | None:
    """``None`` when the job moves on meanwhile. Marks are counted while it is paused: nobody else changes them then."""
    before = db.jobs.find_one({"_id": job_id}, {"audit_seq": 1, "state": 1})
    parts = list(db.parts.find({"job_id": job_id}, {"counts": 1, "seq": 1}))
    chunks = db.ledger.count_documents({"job_id": job_id})
    marks = -1
    if before is not None and before["state"] == State.PAUSED.value:
        marks = marks_of(db, job_id)
    after = db.jobs.find_one({"_id": job_id}, {"audit_seq": 1})
    if before is None or after is None or before["audit_seq"] != after["audit_seq"]:
        return None
    return Sample(
        audit_seq=before["audit_seq"],
        state=before["state"],
        chunks=chunks,
        done=sum(part["counts"]["succeeded"] + part["counts"]["rejected"] for part in parts),
        marks=marks,
    )


def _id(job: Job) -> str:
    return job.id
