"""The transactions of a part's owner: chunks, undone ledger entries, and the ends of phases (docs/protocol.md).

Each is one transaction whose last statement is the compare-and-set on the part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from collect.jobs.model import Counts, Job, Part, Phase, Reason, Rest, entry_id, part_id
from collect.jobs.outcomes import Applied, Conflict, TakenBack
from collect.jobs.progress import summed
from collect.jobs.states import ACTIVE, WRITING, State, Trigger, Verb
from collect.protocol import corrections, reject_limit, scheduling, transitions, verbs
from collect.protocol import undo as protocol_undo
from collect.protocol.lease import Lease
from collect.storage import jobs, ledger, rejects
from collect.storage.database import Transaction, retryable

PUT_OFF = "put_off"
"""The reason code of a job that runs but makes no progress at the moment."""


def chunk(
    lease: Lease,
    job: Job,
    *,
    cursor: dict[str, Any],
    write: Callable[[str, ClientSession], Applied],
    rows: int = 0,
    numbers: Sequence[int] = (),
    corrected: Mapping[int, str] | None = None,
) -> Applied:
    """Commit one chunk: the task's writes, the rejects, the ledger entry, then the cursor and the right to write.

    ``rows``: how many rows the chunk has. ``numbers``: their numbers in the file. ``corrected`` is set in a part of
    corrected rows: row number to corrected text. These rows are stored as rejects until this commit.

    Raises:
        ChunkPastLimit: the chunk would reject more rows than the job's limit allows. Nothing was written.
    """
    part = lease.part
    entry = entry_id(job.id, part.n, part.seq)

    def work(tx: Transaction) -> tuple[Applied, Counts]:
        taken = corrections.take(tx, part=part, corrected=corrected or {})
        applied = write(entry, tx.session)
        reject_limit.check(tx.db, job=job, part=part, applied=applied, numbers=numbers, rows=rows, session=tx.session)
        applied = corrections.close(tx, job=job, part=part, taken=taken, corrected=corrected or {}, applied=applied)
        _store_rejects(tx, job, part, applied)
        ledger.insert(tx, part=part, applied=applied)
        counts = _added(part.counts, applied)
        lease.advance(tx, {"seq": part.seq}, {"seq": part.seq + 1, "cursor": cursor, "counts": counts.model_dump()})
        return applied, counts

    applied, counts = lease.commit(work, moved=lambda now: now.seq == part.seq + 1)
    if lease.part is part:
        lease.part = part.model_copy(update={"seq": part.seq + 1, "cursor": cursor, "counts": counts, "losses": 0})
    return applied


def _store_rejects(tx: Transaction, job: Job, part: Part, applied: Applied) -> None:
    """Store the chunk's rejects, each with its revision.

    A reject can be a corrected row of an earlier chunk that a row of this chunk has displaced. Its revision is then
    not the file's own.
    """
    found, revisions = applied.rejects, {}
    if found and job.corrections:
        rows = [reject.row for reject in found]
        revisions = corrections.revisions(tx.db, job_id=job.id, rows=rows, session=tx.session)
    rejects.store(tx.db, job=job, rejects=found, before=part.counts.rejected, revisions=revisions, session=tx.session)


def take_back(lease: Lease, *, entry: dict[str, Any], undo: Callable[[ClientSession], TakenBack] | None) -> None:
    """Commit the undo of the newest ledger entry that the part has still to undo.

    ``undo`` is ``None`` if the entry was already undone without conflicts. The part then only goes on to the next one.
    """
    part = lease.part
    left = part.left - 1

    def work(tx: Transaction) -> tuple[Counts, int]:
        counts, conflicts = part.counts, part.conflicts
        if undo is not None:
            taken = undo(tx.session)
            left_alone = _left_alone(entry, taken)
            conflicts += len(left_alone) - len(entry["conflicts"])
            ledger.mark_undone(tx, entry_id=entry["_id"], conflicts=left_alone)
            counts = counts.model_copy(update={"undone": counts.undone + taken.deleted + taken.restored})
        fields = {"left": left, "counts": counts.model_dump(), "conflicts": conflicts}
        lease.advance(tx, {"left": part.left}, fields)
        return counts, conflicts

    counts, conflicts = lease.commit(work, moved=lambda now: now.left == left)
    if lease.part is part:
        lease.part = part.model_copy(update={"left": left, "counts": counts, "conflicts": conflicts, "losses": 0})


def _left_alone(entry: dict[str, Any], taken: TakenBack) -> list[Conflict]:
    """Return the documents that this undo of the entry left alone.

    In a repeated undo, only documents that were conflicts before count. A document that an earlier undo restored has
    lost the entry's mark too, so the task reports it as a conflict, but it is none.
    """
    if not entry["undone"]:
        return list(taken.conflicts)
    earlier = {conflict["id"] for conflict in entry["conflicts"]}
    return [conflict for conflict in taken.conflicts if conflict.id in earlier]


def release(lease: Lease, *, owed: Rest | None = None, put_off: Reason | None = None) -> None:
    """Give the part back at the end of a slice, and publish the job's next idle parts. This part comes last.

    ``owed``: the rest that keeps the job to its ``max_rows_per_second``. No part is published before it is over, unless
    that limit is changed. ``put_off``: why the slice made no progress. It is shown as the job's reason.
    """

    def work(tx: Transaction) -> None:
        lease.let_go(tx, "idle")
        job = jobs.read(tx, lease.part.job_id)
        if owed is not None:
            job = scheduling.rest(tx, job, owed)
        if put_off is not None and job.state in ACTIVE:
            job = jobs.update(tx, job, {"reason": put_off.model_dump()})
        scheduling.publish_parts(tx, job, after=lease.part.n)

    lease.commit(work)


def goes_on(lease: Lease) -> None:
    """Remove the reason ``put_off`` from the job after a commit. Nothing depends on it, so it is tried only once."""
    this = {"_id": lease.part.job_id, "reason.code": PUT_OFF, "state": {"$in": [state.value for state in ACTIVE]}}
    try:
        lease.db.jobs.update_one(this, {"$set": {"reason": None}, "$inc": {"v": 1}})
    except PyMongoError as error:
        if not retryable(error):
            raise


def part_done(lease: Lease) -> None:
    """End a part that has nothing left to do.

    After the job's last part: a job that writes begins its phase ``finish``. A job that takes back ends as terminated
    or undone; before that, its objects are removed (swept) if it may have written any.
    """
    mine = lease.part

    def work(tx: Transaction) -> None:
        document = tx.db.jobs.find_one_and_update(
            {"_id": mine.job_id}, {"$inc": {"parts_left": -1, "v": 1}},
            return_document=ReturnDocument.AFTER, session=tx.session,
        )  # fmt: skip
        lease.let_go(tx, "done")  # first of all: only the owner of the part may do what follows
        job = Job.model_validate(document)
        if job.parts_left == 0 and mine.phase == "run":
            tx.db.parts.update_one(
                {"_id": part_id(job.id, 0)}, {"$set": {"phase": "finish", "status": "idle"}}, session=tx.session
            )
        elif job.parts_left == 0 and not mine.sweep and protocol_undo.sweep(tx, job):
            jobs.update(tx, job, {"parts_left": 1})
        elif job.parts_left == 0:
            _taken_back(tx, job)
        scheduling.publish_parts(tx, jobs.read(tx, job.id), after=mine.n)

    lease.commit(work)


def settle(lease: Lease, write: Callable[[ClientSession], None]) -> None:
    """Commit one more write of a task that is needed after all rows are written."""
    part = lease.part
    cursor = {**part.cursor, "settled": part.cursor.get("settled", 0) + 1}

    def work(tx: Transaction) -> None:
        write(tx.session)
        lease.advance(tx, {"cursor": part.cursor}, {"cursor": cursor})

    lease.commit(work, moved=lambda now: now.cursor == cursor)
    if lease.part is part:
        lease.part = part.model_copy(update={"cursor": cursor, "losses": 0})


def finished(lease: Lease, result: dict[str, Any] | None, *, reason: Reason | None = None) -> None:
    """Move the job to ``succeeded`` with its ``result``, and end part 0. Only the owner of part 0 calls this.

    If part 0 is the job's only part, its owner calls this right after its own rows. ``reason``: what a person should
    know about rejected rows.
    """

    def work(tx: Transaction) -> None:
        job = jobs.read(tx, lease.part.job_id)
        if job.state in WRITING:
            job = transitions.move(
                tx, job, trigger=Trigger.FINISH, target=State.SUCCEEDED,
                request=transitions.by_system("Every row has its outcome."),
                changes={"result": result, "reason": reason and reason.model_dump(), "parts_left": 0},
            )  # fmt: skip
            scheduling.dequeue(tx, job)
        lease.let_go(tx, "done")

    lease.commit(work)


def over_limit(lease: Lease, reason: Reason) -> None:
    """Give the part back and pause the job, because of too many rejects. The pause is the verb that people use."""

    def work(tx: Transaction) -> None:
        lease.let_go(tx, "idle")
        job = jobs.read(tx, lease.part.job_id)
        if job.state in WRITING:
            request = transitions.by_system(reason.message)
            verbs.apply(tx, job_id=job.id, verb=Verb.PAUSE, request=request, options=verbs.Options(why=reason))

    lease.commit(work)


def fail(lease: Lease, reason: Reason) -> None:
    """Give the part back and fail the job with ``reason``."""

    def work(tx: Transaction) -> None:
        lease.let_go(tx, "idle")
        told = _with_rows_before(tx, lease.part, reason)
        protocol_undo.fail(tx, jobs.read(tx, lease.part.job_id), told)

    lease.commit(work)


def _with_rows_before(tx: Transaction, part: Part, reason: Reason) -> Reason:
    """Return ``reason``, and add how many rows were written before a plan was refused. Other phases add nothing."""
    if part.phase is not Phase.PLAN:
        return reason
    found = tx.db.parts.find({"job_id": part.job_id}, session=tx.session)
    written = summed(Part.model_validate(document) for document in found).succeeded
    if not written:
        return reason
    message = f"{reason.message} {written:,} rows further up had been written before that."
    return reason.model_copy(update={"message": message, "hint": reason.hint or "Undo takes them back."})


def _taken_back(tx: Transaction, job: Job) -> None:
    found = tx.db.parts.find({"job_id": job.id}, {"conflicts": 1}, session=tx.session)
    conflicts = sum(part["conflicts"] for part in found)
    target = State(job.undo_target or State.UNDONE)
    said = f"{conflicts} documents were left alone." if conflicts else "Everything was taken back."
    job = transitions.move(
        tx, job, trigger=Trigger.TAKEN_BACK, target=target, request=transitions.by_system(said),
        changes={"conflicts": conflicts, "reason": None},
    )  # fmt: skip
    scheduling.dequeue(tx, job)


def _added(counts: Counts, applied: Applied) -> Counts:
    return counts.model_copy(
        update={
            name: getattr(counts, name) + getattr(applied, name)
            for name in ("succeeded", "rejected", "left_out", "created", "changed")
        }
    )
