"""What taking back would do now, counted where the job has written."""

from __future__ import annotations

from typing import Any

from collect.jobs.model import Job
from collect.jobs.progress import summed
from collect.jobs.states import Verb
from collect.storage import locks, parts
from collect.storage.database import Database
from gateway.kinds.table import KINDS


def would_undo(db: Database, job: Job) -> dict[str, Any]:
    """``{will_delete, will_restore, conflicts, seconds}``. Of an export: the rows of its result; of teams: teams.

    Documents that still carry the job's mark are taken back; of those that it touched and that carry another mark, or
    are gone, it can only be said how many they are. With conflicts, the split between deleting and restoring takes them
    all for changed ones as far as there were any.
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
    """``{conflict: {holder}}`` when another job holds the lock that ``verb`` has to take, else nothing.

    Undo is of a job at rest, which has given its lock back; what is terminated has it still, or needs none.
    """
    holder = locks.holders(db, [job.lock]).get(job.lock) if verb is Verb.UNDO and job.lock else None
    return {"conflict": {"holder": holder}} if holder not in (None, job.id) else {}
