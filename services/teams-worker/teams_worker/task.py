"""The task of a teams job: each row of a CSV is one team with all its links, or a reject.

It does not handle pause, cancel or retries: the runtime does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pymongo.client_session import ClientSession

from collect.csv.layout import is_upsert, keeps_blanks
from collect.jobs.model import Job, Part
from collect.jobs.outcomes import Reject
from collect.rows import chunks, diagnosis, planning, writing
from collect.rows.table import Table
from collect.runtime.task import Applied, Chunk, ChunkRows, ChunkSize, PlannedPart, TakenBack, Write
from collect.storage import forms
from collect.storage.database import Database
from collect.storage.object_store import Blobs
from collect.teams import rows as teams_rows
from collect.teams.template import TEMPLATE
from teams_worker import people, provisioning
from teams_worker.provisioning import Provision

CHUNK_BYTES = 512 * 1024
"""Most bytes of a file in one chunk. A phone of ten bytes may become a member's document of 150."""
MOST_PEOPLE = 10_000
"""Most members that a chunk of several rows may write. A few bytes of a file may change teams of 1,000 members each."""


class TeamsTask:
    """The task of a teams job, as the runtime calls it (see :class:`collect.runtime.task.Task`)."""

    kind = "teams"
    rows = ChunkRows(first=500, fewest=50, most=1_500)

    def __init__(self, *, db: Database, blobs: Blobs) -> None:
        self._db = db
        self._blobs = blobs
        self._teams = Table(db=db, blobs=blobs, name="teams")
        self._members = Table(db=db, blobs=blobs, name="members")

    def plan(self, job: Job, after: Part | None) -> Iterator[PlannedPart | None]:
        """Yield the parts of the file, or those that follow ``after``."""
        yield from planning.plan(self._blobs, job, template=TEMPLATE, after=after)

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        """Yield the teams of the part in chunks, with the members whom they name."""
        known = frozenset(form.form_id for form in forms.all_of(self._db, org_id=job.org_id))
        for lot, valid, rejects in chunks.read(
            self._blobs, part, TEMPLATE, size, params=job.params, most_bytes=CHUNK_BYTES
        ):
            found = teams_rows.read(valid, forms=known)
            made = provisioning.make(
                found.teams, lot, org_id=job.org_id, upsert=is_upsert(job.params), keeps=keeps_blanks(job.params)
            )
            refused = tuple(Reject(row=row, line=lot.line(row), errors=errors) for row, errors in found.wrong.items())
            yield chunks.chunk(lot, made, (*rejects, *refused))

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        """Write the chunk's teams, and the members whom they name or named before. Rejected teams are left out."""
        made: Provision = chunk.payload
        applied, decision = self._teams.write(
            job, made.teams, rejects=chunk.rejects, entry_id=entry_id, session=session
        )
        everybody = made.touched(decision, org_id=job.org_id)
        if len(everybody.ids) > MOST_PEOPLE and made.teams.lot.rows > 1:
            raise writing.too_big(made.teams)
        touched = self._members.touch(everybody, job=job, entry_id=entry_id, session=session)
        undo = people.with_people(applied.undo, touched, strays=bool(decision.displaced))
        writing.check_size(made.teams, undo, undo[people.PEOPLE])
        return replace(applied, undo=undo)

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        """Take back the teams, then the members. A member in a team that another job has changed is a conflict."""
        teams = self._teams.take_back(record, entry_id=entry_id, session=session)
        kept = people.kept_by_others(self._db, job, record, entry_id=entry_id, session=session)
        members = self._members.take_back(
            record[people.PEOPLE], entry_id=entry_id, session=session, kept=frozenset(conflict.id for conflict in kept)
        )
        return replace(teams, conflicts=(*teams.conflicts, *members.conflicts, *kept))

    def sweep(self, job: Job) -> Iterator[None]:
        """Do nothing: a teams job has no objects in the blob store."""
        yield None

    def diagnose(self, job: Job) -> str | None:
        """Return a text if a column of the job's file looks shifted by some rows, else ``None``."""
        return diagnosis.at_teams(self._db, self._blobs, job)

    def finish(self, job: Job) -> Iterator[dict[str, Any] | Write | None]:
        """Yield the writes that delete members whom only a displaced team names."""
        yield from people.without_strays(self._db, job)
