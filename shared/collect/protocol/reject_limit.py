"""How many more rows of a job may be rejected, looked at inside the transaction that would reject them.

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
    """Aborts the transaction of a chunk. Only its first ``rows`` rows may be committed; 0: the job must pause now."""

    def __init__(self, *, rows: int) -> None:
        super().__init__()
        self.rows = rows


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a job stands: rejects since the last resume, rows read so far, and the parts that are being written now."""

    rejected: int
    looked_at: int
    at_work: int


def limit_of(job: Job) -> int | None:
    """How many rejects the job may have. ``None``: there is no limit, or the rows are still being counted."""
    if job.max_rejected is None or (job.max_rejected.rows is None and job.total_rows is None):
        return None
    return job.max_rejected.limit(job.total_rows or 0)


def standing(db: Database, job: Job, *, session: ClientSession | None = None) -> Standing:
    """Count the rejects of the parts of the job's file."""
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
    """Look whether a chunk of ``rows`` rows keeps to the limit. ``numbers``: those of its rows, ascending.

    A chunk may hold the first reject above the limit as its last row. Parts that are written side by side do not see
    each other's open transactions, so each may use an equal share of what is left.

    Raises:
        ChunkPastLimit: a smaller chunk has to be committed first, or none at all.
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
    """How many of a chunk's first rows to commit, at least one, when ``left`` more rejects are allowed.

    The whole chunk, if its rejects fit into the part's share. Else up to the first reject above the limit, which is
    committed too; or, while other parts are at work and something is left for each, only to the end of the share.
    """
    share = left // max(1, at_work)
    if rejected <= share or rows == 1:
        return rows
    own = sorted(reject.row for reject in rejects if numbers and numbers[0] <= reject.row <= numbers[-1])
    if len(own) <= share:  # some are rows of other chunks, which rows of this one have displaced
        return rows // 2
    passes = share == left or share == 0
    kept = bisect_right(numbers, own[share]) if passes else bisect_right(numbers, own[share]) - 1
    return max(1, min(rows, kept))
