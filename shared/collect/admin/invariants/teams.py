"""Checks teams: each comes from one row, and the people that it names exist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from collect.admin.invariants.facts import Facts, Snapshot
from collect.admin.invariants.findings import Code, Finding
from collect.jobs.model import Phase
from collect.jobs.states import State
from collect.jobs.template import KEY_SEPARATOR

KIND = "teams"
_TAKING_BACK = (State.TERMINATING, State.UNDOING, State.UNDO_FAILED)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A teams job that is not undone. ``once``: two of its rows cannot both succeed for the same team."""

    org_id: str
    succeeded: int
    once: bool


@dataclass(kw_only=True)
class Written:
    """The writes of all teams jobs according to their parts."""

    jobs: dict[str, _Job] = field(default_factory=dict)
    going: list[str] = field(default_factory=list)
    """Jobs that are being undone: some of their teams and people are removed, some not yet."""
    overwritten: set[str] = field(default_factory=set)
    """Organisations in which a job has changed existing teams."""

    def add(self, facts: Facts) -> None:
        """Add one job."""
        job = facts.job
        if job.kind != KIND:
            return
        if job.state in _TAKING_BACK:
            self.going.append(job.id)
        if any(entry.counts.changed for entry in facts.entries):
            self.overwritten.add(job.org_id)
        if not any(part.phase is Phase.UNDO for part in facts.parts):
            once = job.params.get("mode", "create") == "create"
            self.jobs[job.id] = _Job(org_id=job.org_id, succeeded=facts.counts.succeeded, once=once)


def check(snapshot: Snapshot, written: Written) -> Iterator[Finding]:
    """Yield the findings: the number of teams of each job, and links to missing people. Counted on the server."""
    yield from _whole(snapshot, written)
    yield from _links(snapshot, written)


def _whole(snapshot: Snapshot, written: Written) -> Iterator[Finding]:
    teams: Counter[str] = Counter()
    for found in snapshot.aggregate("teams", [{"$group": {"_id": "$written_by", "teams": {"$sum": 1}}}]):
        teams[str(found["_id"]).partition(":")[0]] += found["teams"]
    for job_id, job in written.jobs.items():
        exact = job.once and job.org_id not in written.overwritten
        if teams[job_id] > job.succeeded or (exact and teams[job_id] < job.succeeded):
            message = f"{job.succeeded} of its rows have succeeded, but {teams[job_id]} teams carry its mark."
            yield Finding(code=Code.TEAMS_DIFFER, subject=job_id, message=message)


def _links(snapshot: Snapshot, written: Written) -> Iterator[Finding]:
    phones = {"$setUnion": ["$values.managers", "$values.members"]}
    ids = {"$map": {"input": phones, "in": {"$concat": ["$org_id", KEY_SEPARATOR, "$$this"]}}}
    is_team = {"$ne": [{"$type": "$team"}, "missing"]}
    pipeline: list[dict[str, Any]] = [
        {"$match": {"$nor": [_marked(job_id) for job_id in written.going]} if written.going else {}},
        {"$project": {"person": ids}},
        {"$unwind": "$person"},
        {"$project": {"_id": "$person", "team": "$_id"}},
        {"$unionWith": {"coll": "members", "pipeline": [{"$project": {"_id": 1}}]}},
        {"$group": {"_id": "$_id", "team": {"$min": "$team"}, "links": {"$min": {"$cond": [is_team, 1, 0]}}}},
        {"$match": {"links": 1}},
    ]
    for found in snapshot.aggregate("teams", pipeline):
        message = f"It names the person {found['_id']}, who does not exist."
        yield Finding(code=Code.LINK_BROKEN, subject=str(found["team"]), message=message)


def _marked(job_id: str) -> dict[str, Any]:
    return {"written_by": {"$gte": f"{job_id}:", "$lt": f"{job_id};"}}
