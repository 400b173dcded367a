"""Rejected rows that have been mended: one more part of the same job, and what became of each revision of a row.

The text of a row has revisions: the first is the file's, each correction makes the next. A row that is rejected stands
in `rejects`, with the revision that is wrong. When its correction is committed, that revision moves to `corrections`,
with the text that took its place and what became of it; a row that is rejected again stands in `rejects` as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.client_session import ClientSession

from collect.errors import Conflict, FieldError, TooLarge
from collect.jobs.model import Correction, Job, Part, PartStatus, Phase, part_id
from collect.jobs.outcomes import Applied
from collect.jobs.states import State, Trigger
from collect.protocol import scheduling, transitions
from collect.protocol.transitions import Request
from collect.storage import locks, parts, rejects
from collect.storage.database import Again, Database, Transaction

MOST_NAMED = 20
"""Rows that are named one by one when they cannot be corrected."""


@dataclass(frozen=True, kw_only=True)
class Mended:
    """Rejected rows that are to run once more: ``revisions`` are those that their new text takes the place of.

    ``source`` and ``cursor`` are a part as its task would have planned it; what they name is stored already.
    """

    revisions: Mapping[int, int]
    source: dict[str, Any]
    cursor: dict[str, Any]


def correctable(db: Database, job: Job, rows: Iterable[int], *, most_bytes: int) -> dict[int, dict[str, Any]]:
    """The rejects of these rows, all of which can be corrected now.

    Raises:
        Conflict: some of them cannot; it names them.
        TooLarge: they are more than ``most_bytes`` together.
    """
    wanted = set(rows)
    found: dict[int, dict[str, Any]] = {}
    held = 0
    for reject in rejects.some(db, job_id=job.id, rows=wanted):
        found[reject["row"]] = reject
        held += len(reject["line"])
        if held > most_bytes:
            raise TooLarge(f"The rows have more than {most_bytes:,} bytes together. Correct some of them at a time.")
    _refuse(found, dict.fromkeys(wanted), _newest(db, job.id, wanted - found.keys()))
    return found


def uncorrected(db: Database, job: Job, *, most_bytes: int) -> list[dict[str, Any]]:
    """The stored rejects of the job of which no correction is under way, by row.

    Raises:
        TooLarge: their text is more than ``most_bytes`` together.
    """
    found: list[dict[str, Any]] = []
    held = 0
    for reject in rejects.stream(db, org_id=job.org_id, job_id=job.id):
        if reject.get("correction") is None:
            found.append(reject)
            held += len(reject["line"])
        if held > most_bytes:
            raise TooLarge(
                f"The rejected rows have more than {most_bytes:,} bytes together. Correct some of them at a time, as a "
                "CSV."
            )
    return found


def start(tx: Transaction, job: Job, mended: Mended, request: Request) -> Job:
    """Make the mended rows one more part of the job, which is at rest: nobody writes anything of it meanwhile.

    Raises:
        Conflict: some of the rows are not rejected, or not as they were when they were mended; or not all rows of the
            file have been found yet.
        DatasetHeld: another job holds the lock.
    """
    if job.total_rows is None:
        raise Conflict(
            "It is not known yet which rows there are: the file has not been read to its end.", code="no_plan"
        )
    part = _add_part(tx, job, mended)
    _mark(tx, job, mended.revisions, part.n)
    this = {"_id": part_id(job.id, 0), "phase": Phase.FINISH.value}
    tx.db.parts.update_one(this, {"$set": {"status": PartStatus.DONE.value}}, session=tx.session)
    changes = {"parts_left": job.parts_left + 1, "corrections": job.corrections + 1, "result": None}
    if job.state is State.PAUSED:
        until_seq = None if job.until is None else job.audit_seq + 1
        return _move(tx, job, State.PAUSED, request, {**changes, "until_seq": until_seq})
    if job.state is State.FAILED:
        tx.db.parts.update_many({"job_id": job.id}, {"$set": {"losses": 0}}, session=tx.session)
    changes["rejected_before"] = parts.rejected_first(tx.db, job_id=job.id, session=tx.session)
    if job.lock is not None:
        locks.take_free(tx, job.lock, job.id)
    job = _move(tx, job, State.QUEUED, request, {**changes, "reason": None})
    scheduling.publish_parts(tx, job)
    return job


def take(tx: Transaction, *, part: Part, mended: Mapping[int, str]) -> list[dict[str, Any]]:
    """The rejects of these rows, which are no rejects any more unless they turn out to be again."""
    if not mended:
        return []
    query = {"_id": {"$in": [rejects.reject_id(part.job_id, row) for row in mended]}, "correction": part.n}
    found = list(tx.db.rejects.find(query, session=tx.session).sort("row", ASCENDING))
    if len(found) < len(mended):
        here = {"_id": part.id, "epoch": part.epoch, "seq": part.seq}
        if tx.db.parts.find_one(here, {"_id": 1}, session=tx.session) is None:
            raise Again  # somebody has committed them, perhaps we ourselves: whose the part is now, is seen outside
        raise LookupError(f"{len(mended) - len(found)} rejects that part {part.id} corrects are missing")
    tx.db.rejects.delete_many(query, session=tx.session)
    return found


def close(
    tx: Transaction, *, job: Job, part: Part, taken: list[dict[str, Any]], mended: Mapping[int, str], applied: Applied
) -> Applied:
    """What became of rows that :func:`take` has taken, now that their new text has been written or rejected.

    Returns what the chunk did to the job's counts: each of them was counted as rejected before. Its ``rejects`` are
    those that are still to be stored.
    """
    if not taken:
        return applied
    again = [reject for reject in applied.rejects if reject.row in mended]
    became = dict.fromkeys((reject.row for reject in again), "rejected")
    history = [_closed(part, reject, mended[reject["row"]], became.get(reject["row"], "written")) for reject in taken]
    tx.db.corrections.insert_many(history, ordered=False, session=tx.session)
    revisions = {reject["row"]: rejects.revision_of(reject) + 1 for reject in taken}
    rejects.insert(tx.db, job=job, rejects=again, revisions=revisions, session=tx.session)
    others = tuple(reject for reject in applied.rejects if reject.row not in mended)
    return replace(applied, rejected=applied.rejected - len(mended), rejects=others)


def revisions(db: Database, *, job_id: str, rows: Iterable[int], session: ClientSession) -> dict[int, int]:
    """The revision of each of these rows that is not the file's own."""
    return {row: closed["revision"] + 1 for row, closed in _newest(db, job_id, rows, session).items()}


def texts(db: Database, *, job_id: str, rows: Iterable[int], session: ClientSession) -> dict[int, str]:
    """The text of each of these rows that is not the file's own."""
    return {row: closed["corrected_line"] for row, closed in _newest(db, job_id, rows, session).items()}


def page(
    db: Database, *, org_id: str, job_id: str, limit: int, row: int | None = None, after: tuple[int, int] | None = None
) -> tuple[list[dict[str, Any]], tuple[int, int] | None]:
    """Revisions that have been corrected, by row and revision, from those behind ``after``; and where to go on.

    ``row``: of that one alone.
    """
    query: dict[str, Any] = {"job_id": job_id, "org_id": org_id}
    if row is not None:
        query["row"] = row
    if after is not None:
        query["$or"] = [{"row": {"$gt": after[0]}}, {"row": after[0], "revision": {"$gt": after[1]}}]
    order = [("row", ASCENDING), ("revision", ASCENDING)]
    hidden = {"_id": 0, "job_id": 0, "org_id": 0, "errors": 0, "n": 0, "seq": 0}
    found = list(db.corrections.find(query, hidden).sort(order).limit(limit + 1))
    if len(found) <= limit:
        return found, None
    return found[:limit], (found[limit - 1]["row"], found[limit - 1]["revision"])


def _add_part(tx: Transaction, job: Job, mended: Mended) -> Part:
    """The next part. Its rows have an outcome already, so that it adds nothing to the total."""
    newest = tx.db.parts.find_one({"job_id": job.id}, {"n": 1}, sort=[("n", DESCENDING)], session=tx.session)
    n = (newest or {"n": -1})["n"] + 1
    part = Part(
        id=part_id(job.id, n), job_id=job.id, org_id=job.org_id, kind=job.kind, n=n, phase=Phase.RUN,
        status=PartStatus.IDLE, source=mended.source, cursor=mended.cursor,
        correction=Correction(rows=len(mended.revisions), audit_seq=job.audit_seq + 1),
    )  # fmt: skip
    tx.db.parts.insert_one(part.model_dump(by_alias=True), session=tx.session)
    return part


def _mark(tx: Transaction, job: Job, wanted: Mapping[int, int], n: int) -> None:
    """These rows are being corrected by part ``n``; none of them by another, and each as it was when it was mended."""
    found = {reject["row"]: reject for reject in rejects.some(tx.db, job_id=job.id, rows=wanted, session=tx.session)}
    _refuse(found, wanted, _newest(tx.db, job.id, wanted.keys() - found.keys(), tx.session))
    ids = [rejects.reject_id(job.id, row) for row in wanted]
    tx.db.rejects.update_many({"_id": {"$in": ids}}, {"$set": {"correction": n}}, session=tx.session)


def _refuse(
    found: Mapping[int, Mapping[str, Any]],
    wanted: Mapping[int, int | None],
    corrected: Mapping[int, Mapping[str, Any]],
) -> None:
    """Raise if a row cannot be corrected. ``corrected``: the newest correction of rows that are no rejects."""
    errors = [
        error
        for row, revision in sorted(wanted.items())
        if (error := _error(row, found.get(row), revision, corrected.get(row)))
    ]
    if not errors:
        return
    told = [error.message for error in errors[:MOST_NAMED]]
    if len(errors) > MOST_NAMED:
        told.append(f"And {len(errors) - MOST_NAMED:,} rows more.")
    raise Conflict(" ".join(told), code="row_not_rejected", errors=errors[:MOST_NAMED])


def _error(
    row: int, reject: Mapping[str, Any] | None, revision: int | None, corrected: Mapping[str, Any] | None
) -> FieldError | None:
    if reject is None and corrected is not None:
        said = (
            f"Row {row:,} was already corrected at {corrected['at']:%Y-%m-%d %H:%M:%S} UTC (revision "
            f"{corrected['revision'] + 1:,}): download the rejects again, or leave the row out."
        )
        return FieldError(str(row), "already_corrected", said)
    if reject is None:
        said = f"Row {row:,} is not among the stored rejects of this job."
        return FieldError(str(row), "row_not_rejected", said)
    if reject.get("correction") is not None:
        return FieldError(str(row), "correction_under_way", f"Row {row:,} is being corrected already.")
    if revision is not None and rejects.revision_of(reject) != revision:
        said = f"Row {row:,} has been corrected meanwhile, and rejected again. Look at it once more."
        return FieldError(str(row), "corrected_meanwhile", said)
    return None


def _move(tx: Transaction, job: Job, target: State, request: Request, changes: dict[str, Any]) -> Job:
    return transitions.move(tx, job, trigger=Trigger.CORRECT, target=target, request=request, changes=changes)


def _closed(part: Part, reject: Mapping[str, Any], text: str, became: str) -> dict[str, Any]:
    revision = rejects.revision_of(reject)
    return {
        "_id": f"{part.job_id}:{reject['row']}:{revision}",
        "job_id": part.job_id,
        "org_id": part.org_id,
        "row": reject["row"],
        "revision": revision,
        **{name: reject[name] for name in ("field", "code", "message", "line", "errors")},
        "corrected_line": text,
        "became": became,
        "at": datetime.now(UTC),
        "audit_seq": part.correction.audit_seq if part.correction else None,
        "n": part.n,
        "seq": part.seq,
    }


def _newest(
    db: Database, job_id: str, rows: Iterable[int], session: ClientSession | None = None
) -> dict[int, dict[str, Any]]:
    """The newest correction of each of these rows that has one."""
    listed = list(rows)
    if not listed:
        return {}
    query = {"job_id": job_id, "row": {"$in": listed}}
    fields = {"row": 1, "revision": 1, "corrected_line": 1, "at": 1}
    found = db.corrections.find(query, fields, session=session).sort("revision", ASCENDING)
    return {closed["row"]: closed for closed in found}
