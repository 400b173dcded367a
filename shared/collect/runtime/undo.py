"""Taking back, entry by entry, newest first: ordinary work on a part that is ours."""

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
"""Between two looks at whether somebody may still be writing an object."""


def take_back(run: PartRun) -> None:
    """Undo the ledger entries that the part has left. A crash loses one entry's work at most.

    An entry that has been undone without conflicts is passed by: nothing of it is left to take back.
    """
    lease = run.lease
    began_at = lease.part.left
    while lease.part.left > 0:
        run.step(release=lease.part.left < began_at)  # the first one in any case, or none would ever be
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
    """Remove the job's objects, once no owner of an earlier time can be writing one.

    Such an owner says so when it lets go, within a second as a rule. One that is gone is waited for as long as a lease.
    """
    lease = run.lease
    while parts.has_writers(run.db, job_id=lease.part.job_id, lease_seconds=lease.lease_seconds):
        run.step()
        run.wait(WRITERS_LOOK_SECONDS)
    for _ in run.task.sweep(run.job):
        run.breathe(0.0)
