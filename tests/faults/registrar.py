"""A plant in which there are teams: lists of more of them under fire, each compared with what its file says."""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import bson

from collect.demo import survey
from collect.demo.teams import COLUMNS, LIST_SEPARATOR, Roster, Row, save_csv
from collect.jobs.states import State
from collect.storage import forms
from collect.storage.database import Document
from collect.testing.system import Service, eventually
from support.system_under_test import KEPT, ORG, REST_SECONDS, Plant

STANDING = 500
"""Teams that are there before, made by a job of its own."""
ROWS = 3_000
FIRST = STANDING // 2 + 1
"""Half of the teams that stand are in the file as well."""
BAD_EVERY, TWICE_EVERY, SHARED_EVERY = 97, 50, 40
BACK = 1_750
"""So far behind the first row with its name stands the second one: in another part of the file."""
PADDING = "x" * 2_800
"""Makes eight megabytes of the file, hence several parts, and chunks of less than two hundred rows."""
SLOT = "teams-worker-slot"
MADE = ("teams", "members")


class Registrar(Plant):
    """Gateway, monitor and teams that stand, which are there at the beginning of each test; it starts its workers."""

    kept = (*KEPT, "forms")
    _file: Path

    def open(self) -> None:
        super().open()
        forms.ensure(self.db, survey.form(ORG))
        self._file = self.folder / "teams.csv"
        with self._file.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([COLUMNS, *rows()])
        standing = self.folder / "standing.csv"
        save_csv(Roster(teams=STANDING), standing)
        worker = self.registry()
        self.until_state(self.list_of(standing), State.SUCCEEDED)
        worker.stop()
        self.stand()
        assert len(self.standing["teams"]) == STANDING

    def registry(self, *, slots: int = 2, wait: bool = True, **settings: str) -> Service:
        """Start a teams worker."""
        return self.worker(kind="teams", slots=slots, wait=wait, **settings)

    def list_of(self, path: Path, *, rows_per_second: float | None = None, **params: Any) -> str:
        """Start a job for the file; its id."""
        file = self.client.files.upload(path)
        return self.client.jobs.create(
            "teams", {"file_id": file.id, **params}, reason="a test", max_rows_per_second=rows_per_second
        ).id

    def teams(self, *, mode: str = "create", rows_per_second: float | None = None) -> str:
        """Start a job for the file of :func:`rows`."""
        return self.list_of(self._file, mode=mode, rows_per_second=rows_per_second)

    def nothing(self) -> str:
        """Start a job that makes no team, since its only row is bad; its id."""
        path = self.folder / "nothing.csv"
        path.write_text("team_name,manager_phone\nNobody,12345\n")
        return self.list_of(path, max_rejected={"percent": 100})

    def written(self, job_id: str) -> int:
        """Teams that carry the job's mark."""
        return self.db.teams.count_documents(_marked(job_id))

    def chunks(self, job_id: str) -> int:
        """How many the job has committed."""
        return self.db.ledger.count_documents({"job_id": job_id})

    def until_chunks(self, job_id: str, *, more_than: int = 0) -> None:
        """Wait until the job has committed more, or has nothing left to commit."""
        eventually(
            lambda: self.chunks(job_id) > more_than or self.state(job_id) == State.SUCCEEDED,
            seconds=REST_SECONDS,
            what=f"{job_id} has more than {more_than} chunks (it is {self.state(job_id)})",
        )

    def hurry(self, job_id: str) -> None:
        self.client.jobs.patch(job_id, max_rows_per_second=None)

    def fingerprint(self) -> str:
        """A hash over all that there is of teams and people, document for document."""
        found = hashlib.sha256()
        for name in MADE:
            for document in self.db[name].find().sort("_id", 1):
                found.update(bson.encode(document))
        return found.hexdigest()

    def as_the_file_says(self, job_id: str, *, mode: str = "create") -> None:
        """The job succeeds with what reading its file from top to bottom gives, and every invariant holds."""
        self.until_state(job_id, State.SUCCEEDED)
        teams, people, rejects = read(mode)
        found = {each["values"]["team_name"]: (each["row"], each["values"]) for each in self._marked_teams(job_id)}
        assert found == teams
        standing = {each["_id"]: each for each in self.standing["teams"]}
        for team in self.db.teams.find({"_id": {"$in": list(standing)}}):
            assert team == standing[team["_id"]] or team["values"]["team_name"] in teams
        assert {each["values"]["phone"] for each in self.db.members.find()} == people
        stored = {each["row"]: each["code"] for each in self.db.rejects.find({"job_id": job_id})}
        assert stored == rejects
        progress = self.client.jobs.get(job_id).progress
        assert (progress.total, progress.rejected) == (ROWS, len(rejects))
        assert progress.succeeded == ROWS - len(rejects)
        self.sound()

    def whole_teams(self, job_id: str) -> int:
        """How many teams the job has made or changed, each of them as its row says, with all whom it links."""
        by_row, count = {n: _values(row) for n, row in enumerate(rows(), start=1)}, 0
        known = {each["values"]["phone"] for each in self.db.members.find()}
        for team in self._marked_teams(job_id):
            assert team["values"] == by_row[team["row"]]
            assert known.issuperset([*team["values"]["managers"], *team["values"]["members"]])
            count += 1
        return count

    def _marked_teams(self, job_id: str) -> Iterator[Document]:
        yield from self.db.teams.find(_marked(job_id))


def rows() -> Iterator[Row]:
    """The file: some rows are bad, some names stand there twice, and some people are in teams that stand."""
    roster = Roster(teams=ROWS, first=FIRST, managers_each=3)
    names = [row[0] for row in roster.rows()]
    strangers = [row[3] for row in Roster(teams=STANDING).rows()]
    for n, row in enumerate(roster.rows(), start=1):
        name, description, country, manager, members, form = row
        if n % BAD_EVERY == 0:
            members = f"{members}{LIST_SEPARATOR}12345"
        if n % SHARED_EVERY == 3:
            members = f"{strangers[n % STANDING]}{LIST_SEPARATOR}{members}"
        if n > BACK and n % TWICE_EVERY == 7:
            name = names[n - BACK]
        yield name, f"{description} {PADDING}", country, manager, members, form


def read(mode: str) -> tuple[dict[str, tuple[int, Mapping[str, Any]]], set[str], dict[int, str]]:
    """Reading the file from top to bottom: teams with their rows, everybody, and rejected rows with their codes."""
    standing = [_values(row) for row in Roster(teams=STANDING).rows()]
    there = {values["team_name"] for values in standing}
    teams: dict[str, tuple[int, Mapping[str, Any]]] = {}
    people = {phone for values in standing for phone in (*values["managers"], *values["members"])}
    rejects: dict[int, str] = {}
    for n, row in enumerate(rows(), start=1):
        values = _values(row)
        name = values["team_name"]
        if n % BAD_EVERY == 0:
            rejects[n] = "not_a_phone"
        elif mode == "create" and (name in there or name in teams):
            rejects[n] = "duplicate_key"
        else:
            teams[name] = (n, values)
            people.update(values["managers"], values["members"])
    return teams, people, rejects


def _values(row: Row) -> dict[str, Any]:
    name, description, country, manager, members, form = row
    return {
        "team_name": name,
        "description": description,
        "managers": [f"+{country}{manager}"],
        "members": [f"+{country}{phone}" for phone in members.split(LIST_SEPARATOR)],
        "form_ids": [form],
    }


def _marked(job_id: str) -> dict[str, Any]:
    return {"written_by": {"$gte": f"{job_id}:", "$lt": f"{job_id};"}}
