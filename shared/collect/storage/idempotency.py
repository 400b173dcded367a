"""Answers that were given, by key, so that a request that comes twice is done once and answered alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from collect.errors import InProgress, InvalidInput
from collect.storage.database import Database, Transaction

UNDER_WAY_SECONDS = 60
"""For how long a request whose gateway has died keeps others with the same key waiting."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered: only 2xx are kept."""

    status: int
    body: Any
    headers: dict[str, str]


def begin(db: Database, *, record_id: str, fingerprint: str) -> Answer | None:
    """Claim the key for this request; or the answer that was given to an equal one.

    Raises:
        InvalidInput: the key was used for another request.
        InProgress: an equal request is under way.
    """
    now = datetime.now(UTC)
    fresh = {
        "fingerprint": fingerprint,
        "status": "running",
        "answer": None,
        "locked_until": now + timedelta(seconds=UNDER_WAY_SECONDS),
        "created_at": now,
    }
    try:
        db.idempotency.insert_one({"_id": record_id, **fresh})
        return None
    except DuplicateKeyError:
        found = db.idempotency.find_one({"_id": record_id})
    if found is None:
        raise InProgress("The same request has just been given up. Ask again.", retry_after_seconds=1)
    if found["fingerprint"] != fingerprint:
        raise InvalidInput(
            "This Idempotency-Key was used for another request. Take a new one.", code="idempotency_key_reused"
        )
    if found["status"] == "done":
        return Answer(**found["answer"])
    stale = {"_id": record_id, "status": "running", "locked_until": {"$lte": now}}
    if db.idempotency.update_one(stale, {"$set": fresh}).matched_count:
        return None
    raise InProgress("The same request is under way.", retry_after_seconds=1)


def complete(db: Database, *, record_id: str, answer: Answer, tx: Transaction | None = None) -> None:
    """Keep the answer; with ``tx``, together with what the request has made."""
    kept = {"status": answer.status, "body": answer.body, "headers": answer.headers}
    db.idempotency.update_one(
        {"_id": record_id},
        {"$set": {"status": "done", "answer": kept}},
        session=tx.session if tx else None,
    )


def abandon(db: Database, *, record_id: str) -> None:
    """The request failed: the key is free again."""
    db.idempotency.delete_one({"_id": record_id, "status": "running"})
