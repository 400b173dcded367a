"""The preview of undo and terminate: counts the documents that the job has written."""

from __future__ import annotations

from collect.api.answers import Holder
from collect.api.jobs import UndoPreview
from collect.jobs.model import Job
from collect.jobs.progress import summed
from collect.jobs.states import Verb
from collect.storage import locks, parts
from collect.storage.database import Database
from gateway.kinds.table import KINDS


def preview(db: Database, job: Job, verb: Verb | None) -> UndoPreview:
    """Return what undo or terminate would do. ``verb``: the verb, or ``None`` if it would be a repeat.

    The unit is a document; for an export, a row of its result; for teams, a team. Documents that still carry the job's
    mark are taken back. Documents that the job touched and that carry another mark, or are gone, are conflicts; only
    their number is known. It is not known whether the job created or changed them, so the split between
    ``will_delete`` and ``will_restore`` counts them as changed documents as far as the job changed any.
    """
    counts = summed(parts.of_job(db, job_id=job.id))
    touched = max(0, counts.created + counts.changed - counts.undone)
    kind = KINDS[job.kind]
    count = kind.marked
    marked = count(db, job) if count is not None and touched else touched
    conflicts = max(0, touched - marked)
    will_restore = min(marked, max(0, counts.changed - conflicts))
    holder = _holder(db, job) if verb is Verb.UNDO else None
    return UndoPreview(
        will_delete=marked - will_restore,
        will_restore=will_restore,
        conflicts=conflicts,
        seconds=round(marked / kind.undone_a_second, 1),
        **({} if holder is None else {"conflict": holder}),
    )


def _holder(db: Database, job: Job) -> Holder | None:
    """Return the other job that holds the lock which undo has to take, or ``None``.

    Terminate takes no lock: its job still has its lock, or needs none.
    """
    holder = locks.holders(db, [job.lock]).get(job.lock) if job.lock else None
    return None if holder in (None, job.id) else Holder(holder=holder)
