"""Checks jobs: their organisation, totals, rejects, unfinished parts, and whether they can go on."""

from __future__ import annotations

from collections.abc import Iterator

from collect.admin.invariants.facts import Facts
from collect.admin.invariants.findings import Code, Finding
from collect.jobs.model import PartStatus, Phase
from collect.jobs.states import ACTIVE, CONFLICTED, WRITING, State
from collect.storage.rejects import MOST_STORED


def check(facts: Facts) -> Iterator[Finding]:
    """Yield the findings on one job and the sums of its parts."""
    yield from _organisation(facts)
    yield from _totals(facts)
    yield from _rejects(facts)
    yield from _left(facts)
    yield from _conflicts(facts)
    yield from _can_go_on(facts)


def waits_for_nothing(facts: Facts) -> bool:
    """Return whether the job is active and could go on, but has no part out. That state must last only a moment."""
    job = facts.job
    if job.state not in ACTIVE or facts.out or not _idle(facts):
        return False
    if job.state not in WRITING:
        return True
    if job.rests(facts.now) or (job.start_at is not None and job.started_at is None and job.start_at > facts.now):
        return False
    return (job.lock is None or facts.line[:1] == (job.id,) or facts.starts_by_itself) and not facts.cap_reached


def _organisation(facts: Facts) -> Iterator[Finding]:
    org = facts.job.org_id
    strangers = [part.id for part in facts.parts if part.org_id != org]
    strangers += [entry.id for entry in facts.entries if entry.org_id != org]
    strangers += [entry["_id"] for entry in facts.audit if entry.get("org_id") != org]
    strangers += [f"{facts.job.id} (rejects)" for other in facts.rejects if other != org]
    if facts.job.lock is not None and not facts.job.lock.startswith(f"{org}:"):
        strangers.append(f"lock {facts.job.lock}")
    for stranger in strangers:
        message = f"Its organisation is not that of its job {facts.job.id}."
        yield Finding(code=Code.OTHER_ORGANISATION, subject=stranger, message=message)


def _totals(facts: Facts) -> Iterator[Finding]:
    job, done = facts.job, facts.counts.looked_at
    planned = sum(part.total for part in facts.parts)
    if job.total_rows is not None and planned != job.total_rows:
        yield _total(job.id, f"Its parts have {planned} rows, its total is {job.total_rows}.")
    if job.total_rows is not None and (done > job.total_rows or (job.state is State.SUCCEEDED and done < planned)):
        yield _total(job.id, f"It is {job.state.value}: {done} of {job.total_rows} rows have an outcome.")
    if job.state is State.SUCCEEDED and any(part.status is not PartStatus.DONE for part in facts.parts):
        yield _total(job.id, "It has succeeded, but some of its parts are not done.")
    yield from _plan(facts, planned)
    for part in facts.parts:
        complete = part.phase is Phase.RUN and part.status is PartStatus.DONE
        if part.counts.looked_at > part.total or (complete and part.counts.looked_at != part.total):
            message = f"It is {part.status.value}, and {part.counts.looked_at} of its {part.total} rows are done."
            yield _total(part.id, message)


def _plan(facts: Facts, planned: int) -> Iterator[Finding]:
    """Part 0 records how far it has planned. The job has a total if, and only if, planning is complete."""
    for zero in facts.parts[:1]:
        plans = zero.phase is Phase.PLAN and zero.status is not PartStatus.DONE
        if facts.job.total_rows is None and not plans and zero.phase is not Phase.UNDO:
            yield _total(facts.job.id, "Its plan is complete, but its total is not set.")
        if facts.job.total_rows is not None and plans:
            yield _total(facts.job.id, "Its total is set before its plan is complete.")
        stand = {"planned": len(facts.parts) - 1, "rows": planned}
        if plans and (zero.cursor or {"planned": 0, "rows": 0}) != stand:
            yield _total(zero.id, f"Its cursor says {zero.cursor or 'nothing'} is planned; its parts say {stand}.")
    numbers = [part.n for part in facts.parts]
    if numbers != list(range(len(numbers))):
        yield _total(facts.job.id, f"The numbers of its parts have gaps: {numbers[:20]}.")


def _total(subject: str, message: str) -> Finding:
    return Finding(code=Code.TOTAL_DIFFERS, subject=subject, message=message)


def _rejects(facts: Facts) -> Iterator[Finding]:
    stored, counted = sum(facts.rejects.values()), facts.counts.rejected
    corrected = -sum(part.counts.rejected for part in facts.parts if part.correction is not None)
    if not min(counted, MOST_STORED - max(0, corrected)) <= stored <= counted:  # corrections do not store more
        message = f"{counted} rejects are counted, but {stored} are stored."
        yield Finding(code=Code.REJECTS_DIFFER, subject=facts.job.id, message=message)


def _left(facts: Facts) -> Iterator[Finding]:
    to_go = [part for part in facts.parts if part.phase is not Phase.FINISH and part.status is not PartStatus.DONE]
    if facts.job.parts_left != len(to_go):
        message = f"parts_left is {facts.job.parts_left}, but {len(to_go)} parts are unfinished."
        yield Finding(code=Code.PARTS_LEFT_DIFFER, subject=facts.job.id, message=message)


def _conflicts(facts: Facts) -> Iterator[Finding]:
    listed = sum(part.conflicts for part in facts.parts)
    if facts.job.state in CONFLICTED and facts.job.conflicts != listed:
        message = f"The job counts {facts.job.conflicts} conflicts, its parts count {listed}."
        yield Finding(code=Code.CONFLICTS_DIFFER, subject=facts.job.id, message=message)


def _can_go_on(facts: Facts) -> Iterator[Finding]:
    if facts.job.state in ACTIVE and not facts.out and not _idle(facts):
        message = f"It is {facts.job.state.value}, but has no unfinished part."
        yield Finding(code=Code.STUCK, subject=facts.job.id, message=message)


def _idle(facts: Facts) -> bool:
    return any(part.status is PartStatus.IDLE for part in facts.parts)
