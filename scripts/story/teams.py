"""The third story: ten thousand teams, whose managers have slipped down by ten rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from collect.api.jobs import Job
from collect.api.previews import TeamsPreview
from collect.client import CollectClient
from collect.client.cli import suggestions
from collect.jobs.states import State
from collect.storage.database import Database
from story.leftovers import OwnJobs
from story.rosters import SLIPPED_ROWS, Rosters
from story.stores import Print, TeamStores
from story.telling import CheckFailed, Teller
from story.watching import Watch

RUN_SECONDS = 9.0
"""How long the wrong roster would take: long enough to be stopped at a third."""
STOP_AT_PERCENT = 33.0

Prints = tuple[Print, Print]


class TeamStory:
    """The morning of whoever looks after the teams."""

    def __init__(
        self,
        *,
        client: CollectClient,
        db: Database,
        org_id: str,
        teller: Teller,
        folder: Path,
        own: OwnJobs,
        teams: int,
    ) -> None:
        self._client = client
        self._stores = TeamStores(db=db, org_id=org_id)
        self._tell = teller
        self._watch = Watch(client=client, teller=teller)
        self._rosters = Rosters(folder=folder, teams=teams)
        self._own = own
        self._teams = teams

    def play(self) -> None:
        """All of it. Raises CheckFailed at the first thing that is not so."""
        before = self.prepare()
        file_id, suggestion = self.preview_wrong()
        wrong = self.start_wrong(file_id)
        self.stop(wrong)
        self.undo(wrong, before)
        right = self.restart_as_suggested(wrong, suggestion)
        self.correct_the_last(right)
        self.compare(right)

    def prepare(self) -> Prints:
        self._tell.act("Teams with their managers, from an earlier list")
        self._rosters.make()
        wanted = self._rosters.expected(self._rosters.earlier)
        if self._stores.named(wanted) != wanted:
            params = {"file_id": self._sent(self._rosters.earlier), "mode": "upsert"}
            job = self._client.jobs.create("teams", params, reason="Demo: the teams as they were, which must stay")
            self._watch.rested(job, State.SUCCEEDED)
        before = self._stores.fingerprints()
        self._tell.fact("teams before", before[0])
        self._tell.fact("people before", before[1])
        return before

    def preview_wrong(self) -> tuple[str, dict[str, Any]]:
        """The id of the wrong file, and what its preview suggests."""
        self._tell.act(
            f"A new list, whose managers have slipped down by {SLIPPED_ROWS} rows, and what its preview says"
        )
        file_id = self._sent(self._rosters.wrong)
        seen = self._client.jobs.preview("teams", {"file_id": file_id, "mode": "upsert"})
        warned = next((warning for warning in seen.warnings if warning.code == "column_shifted"), None)
        if warned is None or warned.suggestion is None:
            raise CheckFailed("the preview warns of column_shifted, and suggests how to correct it")
        self._tell_preview(seen)
        self._tell.fact("warning", warned.message)
        self._tell.fact("suggestion", suggestions.options(warned.suggestion))
        corrected = warned.suggestion == {"column_shift": {"manager_phone": -SLIPPED_ROWS}}
        self._tell.check(corrected, f"it names the column, and moves it up by {SLIPPED_ROWS} rows")
        return file_id, warned.suggestion

    def _tell_preview(self, seen: TeamsPreview) -> None:
        self._tell.fact("teams that would change", f"{seen.teams.changed:,} of {seen.teams.examined_rows:,}")
        for effect in seen.effects:
            self._tell.fact("what a row does", effect)

    def start_wrong(self, file_id: str) -> Job:
        self._tell.act("It is started all the same")
        rate = self._teams / RUN_SECONDS
        reason = "Demo: the new list of teams"
        params = {"file_id": file_id, "mode": "upsert"}
        job = self._client.jobs.create("teams", params, reason=reason, max_rows_per_second=rate)
        self._own.remember(job)
        self._tell.fact("job", job.id)
        self._tell.fact(
            "teams", f"{self._teams:,}, held back to {rate:,.0f} a second, so that there is something to stop"
        )
        self._watch.follow(job, lambda seen: seen.progress.percent >= STOP_AT_PERCENT or seen.rests)
        return job

    def stop(self, wrong: Job) -> None:
        self._tell.act("Somebody sees the wrong managers, and stops it at a third")
        stopped = self._client.jobs.stop(wrong.id, reason="Demo: these are not the managers of these teams")
        self._tell.check(stopped.state is State.STOPPED, "the answer says that it is stopped")
        written = self._stores.written_by(wrong.id)
        self._tell.fact("teams written", f"{len(written):,} of {self._teams:,}, counted in MongoDB")
        self._tell.check(0 < len(written) < self._teams, "some of the teams were changed, and the others were not")
        done = self._client.jobs.get(wrong.id).progress
        self._tell.check(done.succeeded == len(written), "the job says the number that was counted")
        self._are_whole(written)
        self._show_mistake(written)

    def _are_whole(self, written: dict[str, dict[str, Any]]) -> None:
        """Each with its manager, its members and its forms, and everybody in them is there."""
        asked = self._rosters.expected(self._rosters.wrong)
        whole = sum(values == asked[name] for name, values in written.items())
        self._tell.check(
            whole == len(written), f"{whole:,} teams are whole, each with all its links as the file has them"
        )
        people = {phone for values in written.values() for phone in (*values["managers"], *values["members"])}
        self._tell.check(people <= self._stores.phones(), f"and so are the {len(people):,} people in them")

    def _show_mistake(self, written: dict[str, dict[str, Any]]) -> None:
        right = self._rosters.expected(self._rosters.right)
        misled = [name for name, values in written.items() if values["managers"] != right[name]["managers"]]
        if not misled:
            raise CheckFailed("the managers are indeed wrong")
        name = misled[-1]
        others = [other for other, values in right.items() if values["managers"] == written[name]["managers"]]
        self._tell.say(
            f"{name!r} is now led by {', '.join(written[name]['managers'])}, who leads {', '.join(others)!r}."
        )
        self._tell.check(bool(others), f"the managers are indeed wrong, in {len(misled):,} teams")

    def undo(self, wrong: Job, before: Prints) -> None:
        self._tell.act("It is taken back: what was stopped has ended, so it is undone rather than terminated")
        preview = self._client.jobs.will_undo(wrong.id)
        self._tell.fact(
            "preview",
            f"{preview.will_delete:,} teams would be deleted, {preview.will_restore:,} restored, "
            f"{preview.conflicts:,} conflicts",
        )
        self._client.jobs.undo(wrong.id, reason="Demo: the managers had slipped by ten rows")
        self._watch.rested(wrong, State.UNDONE)
        teams, people = self._stores.fingerprints()
        self._tell.fact("teams now", teams)
        self._tell.fact("people now", people)
        self._tell.check((teams, people) == before, "teams and people are document for document what they were")

    def restart_as_suggested(self, wrong: Job, suggestion: dict[str, Any]) -> Job:
        self._tell.act("The same file again, its managers moved up as the preview has suggested")
        reason = "Demo: managers where they belong"
        job = self._client.jobs.restart(wrong.id, reason=reason, params=suggestion)
        self._own.remember(job)
        self._tell.fact("job", f"{job.id}, a restart of {job.parent_id}")
        self._tell.check(job.parent_id == wrong.id, "it names the job that it replaces")
        return self._watch.rested(job, State.SUCCEEDED)

    def correct_the_last(self, right: Job) -> None:
        self._tell.act(f"The last {SLIPPED_ROWS} managers, which had slipped out of the file")
        rejects = list(self._client.jobs.rejects(right.id))
        lost = range(self._teams - SLIPPED_ROWS + 1, self._teams + 1)
        self._tell.fact(
            "rejected", f"rows {lost.start:,} to {lost.stop - 1:,}: {rejects[0].message if rejects else ''}"
        )
        found = [(reject.row, reject.code) for reject in rejects]
        self._tell.check(found == [(row, "no_cell") for row in lost], "they were rejected, rather than made up")
        cells = {row: self._rosters.cell(self._rosters.right, row, "manager_phone") for row in lost}
        rows = [{"row": row, "values": {"manager_phone": cell}} for row, cell in cells.items()]
        self._client.jobs.correct(right.id, rows=rows, reason="Demo: their managers, asked for by phone")
        done = self._watch.rested(right, State.SUCCEEDED).progress
        counted = (done.succeeded, done.rejected)
        self._tell.check(counted == (self._teams, 0), f"the same job has now {done.succeeded:,} teams, and no reject")

    def compare(self, right: Job) -> None:
        self._tell.act("The managers, one by one")
        expected = self._rosters.expected(self._rosters.right)
        stored = self._stores.named(expected)
        led = sum(stored[name]["managers"] == expected[name]["managers"] for name in expected if name in stored)
        self._tell.check(
            led == self._teams, f"{led:,} of {self._teams:,} teams have the manager that the right list names"
        )
        whole = sum(stored.get(name) == values for name, values in expected.items())
        self._tell.check(whole == self._teams, f"{whole:,} are as it says in everything else")
        marked = len(self._stores.written_by(right.id))
        self._tell.fact("with the mark of", f"{right.id}: {marked:,} teams")
        name = next(reversed(expected))
        shown = [person.phone for person in self._client.teams.get(name).managers]
        self._tell.check(shown == expected[name]["managers"], f"the API names {', '.join(shown)} for {name!r} as well")

    def _sent(self, path: Path) -> str:
        return self._client.files.upload(path).id
