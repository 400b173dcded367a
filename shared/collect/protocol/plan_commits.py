"""What the planner of a job commits: parts as it finds them, and the end of the plan (docs/protocol.md, `planned`).

Part 0 plans, and keeps in its cursor how far: ``{planned, rows}``, the parts that stand and the rows in them.
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
"""A part as the task has planned it: ``{source, cursor, total}``."""


def last_planned(lease: Lease) -> Part | None:
    """The last of the parts that stand already: whoever planned before was stopped behind it."""
    mine = lease.part
    if not mine.cursor:
        return None
    this = {"_id": part_id(mine.job_id, mine.cursor["planned"])}
    return Part.model_validate(lease.db.parts.find_one(this, session=lease.session))


def some(lease: Lease, found: Sequence[Found]) -> None:
    """These parts stand ready, and the plan goes on."""
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
    """The plan ends with these parts. When none is left to do, finishing is next."""
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
    """The plan is this one part: the planner itself runs it, as part 0, and holds it as before. Returns the job."""
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
    """The planner's cursor once these parts stand as well."""
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
    """So many parts more are to go; with ``total`` the plan is whole."""
    changes: dict[str, Any] = {"$inc": {"parts_left": left, "v": 1}}
    if total is not None:
        changes["$set"] = {"total_rows": total}
    document = tx.db.jobs.find_one_and_update(
        {"_id": mine.job_id}, changes, return_document=ReturnDocument.AFTER, session=tx.session
    )
    return Job.model_validate(document)
