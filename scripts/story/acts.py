"""The acts: each does one thing through the API and checks in the database that it is so."""

from __future__ import annotations

import csv
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from collect.api.jobs import Action, Job
from collect.client import CollectClient
from collect.client.cli import suggestions
from collect.client.cli.words import milliseconds
from collect.demo.baseline import NAME, Survey, save_csv
from collect.jobs.states import State
from story.leftovers import OwnJobs
from story.stores import Print, Stores
from story.telling import CheckFailed, Teller, clock
from story.watching import LOOK_SECONDS, PATIENCE_SECONDS, Watch

RUN_SECONDS = 8.0
"""How long the wrong file would take: long enough to be looked at and held."""
EARLIER_ROWS = 5_000
EARLIER_FIRST = 90_000_001
BAND = 1_000_000
EXCHANGED = ("district", "block")
LATE_SECONDS = 2.0
"""A chunk is 250 ms of work at most: whatever was under way at a pause would have landed many times over."""


class Story:
    """The support user's morning."""

    def __init__(
        self, *, client: CollectClient, stores: Stores, teller: Teller, folder: Path, own: OwnJobs, rows: int
    ) -> None:
        self._client = client
        self._stores = stores
        self._tell = teller
        self._watch = Watch(client=client, teller=teller)
        self._folder = folder
        self._own = own
        self._first = 1
        self._rows = rows
        self._files: dict[str, str] = {}

    def play(self) -> None:
        """All of it. Raises CheckFailed at the first thing that is not so."""
        before = self.prepare()
        suggestion = self.preview_wrong()
        wrong = self.start_wrong("It is started all the same")
        self.run_until(wrong, percent=35)
        self.show_mistake(wrong)
        self.pause(wrong)
        self.resume(wrong)
        self.terminate(wrong, before)
        right = self.restart_as_suggested(wrong, suggestion, before)
        self.correct_in_one_request(right, before)

    def prepare(self) -> Print:
        self._tell.act("The dataset as it is")
        taken_back = self._own.take_back(self._client)
        if taken_back:
            self._tell.say(f"Took back what an earlier demo had written (jobs: {taken_back}).")
        while self._stores.between(self._key(0), self._key(self._rows - 1)):
            self._first += BAND
        self._make_files()
        if not self._stores.between(f"R{EARLIER_FIRST:08d}", f"R{EARLIER_FIRST + EARLIER_ROWS - 1:08d}"):
            job = self._upload("earlier.csv", "Demo: an earlier round, which must stay as it is", remembered=False)
            self._watch.rested(job, State.SUCCEEDED)
        before = self._stores.fingerprint()
        self._tell.fact("dataset", NAME)
        self._tell.fact("before", before)
        return before

    def preview_wrong(self) -> dict[str, Any]:
        """What the preview of the wrong file suggests."""
        self._tell.act("A file with two columns exchanged, and what its preview says")
        seen = self._client.jobs.preview("upload", {"file_id": self._sent("wrong.csv"), "dataset": NAME})
        warned = next((warning for warning in seen.warnings if warning.code == "columns_swapped"), None)
        if warned is None or warned.suggestion is None:
            raise CheckFailed("the preview warns of columns_swapped, and suggests how to correct it")
        self._tell.fact("warning", warned.message)
        self._tell.fact("suggestion", suggestions.options(warned.suggestion))
        one, other = EXCHANGED
        corrected = warned.suggestion == {"column_map": {one: other, other: one}}
        self._tell.check(corrected, f"it names {one} and {other}, and what reads each as the other")
        return warned.suggestion

    def start_wrong(self, title: str) -> Job:
        self._tell.act(title)
        rate = self._rows / RUN_SECONDS
        job = self._upload("wrong.csv", "Demo: baseline of the new round", max_rows_per_second=rate)
        self._tell.fact("job", job.id)
        self._tell.fact("rows", f"{self._rows:,}, held back to {rate:,.0f} a second, so that there is something to see")
        return job

    def run_until(self, job: Job, *, percent: float) -> Job:
        return self._watch.follow(job, lambda seen: seen.progress.percent >= percent or seen.rests)

    def show_mistake(self, job: Job) -> None:
        values = self._stores.first_of(job.id)
        self._tell.say(f"Somebody looks: district is {values.get('district')!r}, block is {values.get('block')!r}.")
        right = self._right_values(values)
        exchanged = (values.get("district"), values.get("block")) == (right["block"], right["district"])
        self._tell.check(exchanged, "the two columns are indeed exchanged")

    def pause(self, job: Job) -> None:
        self._tell.act("Pause")
        paused = self._client.jobs.pause(job.id, reason="Demo: district and block look exchanged")
        written = self._stores.written_by(job.id)
        action = self._action(paused)
        self._tell.check(paused.state is State.PAUSED, "the answer says that the job is paused")
        self._tell.fact("asked at", clock(action.requested_at))
        self._tell.fact("in effect at", clock(action.effective_at))
        if action.requested_at is None or action.effective_at is None:
            raise CheckFailed("the pause says when it was asked for and when it was in effect")
        self._tell.fact("milliseconds", milliseconds(action.requested_at, action.effective_at))
        self._watch_stillness(job, written, action)

    def _watch_stillness(self, job: Job, written: int, action: Action) -> None:
        """Count again and again until every slot is free and a late chunk would long have landed."""
        chunks = self._stores.chunks(job.id)
        deadline = time.monotonic() + PATIENCE_SECONDS
        assert action.effective_at is not None
        until = action.effective_at + timedelta(seconds=LATE_SECONDS)
        while True:
            seen = self._client.jobs.get(job.id)
            since = self._stores.written_by(job.id) - written
            new_chunks = self._stores.chunks(job.id) - chunks
            if since or new_chunks:
                raise CheckFailed(f"{since:,} rows in {new_chunks} chunks were written after the pause was answered")
            free_at = self._action(seen).slots_free_at
            if free_at is not None and self._stores.now() >= max(until, free_at):
                break
            if time.monotonic() > deadline:
                raise CheckFailed("the slots of the paused job become free")
            time.sleep(LOOK_SECONDS)  # stillness is shown by looking again and again
        self._tell.fact("slots free at", clock(free_at))
        self._tell.fact("rows written by then", f"{written:,}, counted in MongoDB")
        self._tell.fact("rows written since", since)
        self._tell.check(since == 0, f"nothing was written in the {LATE_SECONDS:g} s after the pause")
        self._tell.check(seen.progress.succeeded == written, "the job says the number of rows that was counted")

    def resume(self, job: Job) -> None:
        self._tell.act("Resume")
        self._client.jobs.resume(job.id, reason="Demo: let us see a little more of it")
        seen = self.run_until(job, percent=60)
        self._tell.check(seen.progress.succeeded > 0 and not seen.rests, "it went on from where it was")

    def terminate(self, job: Job, before: Print) -> None:
        self._tell.act("Terminate")
        preview = self._client.jobs.will_undo(job.id, "terminate")
        self._tell.fact(
            "preview",
            f"{preview.will_delete:,} rows would be deleted, {preview.will_restore:,} restored, "
            f"{preview.conflicts:,} conflicts",
        )
        self._tell.check(preview.will_delete > 0, "the preview says what would be taken back")
        self._client.jobs.terminate(job.id, reason="Demo: the columns are exchanged")
        ended = self._watch.rested(job, State.TERMINATED)
        self._tell.fact("taken back", f"{ended.progress.undone:,} rows")
        self._is_as_before(job, before)

    def restart_as_suggested(self, wrong: Job, suggestion: dict[str, Any], before: Print) -> Job:
        self._tell.act("The same file again, its columns read as the preview has suggested")
        reason = "Demo: the same round, columns put right"
        job = self._client.jobs.restart(wrong.id, reason=reason, params=suggestion)
        self._own.remember(job)
        self._tell.fact("job", f"{job.id}, a restart of {job.parent_id}")
        self._tell.check(job.parent_id == wrong.id, "it names the job that it replaces")
        self._watch.rested(job, State.SUCCEEDED)
        self._is_right(job, before)
        return job

    def correct_in_one_request(self, right: Job, before: Print) -> None:
        self._tell.act("The same correction in one request")
        values = self._stores.values_fingerprint()
        self._tell.say("First the morning is put back once more: the right rows are undone.")
        self._client.jobs.undo(right.id, reason="Demo: once more from the beginning")
        self._watch.rested(right, State.UNDONE)
        self._is_as_before(right, before)
        wrong = self.start_wrong("The wrong file is started again")
        self.run_until(wrong, percent=25)
        self._tell.act("One request: take that back, and run this instead")
        reason = "Demo: replaces the file with exchanged columns"
        job = self._upload("right.csv", reason, on_conflict="supersede", supersedes=wrong.id)
        self._tell.fact("request", f"upload right.csv, on_conflict=supersede, supersedes={wrong.id}")
        self._tell.fact("answer", job.status)
        self._watch.rested(job, State.SUCCEEDED)
        self._watch.rested(wrong, State.TERMINATED)
        self._tell.check(self._stores.written_by(wrong.id) == 0, "of the wrong file not one row is left")
        self._is_right(job, before)
        self._tell.check(
            self._stores.values_fingerprint() == values,
            "the data are the same as after the long way, which needed no other file",
        )

    def _is_as_before(self, job: Job, before: Print) -> None:
        after = self._stores.fingerprint()
        self._tell.fact("dataset now", after)
        self._tell.check(self._stores.written_by(job.id) == 0, "not one row of the job is left")
        self._tell.check(after == before, "the dataset is document for document what it was")

    def _is_right(self, job: Job, before: Print) -> None:
        counted = self._stores.written_by(job.id)
        self._tell.check(
            counted == self._rows, f"{counted:,} rows of the job counted in MongoDB, of {self._rows:,} in the file"
        )
        total = self._stores.fingerprint().documents
        self._tell.check(total == before.documents + self._rows, f"{total:,} documents in the dataset altogether")
        values = self._stores.first_of(job.id)
        right = self._right_values(values)
        same = all(values.get(name) == right[name] for name in EXCHANGED)
        self._tell.check(same, f"district is {values.get('district')!r}, block is {values.get('block')!r}")

    def _upload(
        self,
        name: str,
        reason: str,
        *,
        remembered: bool = True,
        max_rows_per_second: float | None = None,
        **params: Any,
    ) -> Job:
        wanted = {"file_id": self._sent(name), "dataset": NAME, **params}
        job = self._client.jobs.create("upload", wanted, reason=reason, max_rows_per_second=max_rows_per_second)
        if remembered:
            self._own.remember(job)
        return job

    def _sent(self, name: str) -> str:
        """The id of the file, which is sent once."""
        if name not in self._files:
            self._files[name] = self._client.files.upload(self._folder / name).id
        return self._files[name]

    def _action(self, job: Job) -> Action:
        if job.last_action is None:
            raise CheckFailed(f"job {job.id} says what was last done to it")
        return job.last_action

    def _make_files(self) -> None:
        right = Survey(rows=self._rows, first=self._first)
        save_csv(right, self._folder / "right.csv")
        save_csv(Survey(rows=self._rows, first=self._first, swap=EXCHANGED), self._folder / "wrong.csv")
        save_csv(Survey(rows=EARLIER_ROWS, seed=2016, first=EARLIER_FIRST), self._folder / "earlier.csv")

    def _right_values(self, values: dict[str, Any]) -> dict[str, str]:
        """What the right file says of the same person."""
        with (self._folder / "right.csv").open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row["respondent_id"] == values.get("respondent_id"):
                    return row
        raise CheckFailed("a row that was written is one of the file's")

    def _key(self, index: int) -> str:
        return f"R{self._first + index:08d}"
