"""The undo of one part: it takes back ledger entry after ledger entry, newest first, in a slice like any other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pymongo.client_session import ClientSession

from collect.jobs.model import Phase, entry_id
from collect.jobs.outcomes import TakenBack
from collect.protocol import commits
from collect.runtime.ipc import ChunkDone
from collect.storage import parts

if TYPE_CHECKING:
    from collect.runtime.part_run import PartRun

WRITERS_LOOK_SECONDS = 0.1
"""Seconds between two checks whether an earlier owner may still be writing an object."""


def take_back(run: PartRun) -> None:
    """Undo the part's ledger entries that are left. Blocking. A crash loses the work on one entry at most.

    An entry that was undone before, without conflicts, is skipped: nothing of it is left to take back.

    Raises:
        LookupError: a ledger entry is missing.
        SliceOver: the slice's time is over; another slice goes on.
    """
    lease = run.lease
    began_at = lease.part.left
    while lease.part.left > 0:
        run.step(release=lease.part.left < began_at)  # undo one entry in any case, so that each slice gets further
        began = time.monotonic()
        this = entry_id(lease.part.job_id, lease.part.n, lease.part.left - 1)
        entry = run.db.ledger.find_one({"_id": this})
        if entry is None:
            raise LookupError(f"ledger entry {this} is missing")
        before = lease.part.counts.undone

        def undo(session: ClientSession, record: dict[str, object] = entry["undo"], mark: str = this) -> TakenBack:
            return run.task.undo(run.job, record, entry_id=mark, session=session)

        settled = entry["undone"] and not entry["conflicts"]
        commits.take_back(lease, entry=entry, undo=None if settled else undo)
        run.got_on()
        seconds = time.monotonic() - began
        rate = (lease.part.counts.undone - before) / max(seconds, 1e-6)
        run.breathe(rate, ChunkDone(phase=Phase.UNDO, seconds=seconds))
    if lease.part.sweep:
        _sweep(run)
    commits.part_done(lease)


def _sweep(run: PartRun) -> None:
    """Remove the job's objects, after no earlier owner of a part can be writing one any more.

    An earlier owner reports that it has let go, within a second as a rule. If its process is gone, this waits for the
    length of a lease.
    """
    lease = run.lease
    while parts.has_writers(run.db, job_id=lease.part.job_id, lease_seconds=lease.lease_seconds):
        run.step()
        run.wait(WRITERS_LOOK_SECONDS)
    for _ in run.task.sweep(run.job):
        run.breathe(0.0)
