"""What taking back would do now, counted in the dataset."""

from __future__ import annotations

from typing import Any

from collect.jobs.model import Job
from collect.jobs.progress import summed
from collect.storage import datasets, parts
from collect.storage.database import Database

UNDONE_A_SECOND = 60_000
"""Documents that one worker of two slots takes back in a second on a small machine (docs/figures.md)."""


def would_undo(db: Database, job: Job) -> dict[str, Any]:
    """``{will_delete, will_restore, conflicts, seconds}``.

    Documents that still carry the job's mark are taken back; of those that it touched and that carry another mark, or
    are gone, it can only be said how many they are. With conflicts, the split between deleting and restoring takes them
    all for changed ones as far as there were any.
    """
    counts = summed(parts.of_job(db, job_id=job.id))
    touched = max(0, counts.created + counts.changed - counts.undone)
    marked = datasets.marked(db, org_id=job.org_id, name=str(job.params["dataset"]), job_id=job.id) if touched else 0
    conflicts = max(0, touched - marked)
    will_restore = max(0, min(counts.changed, marked) - min(conflicts, counts.changed))
    return {
        "will_delete": marked - will_restore,
        "will_restore": will_restore,
        "conflicts": conflicts,
        "seconds": round(marked / UNDONE_A_SECOND, 1),
    }
