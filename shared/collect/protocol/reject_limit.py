"""The limit of a job's rejects. It is checked inside the transaction of each chunk that rejects rows.

``max_rejected`` counts the rows of all parts of the file since the last ``resume``. Corrections are not counted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.client_session import ClientSession

from collect.jobs.model import Job, Part, PartStatus, Phase
from collect.jobs.outcomes import Applied, Reject
from collect.storage.database import Database


class ChunkPastLimit(Exception):
    """A signal that aborts the transaction of a chunk that would pass the limit.

    Only the chunk's first ``rows`` rows may be committed. With 0 rows, the job must pause now.
    """

    def __init__(self, *, rows: int) -> None:
        super().__init__()
        self.rows = rows


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The counts of a job: rejects since the last resume, rows read so far, and parts that are being written now."""

    rejected: int
    looked_at: int
    at_work: int


def limit_of(job: Job) -> int | None:
    """Return how many rejects the job may have. ``None``: no limit, or a share of rows that are still being counted."""
    if job.max_rejected is None or (job.max_rejected.rows is None and job.total_rows is None):
        return None
    return job.max_rejected.limit(job.total_rows or 0)


def standing(db: Database, job: Job, *, session: ClientSession | None = None) -> Standing:
    """Return the counts of all parts of the job's file together. Parts of corrected rows are left out."""
    at_work = {"$and": [{"$eq": ["$status", PartStatus.LEASED.value]}, {"$eq": ["$phase", Phase.RUN.value]}]}
    read = {"$add": ["$counts.succeeded", "$counts.rejected", "$counts.left_out"]}
    pipeline: list[dict[str, Any]] = [
        {"$match": {"job_id": job.id, "correction": None}},
        {
            "$group": {
                "_id": None,
                "rejected": {"$sum": "$counts.rejected"},
                "looked_at": {"$sum": read},
                "at_work": {"$sum": {"$cond": [at_work, 1, 0]}},
            }
        },
    ]
    found = next(iter(db.parts.aggregate(pipeline, session=session)), {"rejected": 0, "looked_at": 0, "at_work": 0})
    return Standing(
        rejected=found["rejected"] - job.rejected_before, looked_at=found["looked_at"], at_work=found["at_work"]
    )


def check(
    db: Database, *, job: Job, part: Part, applied: Applied, numbers: Sequence[int], rows: int, session: ClientSession
) -> None:
    """Raise if a chunk of ``rows`` rows would pass the limit. ``numbers``: the numbers of its rows, ascending.

    The last row of a chunk may be the first reject above the limit. Parts that are written side by side do not see each
    other's open transactions, so each may use an equal share of what is left.

    Raises:
        ChunkPastLimit: only a smaller chunk may be committed, or none at all.
    """
    limit = limit_of(job)
    if limit is None or applied.rejected <= 0 or part.correction is not None:
        return
    now = standing(db, job, session=session)
    if now.rejected > limit:
        raise ChunkPastLimit(rows=0)
    kept = rows_kept(
        numbers, applied.rejects, rows=rows, rejected=applied.rejected, left=limit - now.rejected, at_work=now.at_work
    )
    if kept < rows:
        raise ChunkPastLimit(rows=kept)


def rows_kept(
    numbers: Sequence[int], rejects: Sequence[Reject], *, rows: int, rejected: int, left: int, at_work: int
) -> int:
    """Return how many of a chunk's first rows to commit, at least one. ``left``: how many more rejects are allowed.

    That is the whole chunk if its rejects fit into the part's share. Otherwise the chunk ends with the first reject
    above the limit, which is committed too. While other parts are being written and each has a share of at least one,
    the chunk ends before the first reject above its share.
    """
    share = left // max(1, at_work)
    if rejected <= share or rows == 1:
        return rows
    own = sorted(reject.row for reject in rejects if numbers and numbers[0] <= reject.row <= numbers[-1])
    if len(own) <= share:  # the other rejects are rows of earlier chunks that rows of this chunk have displaced
        return rows // 2
    passes = share == left or share == 0
    kept = bisect_right(numbers, own[share]) if passes else bisect_right(numbers, own[share]) - 1
    return max(1, min(rows, kept))
