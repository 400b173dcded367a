"""Plants in which a job has succeeded with many rejected rows: they are corrected under fire."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collect.admin.check import check
from collect.api.jobs import Job
from collect.demo import baseline, survey
from collect.demo.teams import COLUMNS, Roster
from collect.jobs.states import State
from collect.storage import forms
from collect.storage.database import Document
from collect.storage.object_store import GridFsBlobs
from collect.storage.teams import ROLES
from collect.testing.system import Service, eventually
from support.system_under_test import KEPT, ORG, REST_SECONDS, Plant

ROWS = 6_000
EVERY = 2
"""One row in so many is rejected."""
REJECTED = ROWS // EVERY
STILL_BAD = 100
"""One of so many rows that are sent as corrections is as bad as before."""
AGAIN = REJECTED // STILL_BAD
GATEWAY = "gateway"


class Corrector(Plant):
    """Gateway, monitor and an upload, which is there at the beginning of each test; it starts its workers."""

    job_kind = "upload"
    _right: Mapping[int, Any]
    job: str

    def open(self) -> None:
        super().open()
        worker = self.corrector()
        self.until_state(self.start(self.text(rejects=0)), State.SUCCEEDED)
        self._right = {row["row"]: row["values"] for row in self.written_rows()}
        self.empty()
        self.job = self.start(self.text(rejects=EVERY), max_rejected={"percent": 60})
        self.until_state(self.job, State.SUCCEEDED)
        worker.stop()
        self.stand()
        assert len(self.standing["rejects"]) == REJECTED

    def corrector(self, *, slots: int = 2, wait: bool = True, **settings: str) -> Service:
        """Start a worker."""
        return self.worker(kind=self.job_kind, slots=slots, wait=wait, **settings)

    def text(self, *, rejects: int) -> Path:
        """The job's file; one row in ``rejects`` is bad."""
        return self.file(rows=ROWS, rejects=rejects)

    def start(self, path: Path, **params: Any) -> str:
        """Start a job for the file; its id."""
        return self.upload(path, **params)

    def sheet(self) -> Path:
        """The rejects, corrected but for some."""
        right = self.folder / "corrected.csv"
        if right.exists():
            return right
        bad = self.folder / "rejects.csv"
        self.client.jobs.save_rejects(self.job, bad)
        corrected = self._cells(self.text(rejects=0))
        with bad.open(encoding="utf-8", newline="") as given, right.open("w", encoding="utf-8", newline="") as out:
            rows = csv.DictReader(given)
            writer = csv.DictWriter(out, rows.fieldnames or ())
            writer.writeheader()
            for nth, row in enumerate(rows):
                cells = {} if nth % STILL_BAD == 0 else dict(zip(corrected[0], corrected[int(row["row"])], strict=True))
                writer.writerow({**row, **cells})
        return right

    def correct(self, *, rows_per_second: float | None = None) -> Job:
        """Send the corrections."""
        if rows_per_second is not None:
            self.client.jobs.patch(self.job, max_rows_per_second=rows_per_second)
        return self.client.jobs.correct(self.job, path=self.sheet(), reason="corrected")

    def hurry(self) -> None:
        self.client.jobs.patch(self.job, max_rows_per_second=None)

    def corrected(self) -> int:
        """How many rows have been written by corrections."""
        return self.db.corrections.count_documents({"job_id": self.job, "became": "written"})

    def until_corrected(self, *, rows: int = 1) -> None:
        eventually(lambda: self.corrected() >= rows, seconds=REST_SECONDS, what=f"{rows} rows are corrected")

    def chunks(self) -> int:
        return self.db.ledger.count_documents({"job_id": self.job})

    def written_rows(self) -> list[Document]:
        """What the job writes its rows to, document for document."""
        return list(self.db.rows.find({"dataset": baseline.NAME}).sort("_id", 1))

    def is_corrected(self) -> None:
        """The job succeeds as the file does that was right, but for the rows that are bad still."""
        self.until_state(self.job, State.SUCCEEDED)
        bad = {row["row"] for row in self.db.rejects.find({"job_id": self.job})}
        assert len(bad) == AGAIN
        assert {row["revision"] for row in self.db.rejects.find({"job_id": self.job})} == {2}
        found = {row["row"]: row["values"] for row in self.written_rows()}
        assert found == {row: values for row, values in self._right.items() if row not in bad}
        progress = self.client.jobs.get(self.job).progress
        assert (progress.total, progress.done) == (ROWS, ROWS)
        assert (progress.succeeded, progress.rejected) == (ROWS - AGAIN, AGAIN)
        assert self.db.corrections.count_documents({"job_id": self.job}) == REJECTED
        assert self.corrected() == REJECTED - AGAIN
        findings = check(self.db, blobs=GridFsBlobs(db=self.db), object_seconds=0.0)
        assert not findings, "\n".join(map(str, findings))

    def adds_up(self) -> None:
        """At rest, each row has one outcome, wherever the corrections were stopped."""
        progress = self.client.jobs.get(self.job).progress
        assert progress.done == progress.total == ROWS
        assert progress.rejected == self.db.rejects.count_documents({"job_id": self.job})
        assert progress.succeeded == len(self.written_rows())
        self.sound()

    def _cells(self, path: Path) -> dict[int, list[str]]:
        with path.open(encoding="utf-8", newline="") as lines:
            return dict(enumerate(csv.reader(lines)))


class TeamsCorrector(Corrector):
    """The same with a list of teams."""

    job_kind = "teams"
    kept = (*KEPT, "forms")

    def open(self) -> None:
        forms.ensure(self.db, survey.form(ORG))
        super().open()

    def text(self, *, rejects: int) -> Path:
        path = self.folder / f"teams-{rejects}.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            for n, row in enumerate(Roster(teams=ROWS).rows()):
                writer.writerow([*row[:4], "12345", row[5]] if rejects and n % rejects == 0 else row)
        return path

    def start(self, path: Path, **params: Any) -> str:
        file = self.client.files.upload(path)
        return self.client.jobs.create("teams", {"file_id": file.id, **params}, reason="a test").id

    def written_rows(self) -> list[Document]:
        return list(self.db.teams.find().sort("_id", 1))

    def snapshot(self) -> list[Document]:
        return [*self.written_rows(), *self.db.members.find()]

    def is_corrected(self) -> None:
        super().is_corrected()
        named = {phone for team in self.written_rows() for role in ROLES for phone in team["values"][role]}
        assert {person["values"]["phone"] for person in self.db.members.find()} == named
