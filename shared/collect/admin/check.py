"""Verifies the invariants from the stores: for `collect-admin check`, and at the end of every fault test.

Everything is read from one snapshot, so a busy system gives no false findings. A state that is allowed for a moment (a
job whose parts are about to be published) is read again before it is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from pymongo.errors import OperationFailure, PyMongoError

from collect.admin.invariants import audit, jobs, locks, marks, parts, results, strays, teams
from collect.admin.invariants.facts import Facts, Snapshot
from collect.admin.invariants.findings import Code, Finding
from collect.admin.invariants.strays import Blobs
from collect.errors import Transient
from collect.jobs.states import ACTIVE
from collect.storage.database import Database, retryable

__all__ = ["Blobs", "Code", "Finding", "NotAtRest", "check", "check_jobs", "wait_until_rest"]

OUTBOX_SECONDS = 30.0
OBJECT_SECONDS = 24 * 3600.0
PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.1
SNAPSHOT_TOO_OLD = 239


class NotAtRest(Exception):
    """Some jobs were still active when the time was over. ``states``: job id → state."""

    def __init__(self, states: dict[str, str]) -> None:
        super().__init__(", ".join(f"{job_id} is {state}" for job_id, state in sorted(states.items())))
        self.states = states


def check(
    db: Database,
    *,
    blobs: Blobs | None = None,
    outbox_seconds: float = OUTBOX_SECONDS,
    object_seconds: float = OBJECT_SECONDS,
    patience_seconds: float = PATIENCE_SECONDS,
) -> list[Finding]:
    """Return the findings, sorted. The list is empty if all invariants hold. Reads only; takes 1 s a million rows.

    ``patience_seconds``: a job that could go on and does not for this long is stuck.

    Raises:
        Transient: the database did not answer, or the check took longer than the server keeps a snapshot.
    """
    with _answering():
        with db.client.start_session(snapshot=True) as session:
            snapshot = Snapshot(db, session)
            findings, idle = _look(snapshot)
            findings += strays.check_outbox(snapshot, older_than_seconds=outbox_seconds)
            if blobs is not None:
                findings += strays.check_objects(snapshot, blobs, older_than_seconds=object_seconds)
                findings += results.check(snapshot, blobs)
        findings += _still_idle(db, idle, patience_seconds)
    return sorted(findings)


def check_jobs(db: Database, *, org_id: str, patience_seconds: float = PATIENCE_SECONDS) -> list[Finding]:
    """Return the findings on one organisation's jobs: their states, parts, ledgers, audits and locks.

    It reads nothing of other organisations and no rows, so it is fast on a system of any size. Otherwise like
    :func:`check`.
    """
    with _answering():
        with db.client.start_session(snapshot=True) as session:
            snapshot = Snapshot(db, session)
            ids = [job["_id"] for job in snapshot.find("jobs", {"org_id": org_id}, {"_id": 1})]
            findings, idle = _look_at_jobs(snapshot.facts(ids), lambda facts: None)
        findings += _still_idle(db, idle, patience_seconds)
    return sorted(findings)


@contextmanager
def _answering() -> Iterator[None]:
    """Turn errors of the database that a second try can cure into :class:`Transient`."""
    try:
        yield
    except PyMongoError as error:
        too_old = isinstance(error, OperationFailure) and error.code == SNAPSHOT_TOO_OLD
        if too_old or retryable(error):
            raise Transient(f"The check could not be finished: {error}") from error
        raise


def _look(snapshot: Snapshot) -> tuple[list[Finding], dict[str, int]]:
    """Return the findings, and job id → version of the jobs whose parts wait to be published."""
    written, teams_written = marks.Written(), teams.Written()

    def add(facts: Facts) -> None:
        written.add(facts)
        teams_written.add(facts)

    findings, idle = _look_at_jobs(snapshot.facts(), add)
    findings += locks.check_lines(snapshot)
    findings += marks.check(snapshot, written)
    findings += teams.check(snapshot, teams_written)
    findings += strays.check_documents(snapshot)
    return findings, idle


def _look_at_jobs(
    all_facts: Iterable[Facts | Finding], add: Callable[[Facts], None]
) -> tuple[list[Finding], dict[str, int]]:
    findings: list[Finding] = []
    idle: dict[str, int] = {}
    for facts in all_facts:
        if isinstance(facts, Finding):
            findings.append(facts)
            continue
        findings += _of_job(facts)
        add(facts)
        if jobs.waits_for_nothing(facts):
            idle[facts.job.id] = facts.job.v
    return findings, idle


def _of_job(facts: Facts) -> Iterator[Finding]:
    for subject in (jobs, parts, audit, locks):
        yield from subject.check(facts)


def _still_idle(db: Database, idle: dict[str, int], patience_seconds: float) -> Iterator[Finding]:
    deadline = time.monotonic() + patience_seconds
    while idle and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        idle = _idle_still(db, idle)
    for job_id in idle:
        message = f"It has idle parts that could run, and they were not published for {patience_seconds:g} s."
        yield Finding(code=Code.STUCK, subject=job_id, message=message)


def _idle_still(db: Database, idle: dict[str, int]) -> dict[str, int]:
    with db.client.start_session(snapshot=True) as session:
        seen = [facts for facts in Snapshot(db, session).facts(idle) if isinstance(facts, Facts)]
    return {f.job.id: f.job.v for f in seen if jobs.waits_for_nothing(f) and f.job.v == idle[f.job.id]}


def wait_until_rest(db: Database, *, job_ids: Iterable[str] | None = None, seconds: float = 60.0) -> None:
    """Block until these jobs, or all jobs, are at rest: they do nothing more until the next verb.

    Raises:
        NotAtRest: some jobs are not at rest after ``seconds``.
    """
    query: dict[str, object] = {"state": {"$in": [state.value for state in ACTIVE]}}
    if job_ids is not None:
        query["_id"] = {"$in": list(job_ids)}
    deadline = time.monotonic() + seconds
    while True:
        active = {job["_id"]: job["state"] for job in db.jobs.find(query, {"state": 1})}
        if not active:
            return
        if time.monotonic() > deadline:
            raise NotAtRest(active)
        time.sleep(POLL_SECONDS)
