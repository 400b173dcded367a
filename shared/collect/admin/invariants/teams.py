"""Teams: each is one row with all its links, and whoever it links is somebody."""

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
    """A teams job whose teams stand. ``once``: no row of it can succeed for a team that another row has made."""

    org_id: str
    succeeded: int
    once: bool


@dataclass(kw_only=True)
class Made:
    """What all teams jobs together have made, as their parts say."""

    jobs: dict[str, _Job] = field(default_factory=dict)
    going: list[str] = field(default_factory=list)
    """Jobs that are being taken back: of their teams and people some are gone and some are still there."""
    overwritten: set[str] = field(default_factory=set)
    """Organisations in which a job has changed what was there."""

    def add(self, facts: Facts) -> None:
        """Take in one job."""
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


def check(snapshot: Snapshot, made: Made) -> Iterator[Finding]:
    """Teams by job, and all links together, each counted on the server."""
    yield from _whole(snapshot, made)
    yield from _links(snapshot, made)


def _whole(snapshot: Snapshot, made: Made) -> Iterator[Finding]:
    teams: Counter[str] = Counter()
    for found in snapshot.aggregate("teams", [{"$group": {"_id": "$written_by", "teams": {"$sum": 1}}}]):
        teams[str(found["_id"]).partition(":")[0]] += found["teams"]
    for job_id, job in made.jobs.items():
        exact = job.once and job.org_id not in made.overwritten
        if teams[job_id] > job.succeeded or (exact and teams[job_id] < job.succeeded):
            said = f"{job.succeeded} of its rows have succeeded; {teams[job_id]} teams carry its mark."
            yield Finding(code=Code.TEAMS_DIFFER, subject=job_id, message=said)


def _links(snapshot: Snapshot, made: Made) -> Iterator[Finding]:
    phones = {"$setUnion": ["$values.managers", "$values.members"]}
    ids = {"$map": {"input": phones, "in": {"$concat": ["$org_id", KEY_SEPARATOR, "$$this"]}}}
    is_team = {"$ne": [{"$type": "$team"}, "missing"]}
    pipeline: list[dict[str, Any]] = [
        {"$match": {"$nor": [_marked(job_id) for job_id in made.going]} if made.going else {}},
        {"$project": {"person": ids}},
        {"$unwind": "$person"},
        {"$project": {"_id": "$person", "team": "$_id"}},
        {"$unionWith": {"coll": "members", "pipeline": [{"$project": {"_id": 1}}]}},
        {"$group": {"_id": "$_id", "team": {"$min": "$team"}, "links": {"$min": {"$cond": [is_team, 1, 0]}}}},
        {"$match": {"links": 1}},
    ]
    for found in snapshot.aggregate("teams", pipeline):
        said = f"It links {found['_id']}, and there is no such person."
        yield Finding(code=Code.LINK_BROKEN, subject=str(found["team"]), message=said)


def _marked(job_id: str) -> dict[str, Any]:
    return {"written_by": {"$gte": f"{job_id}:", "$lt": f"{job_id};"}}
