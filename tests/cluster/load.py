"""A job of each kind, slowed down so that something can happen to it, and what must be so in the end."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from cluster.release import Outside
from collect.demo import baseline, survey, teams
from collect.jobs.states import State
from collect.testing.system import eventually

ROWS, TEAMS = 40_000, 2_000
ROWS_PER_SECOND = {"upload": 120.0, "export": 120.0, "teams": 6.0}
"""Five minutes or so: longer than what happens meanwhile."""
FIRST = 5_000_001
"""Of people and teams: nobody else's."""
SINCE = "2017-08-01"
REST_SECONDS = 600.0
_OF_A_JOB = {"$gte": "{}:", "$lt": "{};"}


@dataclass(frozen=True, kw_only=True)
class Load:
    """The ids of the jobs by their kinds, and how many responses the export asks for."""

    jobs: dict[str, str]
    responses: int


def begun(outside: Outside, *, responses: int) -> Load:
    """Three jobs that have written something and would take minutes. There are ``responses`` in the export's range."""
    client = outside.client
    with tempfile.TemporaryDirectory() as folder:
        rows, roster = Path(folder, "rows.csv"), Path(folder, "teams.csv")
        baseline.save_csv(baseline.Survey(rows=ROWS, first=FIRST), rows)
        teams.save_csv(teams.Roster(teams=TEAMS, first=FIRST), roster)
        params = {
            "upload": {"file_id": client.files.upload(rows).id, "dataset": baseline.NAME},
            "export": {"form_id": survey.FORM_ID, "from_date": SINCE, "format": "csv"},
            "teams": {"file_id": client.files.upload(roster).id},
        }
    jobs = {
        kind: client.jobs.create(kind, wanted, max_rows_per_second=ROWS_PER_SECOND[kind], reason="to see it through").id
        for kind, wanted in params.items()
    }
    for job in jobs.values():
        eventually(lambda job=job: _done(outside, job) > 0, seconds=120, what=f"{job} has begun")  # type: ignore[misc]
    return Load(jobs=jobs, responses=responses)


def under_way(outside: Outside, load: Load) -> bool:
    """Whether all of them are still in the middle of their work: else nothing was shown."""
    return all(outside.client.jobs.get(job).state is State.RUNNING for job in load.jobs.values())


def seen_through(outside: Outside, load: Load) -> None:
    """Let them go on as fast as they can; every row has been written once, and is taken back.

    Raises:
        AssertionError: something is lost, or doubled, or left.
    """
    client, db = outside.client, outside.db
    for job in load.jobs.values():
        client.jobs.patch(job, max_rows_per_second=None)
    for job in load.jobs.values():
        seen = client.jobs.wait(job, "rest", timeout_seconds=REST_SECONDS)
        assert seen.state is State.SUCCEEDED, f"{job} is {seen.state}: {seen.reason}"
    upload, export, made = load.jobs["upload"], load.jobs["export"], load.jobs["teams"]
    assert db.rows.count_documents(_by(upload)) == client.jobs.get(upload).progress.succeeded == ROWS
    assert db.teams.count_documents(_by(made)) == client.jobs.get(made).progress.succeeded == TEAMS
    assert sum(part.rows for part in client.jobs.manifest(export).parts) == load.responses
    for job in load.jobs.values():
        client.jobs.undo(job, reason="seen through", wait_seconds=60.0)
        assert client.jobs.wait(job, "rest", timeout_seconds=REST_SECONDS).state is State.UNDONE
    assert db.rows.count_documents(_by(upload)) == db.teams.count_documents(_by(made)) == 0


def _done(outside: Outside, job: str) -> int:
    return outside.client.jobs.get(job).progress.succeeded


def _by(job: str) -> dict[str, dict[str, str]]:
    """What carries the job's mark."""
    return {"written_by": {operator: bound.format(job) for operator, bound in _OF_A_JOB.items()}}
