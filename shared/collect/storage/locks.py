"""The locks: a queue of jobs for each lock (a dataset, or all teams). The first job holds it, the others wait."""

from __future__ import annotations

from collections.abc import Iterable

from pymongo import ReturnDocument

from collect.errors import DatasetHeld
from collect.storage.database import Again, Database, Transaction


def queue(tx: Transaction, lock: str) -> list[str]:
    """Return the ids of the jobs in the lock's queue, the holder first."""
    found = tx.db.locks.find_one({"_id": lock}, session=tx.session)
    return list(found["queue"]) if found else []


def join(tx: Transaction, lock: str, job_id: str) -> None:
    """Append the job to the queue, if it is not in it.

    Appending writes the lock's document. So the transactions of two creators conflict, and run one after the other.
    """
    _ensure(tx, lock)
    tx.db.locks.update_one({"_id": lock, "queue": {"$ne": job_id}}, {"$push": {"queue": job_id}}, session=tx.session)


def join_behind(tx: Transaction, lock: str, job_id: str, *, behind: str) -> None:
    """Put the job into the queue directly after ``behind``.

    Raises:
        DatasetHeld: another job already waits after ``behind``, or ``behind`` is not in the queue, because the lock's
            document is damaged.
    """
    line = queue(tx, lock)
    if behind not in line:
        raise DatasetHeld(f"Job {behind} takes back without its lock. Wait until it has ended.", holder=behind)
    place = line.index(behind) + 1
    if place < len(line):
        raise DatasetHeld(
            f"Job {line[place]} already waits right behind {behind}. Supersede that one, or wait.", holder=line[place]
        )
    tx.db.locks.update_one(
        {"_id": lock}, {"$push": {"queue": {"$each": [job_id], "$position": place}}}, session=tx.session
    )


def take_free(tx: Transaction, lock: str, job_id: str) -> None:
    """Take a lock that no job holds.

    Raises:
        DatasetHeld: a job holds it; the error names that job.
    """
    _ensure(tx, lock)
    taken = tx.db.locks.update_one({"_id": lock, "queue": []}, {"$push": {"queue": job_id}}, session=tx.session)
    if not taken.matched_count:
        holder = queue(tx, lock)[0]
        raise DatasetHeld(
            f"Job {holder} holds it. Wait for it, stop it, create with on_conflict=queue to run after it, "
            f"or with on_conflict=supersede to replace it.",
            holder=holder,
        )


def leave(tx: Transaction, lock: str, job_id: str) -> str | None:
    """Remove the job from the queue. Return the job that holds the lock now if this has made it the holder."""
    before = tx.db.locks.find_one_and_update(
        {"_id": lock, "queue": job_id},
        {"$pull": {"queue": job_id}},
        return_document=ReturnDocument.BEFORE,
        session=tx.session,
    )
    if before is None or before["queue"][0] != job_id or len(before["queue"]) < 2:
        return None
    return str(before["queue"][1])


def holders(db: Database, locks: Iterable[str]) -> dict[str, str]:
    """Return lock → the job that holds it, for those of these locks that are held."""
    found = db.locks.find({"_id": {"$in": list(locks)}, "queue.0": {"$exists": True}}, {"queue": {"$slice": 1}})
    return {document["_id"]: document["queue"][0] for document in found}


def _ensure(tx: Transaction, lock: str) -> None:
    """Create the lock's document outside the transaction, if it is missing, and run the transaction again.

    Not inside: if two transactions upsert the same document, one fails and is aborted as a whole.
    """
    if tx.db.locks.find_one({"_id": lock}, {"_id": 1}, session=tx.session) is None:
        tx.db.locks.update_one({"_id": lock}, {"$setOnInsert": {"queue": []}}, upsert=True)
        raise Again
