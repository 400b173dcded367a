"""The preview of undo and terminate: counts the documents that the job has written."""

from __future__ import annotations

from typing import Any

from collect.jobs.model import Job
from collect.jobs.progress import summed
from collect.jobs.states import Verb
from collect.storage import locks, parts
from collect.storage.database import Database
from gateway.kinds.table import KINDS


def would_undo(db: Database, job: Job) -> dict[str, Any]:
    """Return ``{will_delete, will_restore, conflicts, seconds}``.

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
    return {
        "will_delete": marked - will_restore,
        "will_restore": will_restore,
        "conflicts": conflicts,
        "seconds": round(marked / kind.undone_a_second, 1),
    }


def held(db: Database, job: Job, verb: Verb) -> dict[str, Any]:
    """Return ``{conflict: {holder}}`` when another job holds the lock that ``verb`` has to take, else ``{}``.

    Only undo takes a lock: a job at rest has given its lock back. A job that is terminated still has its lock, or needs
    none.
    """
    holder = locks.holders(db, [job.lock]).get(job.lock) if verb is Verb.UNDO and job.lock else None
    return {"conflict": {"holder": holder}} if holder not in (None, job.id) else {}
