"""The reaper: it takes a part away from an owner that is gone, and publishes it again (docs/protocol.md, `reap`)."""

from __future__ import annotations

from typing import Any

from pymongo import ReturnDocument

from collect.jobs.model import Job, Part, Phase, Reason
from collect.protocol import undo
from collect.storage import jobs, outbox, parts
from collect.storage.database import Committed, Database, Transaction, transact

MAX_LOSSES = 5
"""Owners that a part may lose without a commit in between. At this number the job fails as poison."""


_EXPIRED = {"status": "leased", "$expr": {"$lt": ["$lease_until", "$$NOW"]}}


def expired(db: Database, *, limit: int = 100) -> list[Part]:
    """Return parts whose lease has run out, by the server's clock."""
    return [Part.model_validate(document) for document in db.parts.find(_EXPIRED).limit(limit)]


def count_expired(db: Database) -> int:
    """Return how many parts have a lease that has run out, by the server's clock."""
    return db.parts.count_documents(_EXPIRED)


def reap(db: Database, part: Part, *, why: str, expired_only: bool = True) -> Committed[bool]:
    """Kill the owner's session, raise the part's epoch and publish the part again. The value is whether it was reaped.

    At the fifth loss (``MAX_LOSSES``) the job fails instead. ``expired_only``: do nothing if the lease has been
    prolonged since ``part`` was read. Without it the lease does not matter, only the epoch: the caller has seen the
    owner's process die.
    """
    if part.lsid:
        db.kill_sessions([part.lsid])
    this: dict[str, Any] = {"_id": part.id, "epoch": part.epoch, "status": "leased"}
    if expired_only:
        this["$expr"] = {"$lt": ["$lease_until", "$$NOW"]}

    def work(tx: Transaction) -> bool:
        document = tx.db.parts.find_one_and_update(
            this,
            [
                {
                    "$set": {
                        "status": "queued",
                        "epoch": {"$add": ["$epoch", 1]},
                        "ticket": {"$add": ["$epoch", 1]},
                        "losses": {"$add": ["$losses", 1]},
                        "writers": parts.LEFT_WRITING,
                        "owner": None,
                        "published_at": "$$NOW",
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
            session=tx.session,
        )
        if document is None:
            return False
        lost = Part.model_validate(document)
        job = jobs.read(tx, part.job_id)
        if lost.losses >= MAX_LOSSES:
            undo.fail(tx, job, poisoned(job, lost, why))
        else:
            tx.publish(outbox.run_part(lost, traceparent=job.traceparent))
        return True

    return transact(db, work)


def presume_free(db: Database, *, lease_seconds: float) -> int:
    """Count slots as free if a verb has waited for them longer than a lease. Return the number of jobs changed.

    The processes that held those slots are gone and cannot report it any more. Only what people are shown depends on
    it.
    """
    since = {"$ifNull": ["$last_action.effective_at", "$last_action.requested_at"]}
    before = {"$subtract": ["$$NOW", round(lease_seconds * 1000)]}
    done = db.jobs.update_many(
        {"last_action.holding.id": {"$exists": True}, "$expr": {"$lt": [since, before]}},
        [{"$set": {"last_action.holding": [], "last_action.slots_free_at": "$$NOW"}}],
    )
    return int(done.modified_count)


def poisoned(job: Job, part: Part, why: str) -> Reason:
    """Return the reason of a job that fails because one of its parts was lost too often."""
    return Reason(
        code="poison",
        message=f"Part {part.n} was lost {part.losses} times without progress; the last time: {why}",
        hint="Look at the rows from there on. Resume tries again; undo takes back what was written.",
        where=f"part {part.n}{_from_row(part)}",
    )


def _from_row(part: Part) -> str:
    row = part.cursor.get("row") if part.phase is Phase.RUN else None
    return "" if row is None else f", from row {row:,}"
