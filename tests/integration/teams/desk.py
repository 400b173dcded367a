"""A desk for teams: files go in through the API, a worker runs them, and everything is looked at in the database."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ulid import ULID

from collect.admin.check import check
from collect.api.jobs import Job
from collect.api.previews import TeamsPreview
from collect.client.api import CollectClient
from collect.demo.teams import COLUMNS, Roster, write_csv
from collect.jobs.forms import Form
from collect.storage import api_keys, forms, organisations
from collect.testing.system import System

FORM = "household-survey"
SECONDS = 60.0
ANY_NUMBER = {"rows": 1_000_000}


@dataclass(frozen=True, kw_only=True)
class Office:
    """An organisation with nothing but a form, and what a person there can do."""

    desk: System
    org: str
    client: CollectClient

    def send(self, data: bytes | Roster, name: str = "teams.csv") -> str:
        """The file's id."""
        if isinstance(data, Roster):
            text = io.StringIO()
            write_csv(data, text)
            data = text.getvalue().encode()
        return self.client.files.upload(io.BytesIO(data), name=name).id

    def start(self, data: bytes | Roster | str, *, max_rows_per_second: float | None = None, **params: Any) -> Job:
        """A job of this file, or of the one with this id."""
        file_id = data if isinstance(data, str) else self.send(data)
        wanted = {"file_id": file_id, "max_rejected": ANY_NUMBER, **params}
        return self.client.jobs.create("teams", wanted, reason="a test", max_rows_per_second=max_rows_per_second)

    def preview(self, data: bytes | Roster | str, **params: Any) -> TeamsPreview:
        file_id = data if isinstance(data, str) else self.send(data)
        return self.client.jobs.preview("teams", {"file_id": file_id, **params})

    def rest(self, job: Job) -> Job:
        rested = self.client.jobs.wait(job.id, "rest", timeout_seconds=SECONDS)
        assert rested.progress.done == rested.progress.succeeded + rested.progress.rejected
        return rested

    def run(self, data: bytes | Roster | str, **params: Any) -> Job:
        return self.rest(self.start(data, **params))

    def undo(self, job: Job) -> Job:
        self.client.jobs.undo(job.id, reason="a test")
        return self.rest(job)

    def rejected(self, job: Job) -> dict[int, str]:
        """Row → code."""
        return {reject.row: reject.code for reject in self.client.jobs.rejects(job.id)}

    def teams(self) -> dict[str, dict[str, Any]]:
        """Name → values, as they are stored."""
        return {
            found["values"]["team_name"]: found["values"] for found in self.desk.db.teams.find({"org_id": self.org})
        }

    def people(self) -> set[str]:
        return {found["values"]["phone"] for found in self.desk.db.members.find({"org_id": self.org})}

    def everything(self) -> dict[str, dict[str, Any]]:
        """Every team and everybody, document for document."""
        return {
            f"{name} {document['_id']}": document
            for name in ("teams", "members")
            for document in self.desk.db[name].find({"org_id": self.org})
        }

    def forget(self) -> None:
        """Leave nothing of the organisation."""
        for name in self.desk.db.db.list_collection_names():
            self.desk.db[name].delete_many({"org_id": self.org})
        self.desk.db.locks.delete_many({"_id": {"$regex": f"^{self.org}:"}})


class Desk(System):
    """A gateway, a monitor and a teams worker that all cases share; each case has an organisation of its own."""

    def open(self) -> None:
        self.prepare()
        self.gateway()
        self.monitor()
        self.worker(kind="teams")

    def office(self) -> Office:
        org = f"o{ULID()}".lower()
        organisations.ensure(self.db, org_id=org, name=org)
        form = {"_id": f"{org}:{FORM}", "org_id": org, "form_id": FORM, "title": "t", "version": 1, "fields": []}
        forms.ensure(self.db, Form.model_validate(form))
        secret = api_keys.create(self.db, org_id=org, name="desk", role="operator").secret
        return Office(desk=self, org=org, client=CollectClient(url=self.url, api_key=secret))

    def sound(self) -> None:
        findings = check(self.db)
        assert not findings, "\n".join(str(finding) for finding in findings)


def file_of(rows: Sequence[dict[str, str]]) -> bytes:
    """A file of these rows; cells that are not given are empty, and the country is India."""
    lines = [",".join(COLUMNS)]
    for row in rows:
        cells = {"country_code": "91", **row}
        lines.append(",".join(f'"{cells.get(name, "")}"' for name in COLUMNS))
    return ("\n".join(lines) + "\n").encode()
