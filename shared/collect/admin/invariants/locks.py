"""Checks locks and their queues: from the jobs, and from the queues."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from collect.admin.invariants.facts import JOBS_AT_ONCE, Facts, Snapshot
from collect.admin.invariants.findings import Code, Finding
from collect.jobs.states import HOLDING


def check(facts: Facts) -> Iterator[Finding]:
    """A job that holds its lock or waits for it is in the lock's queue. Only the holder has parts out."""
    job = facts.job
    if job.lock is None:
        return
    places = facts.line.count(job.id)
    if job.state in HOLDING and not places and not facts.starts_by_itself:
        message = f"It is {job.state.value}, but is not in the queue of {job.lock}."
        yield Finding(code=Code.LOCK_MISSING, subject=job.id, message=message)
    if facts.out and facts.line[:1] != (job.id,):
        message = f"It has parts out, but {job.lock} is held by {facts.line[0] if facts.line else 'no job'}."
        yield Finding(code=Code.LOCK_PASSED_BY, subject=job.id, message=message)


def check_lines(snapshot: Snapshot) -> Iterator[Finding]:
    """Each member of a queue is a job with that lock that holds it or waits, and is in the queue once."""
    lines = snapshot.find("locks", {"queue.0": {"$exists": True}})
    while batch := list(islice(lines, JOBS_AT_ONCE)):
        members = {job_id for lock in batch for job_id in lock["queue"]}
        found = snapshot.find("jobs", {"_id": {"$in": list(members)}}, {"state": 1, "lock": 1})
        jobs = {job["_id"]: job for job in found}
        for lock in batch:
            yield from _line(lock["_id"], lock["queue"], jobs)


def _line(lock: str, queue: list[str], jobs: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    for job_id in sorted(set(queue)):
        job = jobs.get(job_id)
        if job is None:
            why = f"Job {job_id} does not exist."
        elif job.get("lock") != lock:
            why = f"Job {job_id} has another lock: {job.get('lock')}."
        elif job["state"] not in {state.value for state in HOLDING}:
            why = f"Job {job_id} is {job['state']}."
        elif queue.count(job_id) > 1:
            why = f"Job {job_id} is in the queue {queue.count(job_id)} times."
        else:
            continue
        yield Finding(code=Code.LOCK_MEMBER, subject=lock, message=why)
