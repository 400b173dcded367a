"""The pipeline's story: an export from 2015 that should have been one from 2017."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collect.admin import sending
from collect.api.jobs import Job
from collect.client import CollectClient
from collect.demo import responses, survey
from collect.jobs.states import State
from collect.storage.database import Database
from story.leftovers import OwnJobs
from story.telling import Teller
from story.watching import Watch

WRONG_DATE, RIGHT_DATE = "2015-08-01", "2017-08-01"
RUN_SECONDS = 20.0
"""How long the wrong export would take: long enough for the right one to be done before it."""


class ExportStory:
    """The pipeline's morning."""

    def __init__(
        self,
        *,
        client: CollectClient,
        db: Database,
        org_id: str,
        teller: Teller,
        folder: Path,
        own: OwnJobs,
        responses: int,
    ) -> None:
        self._client = client
        self._db = db
        self._org_id = org_id
        self._tell = teller
        self._watch = Watch(client=client, teller=teller)
        self._folder = folder
        self._own = own
        self._responses = responses

    def play(self) -> None:
        """All of it. Raises CheckFailed at the first thing that is not so."""
        self.prepare()
        wrong = self.ask_for_wrong()
        self.confirm(wrong)
        right = self.right_one_first(wrong)
        self.stop(wrong)
        self.compare(right)

    def prepare(self) -> None:
        self._tell.act("The responses to a form")
        first = responses.prepare(self._db, org_id=self._org_id)
        missing = self._responses - self._count({})
        if missing > 0:
            batch = responses.Batch(org_id=self._org_id, rows=missing, first=first)
            sending.send(self._db.responses, responses.blocks(batch), report=lambda _: None)
        self._tell.fact("form", survey.FORM_ID)
        self._tell.fact("responses", f"{self._count({}):,}")
        self._tell.fact(f"since {RIGHT_DATE}", f"{self._count(_since(RIGHT_DATE)):,}")

    def ask_for_wrong(self) -> Job:
        self._tell.act("A pipeline asks for an export with a wrong date, 2015 instead of 2017")
        params = {"form_id": survey.FORM_ID, "from_date": WRONG_DATE}
        seen = self._client.jobs.preview("export", params)
        total = self._count(_since(WRONG_DATE))
        self._tell.check(seen.total_rows == total, f"the preview says how many rows it would be: {total:,}")
        job = self._client.jobs.create("export", params, reason="Demo: what has come in since the last report")
        self._own.remember(job)
        self._tell.check(job.state is State.AWAITING_CONFIRMATION, "it is caught: nothing runs until it is confirmed")
        self._tell.fact("why", job.reason.message if job.reason else None)
        return job

    def confirm(self, wrong: Job) -> None:
        self._tell.act("Somebody confirms it all the same")
        self._client.jobs.patch(wrong.id, max_rows_per_second=self._responses / RUN_SECONDS)
        self._client.jobs.confirm(wrong.id, reason="Demo: the pipeline wants it")
        self._watch.follow(wrong, lambda seen: seen.progress.percent >= 10 or seen.rests)

    def right_one_first(self, wrong: Job) -> Job:
        self._tell.act("The right one is asked for while the wrong one runs")
        params = {"form_id": survey.FORM_ID, "from_date": RIGHT_DATE}
        right = self._client.jobs.create("export", params, reason="Demo: the date put right")
        self._own.remember(right)
        done = self._watch.rested(right, State.SUCCEEDED)
        self._tell.check(self._client.jobs.get(wrong.id).state is State.RUNNING, "it was done first")
        return done

    def stop(self, wrong: Job) -> None:
        self._tell.act("The wrong one is stopped")
        stopped = self._client.jobs.stop(wrong.id, reason="Demo: nobody needs it")
        self._tell.check(stopped.state is State.STOPPED, "the answer says that it is stopped")
        written = self._client.jobs.get(wrong.id).progress.succeeded
        manifest = self._client.jobs.manifest(wrong.id)
        self._tell.fact("kept", f"{manifest.rows:,} rows, {manifest.bytes:,} bytes")
        self._tell.check(not manifest.complete, "what it had written can be had, and says that it is not all")
        self._tell.check(manifest.rows == written, "rows in it: as many as the job has counted")

    def compare(self, right: Job) -> None:
        self._tell.act("The right file, compared with a plain query")
        path = self._folder / "responses.csv"
        size = self._client.jobs.download(right.id, path)
        self._tell.fact("downloaded", f"{path.name}, {size:,} bytes, checksum verified")
        names = survey.form(self._org_id).names
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            self._tell.check(tuple(next(rows)) == names, "its header names the form's fields")
            counted = sum(row == plain for row, plain in zip(rows, self._plain(names), strict=True))
        self._tell.check(
            counted == self._count(_since(RIGHT_DATE)), f"{counted:,} rows, each as the query gives it, in its order"
        )

    def _plain(self, names: tuple[str, ...]) -> Iterator[list[str]]:
        """The same rows, asked for without us."""
        found = self._db.responses.find({**self._form, **_since(RIGHT_DATE)}).sort([("submitted_at", 1), ("_id", 1)])
        for document in found:
            yield [_cell(name, document.get(name)) for name in names]

    def _count(self, query: dict[str, Any]) -> int:
        return self._db.responses.count_documents({**self._form, **query})

    @property
    def _form(self) -> dict[str, Any]:
        return {"org_id": self._org_id, "form_id": survey.FORM_ID}


def _since(day: str) -> dict[str, Any]:
    return {"submitted_at": {"$gte": datetime.fromisoformat(day).replace(tzinfo=UTC)}}


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return (
            value.date().isoformat() if name == "collected_on" else value.isoformat(timespec="milliseconds")[:23] + "Z"
        )
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
