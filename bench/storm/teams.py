"""After the storm: every team is the row that its mark names, with all its links; and in the end nobody is left."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from collect.client.errors import ClientError
from collect.jobs.states import State
from storm.field import CALM, Field
from storm.findings import Findings
from storm.plan import ORGANISATIONS
from storm.rosters import Roster
from storm.stored import Document, Sheets, Stored, job_of, place_of
from storm.watch import marks_of

TAKE_BACK_SECONDS = 180.0
REST_SECONDS = 60.0
MADE = ("teams", "members")
MOST_SAID = 5


class Teams:
    """Looks at teams and people in the stores and through the gateways. All jobs rest meanwhile."""

    def __init__(self, *, field: Field, sheets: Sheets, findings: Findings) -> None:
        self._field = field
        self._db = field.db
        self._findings = findings
        self._sheets = sheets

    def explain(self, jobs: dict[str, Document], stored: Stored) -> None:
        """Each team is whole, and everybody is somebody whom a job has named. Adds to ``stored`` what is as it should.

        A finding for each that is not.
        """
        people = {person["_id"]: person for person in self._db.members.find()}
        wrong: list[str] = []
        for team in self._db.teams.find():
            job = job_of(team, jobs)
            why = "no such teams job" if job is None or job["kind"] != "teams" else self._is_wrong(team, job, people)
            if why:
                wrong.append(f"team {team['_id']} of {team['written_by']} row {team['row']}: {why}")
            elif job is not None:
                stored.keys[place_of(job)].add(team["values"]["team_name"])
                stored.rows[job["_id"]].add(team["row"])
                stored.ids[job["_id"]].add(team["_id"])
        for person in people.values():
            job = job_of(person, jobs)
            why = "no such teams job" if job is None or job["kind"] != "teams" else self._is_strange(person, job)
            if why:
                wrong.append(f"person {person['_id']} of {person['written_by']} row {person['row']}: {why}")
            elif job is not None:
                stored.ids[job["_id"]].add(person["_id"])
        self._tell("unexplained", wrong)

    def check_lists(self) -> None:
        """Both gateways show each organisation its own teams, all of them."""
        for gateway, org_id in enumerate(ORGANISATIONS):
            there = {team["_id"]: team["values"] for team in self._db.teams.find({"org_id": org_id})}
            shown: dict[str, dict[str, Any]] = {}
            with self._field.client(org_id, gateway, patience=CALM) as client:
                try:
                    for team in client.teams.list():
                        shown[f"{org_id}|{team.name}"] = {
                            "team_name": team.name,
                            "description": team.description,
                            "managers": [person.phone for person in team.managers],
                            "members": [person.phone for person in team.members],
                            "form_ids": team.form_ids,
                        }
                except ClientError as error:
                    self._findings.add("answer", f"the teams of {org_id} cannot be had: {error.code} {error}")
            different = sorted(id_ for id_ in there.keys() | shown.keys() if there.get(id_) != shown.get(id_))
            if different:
                said = (
                    f"{len(different)} of {len(there)} teams of {org_id} are shown otherwise: {different[:MOST_SAID]}"
                )
                self._findings.add("teams", said)

    def take_back(self) -> int:
        """Undo what has left a mark, the last that was written first, until nothing is left; returns how many undos."""
        with ThreadPoolExecutor(len(ORGANISATIONS)) as threads:
            return sum(threads.map(self._empty, ORGANISATIONS))

    def _is_wrong(self, team: Document, job: Document, people: dict[str, Document]) -> str | None:
        roster, row, values = self._roster(job), team["row"], team["values"]
        if job["org_id"] != team["org_id"]:
            return "it is of another organisation than its job"
        if not 1 <= row <= roster.rows or roster.is_bad(row):
            return "its file has no such good row"
        expected = roster.values(row)
        if team["_id"] != f"{team['org_id']}|{expected['team_name']}":
            return "its id is not made of its name"
        if values.keys() != expected.keys():
            return f"it has the fields {sorted(values)}"
        said = expected if team["revision"] == 1 else roster.fields  # what was changed keeps what its file does not say
        different = [name for name in expected if name in said and values[name] != expected[name]]
        if different:
            return f"it has {[values[name] for name in different]}, its file {[expected[name] for name in different]}"
        missing = [one for one in (*values["managers"], *values["members"]) if f"{team['org_id']}|{one}" not in people]
        return f"it names {missing}, who are nobody" if missing else None

    def _is_strange(self, person: Document, job: Document) -> str | None:
        """Whoever a job marks its row has named; or, where it changes teams, the team as it was before."""
        roster, row, phone = self._roster(job), person["row"], person["values"]["phone"]
        if job["org_id"] != person["org_id"]:
            return "the job is of another organisation"
        if person["_id"] != f"{person['org_id']}|{phone}":
            return "the id is not made of the phone"
        if not 1 <= row <= roster.rows or roster.is_bad(row):
            return "its file has no such good row"
        if job["params"]["mode"] == "create" and phone not in roster.people(row):
            return f"its file names {roster.people(row)} there"
        return None

    def _empty(self, org_id: str) -> int:
        deadline = time.monotonic() + TAKE_BACK_SECONDS
        undone = 0
        put_off: set[str] = set()
        with self._field.client(org_id, 0, patience=CALM) as client:
            while writers := self._writers(org_id):
                job_id = next((writer for writer in writers if writer not in put_off), None)
                if job_id is None or time.monotonic() > deadline:
                    why = "nothing more can be undone" if job_id is None else f"{TAKE_BACK_SECONDS:g} s are over"
                    self._findings.add("not_taken_back", f"teams of {org_id}: {why}, and {writers} have marks")
                    break
                try:
                    client.jobs.undo(job_id, reason="all of it")
                    job = client.jobs.wait(job_id, "rest", timeout_seconds=REST_SECONDS)
                except ClientError as error:
                    self._findings.add("not_taken_back", f"teams of {job_id}: {error.code} {error}")
                    break
                undone += 1
                left = marks_of(self._db, job_id)
                if job.state is not State.UNDONE or (left and not job.conflicts):
                    said = f"teams: {job_id} is {job.state}, {left} marks are left and {job.conflicts} conflicts"
                    self._findings.add("not_taken_back", said)
                    break
                put_off = put_off | {job_id} if left else set()
        return undone

    def _writers(self, org_id: str) -> list[str]:
        """The jobs whose marks stand, the one whose mark is the newest first."""
        marks = {mark for name in MADE for mark in self._db[name].distinct("written_by", {"org_id": org_id})}
        newest: defaultdict[str, Any] = defaultdict(str)
        for job_id, at in self._written(marks):
            newest[job_id] = max(newest[job_id], at)
        return sorted(newest, key=lambda job_id: newest[job_id], reverse=True)

    def _written(self, marks: set[str]) -> Iterator[tuple[str, str]]:
        """Job and time of these ledger entries."""
        for entry in self._db.ledger.find({"_id": {"$in": sorted(marks)}}, {"job_id": 1, "at": 1}):
            yield entry["job_id"], entry["at"].isoformat()

    def _roster(self, job: Document) -> Roster:
        sheet = self._sheets.of(job)
        assert isinstance(sheet, Roster)
        return sheet

    def _tell(self, code: str, wrong: Sequence[str]) -> None:
        for one in wrong[:MOST_SAID]:
            self._findings.add(code, one)
        if len(wrong) > MOST_SAID:
            self._findings.add(code, f"and {len(wrong) - MOST_SAID} more of that")
