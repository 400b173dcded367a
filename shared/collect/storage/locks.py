"""The queue of jobs before each dataset. Its head holds the dataset, the rest wait in order."""

from __future__ import annotations

from collections.abc import Iterable

from pymongo import ReturnDocument

from collect.errors import DatasetHeld
from collect.storage.database import Again, Database, Transaction


def queue(tx: Transaction, lock: str) -> list[str]:
    """The jobs in line, the holder first."""
    found = tx.db.locks.find_one({"_id": lock}, session=tx.session)
    return list(found["queue"]) if found else []


def join(tx: Transaction, lock: str, job_id: str) -> None:
    """Stand at the end of the line, once. A write whatever happens, so that creators come one after the other."""
    _ensure(tx, lock)
    tx.db.locks.update_one({"_id": lock, "queue": {"$ne": job_id}}, {"$push": {"queue": job_id}}, session=tx.session)


def join_behind(tx: Transaction, lock: str, job_id: str, *, behind: str) -> None:
    """Stand right behind ``behind``.

    Raises:
        DatasetHeld: somebody stands there already, or ``behind`` is not in line and somebody else is.
    """
    line = queue(tx, lock)
    place = line.index(behind) + 1
    if place < len(line):
        raise DatasetHeld(
            f"Job {line[place]} already waits right behind {behind}. Supersede that one, or wait.", holder=line[place]
        )
    tx.db.locks.update_one(
        {"_id": lock}, {"$push": {"queue": {"$each": [job_id], "$position": place}}}, session=tx.session
    )


def take_free(tx: Transaction, lock: str, job_id: str) -> None:
    """Take a lock that nobody holds.

    Raises:
        DatasetHeld: naming the holder.
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
    """Step out of the line. Returns the job that is the head now and was not before, if there is one."""
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
    """Lock → the job at its head, for locks that are held."""
    found = db.locks.find({"_id": {"$in": list(locks)}, "queue.0": {"$exists": True}}, {"queue": {"$slice": 1}})
    return {document["_id"]: document["queue"][0] for document in found}


def _ensure(tx: Transaction, lock: str) -> None:
    """Make the lock's document outside the transaction: an upsert inside one fails when two meet, and aborts all."""
    if tx.db.locks.find_one({"_id": lock}, {"_id": 1}, session=tx.session) is None:
        tx.db.locks.update_one({"_id": lock}, {"$setOnInsert": {"queue": []}}, upsert=True)
        raise Again
