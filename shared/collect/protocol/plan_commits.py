"""The transactions of a job's planner: parts as it finds them, and the end of the plan (docs/protocol.md).

The owner of part 0 is the planner. While it plans, the cursor of part 0 is ``{planned, rows}``: how many parts are
stored, and how many rows they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import ReturnDocument

from collect.jobs.model import Job, Part, Phase, part_id
from collect.protocol import scheduling
from collect.protocol.lease import Lease
from collect.storage.database import Transaction

Found = dict[str, Any]
"""A part as the task has planned it, before it is stored: ``{source, cursor, total}``."""


def last_planned(lease: Lease) -> Part | None:
    """Return the last part that an earlier planner stored, or ``None``. The plan goes on after it."""
    mine = lease.part
    if not mine.cursor:
        return None
    this = {"_id": part_id(mine.job_id, mine.cursor["planned"])}
    return Part.model_validate(lease.db.parts.find_one(this, session=lease.session))


def some(lease: Lease, found: Sequence[Found]) -> None:
    """Commit parts while the plan goes on, and publish what the job's window allows."""
    mine, behind = lease.part, _behind(lease.part, found)

    def work(tx: Transaction) -> None:
        _insert(tx, mine, found)
        job = _change_job(tx, mine, left=len(found))
        lease.advance(tx, {"cursor": mine.cursor}, {"cursor": behind})
        scheduling.publish_parts(tx, job)

    lease.commit(work, moved=lambda now: now.cursor == behind)
    if lease.part is mine:
        lease.part = mine.model_copy(update={"cursor": behind, "losses": 0})


def whole(lease: Lease, found: Sequence[Found]) -> None:
    """Commit the last parts of the plan, and end it. If no part is left to do, part 0 begins its phase ``finish``."""
    mine = lease.part

    def work(tx: Transaction) -> None:
        _insert(tx, mine, found)
        job = _change_job(tx, mine, left=len(found) - 1, total=_behind(mine, found)["rows"])
        if job.parts_left:
            lease.let_go(tx, "done")
        else:
            lease.let_go(tx, "idle")
            tx.db.parts.update_one({"_id": mine.id}, {"$set": {"phase": Phase.FINISH.value}}, session=tx.session)
        scheduling.publish_parts(tx, job)

    lease.commit(work)


def alone(lease: Lease, found: Found) -> Job:
    """Commit a plan of only one part, and return the job. Part 0 becomes that part; the planner still holds it."""
    mine = lease.part

    def work(tx: Transaction) -> Job:
        job = _change_job(tx, mine, left=0, total=found["total"])
        lease.advance(tx, {"phase": Phase.PLAN.value}, {"phase": Phase.RUN.value, **found})
        return job

    job = lease.commit(work, moved=lambda now: now.phase is Phase.RUN)
    if lease.part is mine:
        lease.part = mine.model_copy(update={"phase": Phase.RUN, "losses": 0, **found})
    return job


def _behind(mine: Part, found: Sequence[Found]) -> dict[str, Any]:
    """Return the planner's cursor for after these parts are stored as well."""
    planned, rows = mine.cursor.get("planned", 0), mine.cursor.get("rows", 0)
    return {"planned": planned + len(found), "rows": rows + sum(part["total"] for part in found)}


def _insert(tx: Transaction, mine: Part, found: Sequence[Found]) -> None:
    first = mine.cursor.get("planned", 0) + 1
    made = [
        Part(
            id=part_id(mine.job_id, n), job_id=mine.job_id, org_id=mine.org_id, kind=mine.kind, n=n,
            phase=Phase.RUN, status="idle", **part,
        ).model_dump(by_alias=True)
        for n, part in enumerate(found, first)
    ]  # fmt: skip
    if made:
        tx.db.parts.insert_many(made, session=tx.session)


def _change_job(tx: Transaction, mine: Part, *, left: int, total: int | None = None) -> Job:
    """Add ``left`` to the job's ``parts_left``, and return the job. With ``total`` (at the plan's end) set its rows."""
    changes: dict[str, Any] = {"$inc": {"parts_left": left, "v": 1}}
    if total is not None:
        changes["$set"] = {"total_rows": total}
    document = tx.db.jobs.find_one_and_update(
        {"_id": mine.job_id}, changes, return_document=ReturnDocument.AFTER, session=tx.session
    )
    return Job.model_validate(document)
