"""The corrections of rejected rows: each runs as one more part of the same job, and each row's revisions are recorded.

The text of a row has revisions: the first is the file's text, and each correction makes the next one. A rejected row is
stored in `rejects`, with the number of the rejected revision. When its correction is committed, that revision moves to
`corrections`, with the corrected text and the outcome. If the corrected text is rejected too, the row is stored in
`rejects` again.
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
"""Most rows that an error names one by one when they cannot be corrected."""


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """Corrected rows that will run again as one part.

    ``revisions``: for each row number, the revision that the corrected text replaces. ``source`` and ``cursor``: the
    part, as the task's plan would have made it. The file of corrected rows that they name is already stored.
    """

    revisions: Mapping[int, int]
    source: dict[str, Any]
    cursor: dict[str, Any]


def correctable(db: Database, job: Job, rows: Iterable[int], *, most_bytes: int) -> dict[int, dict[str, Any]]:
    """Return the stored rejects of these rows, by row number. All of them can be corrected now.

    Raises:
        Conflict: some of the rows cannot be corrected. The error names them.
        TooLarge: the rows have more than ``most_bytes`` bytes together.
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
    """Return the job's stored rejects that are not being corrected now, in the order of their rows.

    Raises:
        TooLarge: their texts have more than ``most_bytes`` bytes together.
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


def start(tx: Transaction, job: Job, corrected: Corrected, request: Request) -> Job:
    """Add the corrected rows to the job as one more part, and return the job.

    The job is succeeded, failed or paused, so no worker writes any of it now. A paused job stays paused; the others are
    queued again.

    Raises:
        Conflict: some of the rows are not rejected, or were corrected by another request since the caller read them;
            or the file has not been read to its end.
        DatasetHeld: another job holds the lock.
    """
    if job.total_rows is None:
        raise Conflict(
            "It is not known yet which rows there are: the file has not been read to its end.", code="no_plan"
        )
    part = _add_part(tx, job, corrected)
    _mark(tx, job, corrected.revisions, part.n)
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


def take(tx: Transaction, *, part: Part, corrected: Mapping[int, str]) -> list[dict[str, Any]]:
    """Delete the stored rejects of these rows and return them, in the order of their rows.

    Rows that are rejected again are stored again by :func:`close`, in the same transaction.
    """
    if not corrected:
        return []
    query = {"_id": {"$in": [rejects.reject_id(part.job_id, row) for row in corrected]}, "correction": part.n}
    found = list(tx.db.rejects.find(query, session=tx.session).sort("row", ASCENDING))
    if len(found) < len(corrected):
        here = {"_id": part.id, "epoch": part.epoch, "seq": part.seq}
        if tx.db.parts.find_one(here, {"_id": 1}, session=tx.session) is None:
            raise Again  # already committed, perhaps by an earlier try of ours: Lease.commit then reads who holds it
        raise LookupError(f"{len(corrected) - len(found)} rejects that part {part.id} corrects are missing")
    tx.db.rejects.delete_many(query, session=tx.session)
    return found


def close(
    tx: Transaction,
    *,
    job: Job,
    part: Part,
    taken: list[dict[str, Any]],
    corrected: Mapping[int, str],
    applied: Applied,
) -> Applied:
    """Record the outcome of the rows that :func:`take` returned: their corrected text was written or rejected.

    Returns ``applied`` with ``rejected`` lowered by the number of these rows, since each of them was counted as
    rejected before. Its ``rejects`` are those that the caller has still to store.
    """
    if not taken:
        return applied
    again = [reject for reject in applied.rejects if reject.row in corrected]
    became = dict.fromkeys((reject.row for reject in again), "rejected")
    history = [
        _closed(part, reject, corrected[reject["row"]], became.get(reject["row"], "written")) for reject in taken
    ]
    tx.db.corrections.insert_many(history, ordered=False, session=tx.session)
    revisions = {reject["row"]: rejects.revision_of(reject) + 1 for reject in taken}
    rejects.insert(tx.db, job=job, rejects=again, revisions=revisions, session=tx.session)
    others = tuple(reject for reject in applied.rejects if reject.row not in corrected)
    return replace(applied, rejected=applied.rejected - len(corrected), rejects=others)


def revisions(db: Database, *, job_id: str, rows: Iterable[int], session: ClientSession) -> dict[int, int]:
    """Return the revision number of the text of each of these rows that has been corrected.

    Rows that still have the text of the file are left out.
    """
    return {row: closed["revision"] + 1 for row, closed in _newest(db, job_id, rows, session).items()}


def texts(db: Database, *, job_id: str, rows: Iterable[int], session: ClientSession) -> dict[int, str]:
    """Return the corrected text of each of these rows that has one. Rows with the text of the file are left out."""
    return {row: closed["corrected_line"] for row, closed in _newest(db, job_id, rows, session).items()}


def page(
    db: Database, *, org_id: str, job_id: str, limit: int, row: int | None = None, after: tuple[int, int] | None = None
) -> tuple[list[dict[str, Any]], tuple[int, int] | None]:
    """Return one page of corrected revisions, ordered by row and revision, and the ``after`` of the next page.

    ``after`` is the last (row, revision) of the page before. The second value is ``None`` on the last page. With
    ``row``, only the revisions of that row are returned.
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


def _add_part(tx: Transaction, job: Job, corrected: Corrected) -> Part:
    """Insert the part of the corrected rows and return it.

    Its ``total`` is 0: its rows already have an outcome, so they are already counted in the job's total.
    """
    newest = tx.db.parts.find_one({"job_id": job.id}, {"n": 1}, sort=[("n", DESCENDING)], session=tx.session)
    n = (newest or {"n": -1})["n"] + 1
    part = Part(
        id=part_id(job.id, n), job_id=job.id, org_id=job.org_id, kind=job.kind, n=n, phase=Phase.RUN,
        status=PartStatus.IDLE, source=corrected.source, cursor=corrected.cursor,
        correction=Correction(rows=len(corrected.revisions), audit_seq=job.audit_seq + 1),
    )  # fmt: skip
    tx.db.parts.insert_one(part.model_dump(by_alias=True), session=tx.session)
    return part


def _mark(tx: Transaction, job: Job, wanted: Mapping[int, int], n: int) -> None:
    """Mark the rejects of these rows as being corrected by part ``n``.

    ``wanted``: for each row number, the revision that was corrected.

    Raises:
        Conflict: a row is no reject, another part is correcting it, or its revision is a newer one.
    """
    found = {reject["row"]: reject for reject in rejects.some(tx.db, job_id=job.id, rows=wanted, session=tx.session)}
    _refuse(found, wanted, _newest(tx.db, job.id, wanted.keys() - found.keys(), tx.session))
    ids = [rejects.reject_id(job.id, row) for row in wanted]
    tx.db.rejects.update_many({"_id": {"$in": ids}}, {"$set": {"correction": n}}, session=tx.session)


def _refuse(
    found: Mapping[int, Mapping[str, Any]],
    wanted: Mapping[int, int | None],
    corrected: Mapping[int, Mapping[str, Any]],
) -> None:
    """Raise if a row cannot be corrected.

    ``wanted``: the rows, with the revision that must be the present one (``None``: any). ``found``: their rejects.
    ``corrected``: the newest correction of the rows that are no rejects.

    Raises:
        Conflict: some of the rows cannot be corrected. It names at most ``MOST_NAMED`` of them.
    """
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
    """Return the newest correction of each of these rows that has one, by row number."""
    listed = list(rows)
    if not listed:
        return {}
    query = {"job_id": job_id, "row": {"$in": listed}}
    fields = {"row": 1, "revision": 1, "corrected_line": 1, "at": 1}
    found = db.corrections.find(query, fields, session=session).sort("revision", ASCENDING)
    return {closed["row"]: closed for closed in found}
