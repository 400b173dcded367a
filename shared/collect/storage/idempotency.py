"""Answers that were given, by key, so that a request that comes twice is done once and answered alike."""

from __future__ import annotations

import secrets
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


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to answer for a key. ``token`` tells it from that of whoever takes the key over."""

    record_id: str
    token: str


def begin(db: Database, *, record_id: str, fingerprint: str) -> Answer | Claim:
    """Claim the key for this request; or the answer that was given to an equal one.

    Raises:
        InvalidInput: the key was used for another request.
        InProgress: an equal request is under way.
    """
    now = datetime.now(UTC)
    claim = Claim(record_id=record_id, token=secrets.token_hex(16))
    fresh = {
        "fingerprint": fingerprint,
        "status": "running",
        "token": claim.token,
        "answer": None,
        "locked_until": now + timedelta(seconds=UNDER_WAY_SECONDS),
        "created_at": now,
    }
    try:
        db.idempotency.insert_one({"_id": record_id, **fresh})
        return claim
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
        return claim
    raise InProgress("The same request is under way.", retry_after_seconds=1)


def complete(tx: Transaction, *, claim: Claim, answer: Answer) -> None:
    """Keep the answer, together with what the request has made. Running it again does no harm.

    Raises:
        InProgress: another request has taken the key over meanwhile, so that this one must make nothing.
    """
    kept = {"status": answer.status, "body": answer.body, "headers": answer.headers}
    completed = tx.db.idempotency.update_one(
        {"_id": claim.record_id, "token": claim.token},
        {"$set": {"status": "done", "answer": kept}},
        session=tx.session,
    )
    if not completed.matched_count:
        raise InProgress("The same request is under way.", retry_after_seconds=1)


def abandon(db: Database, *, claim: Claim) -> None:
    """The request failed: the key is free again."""
    db.idempotency.delete_one({"_id": claim.record_id, "token": claim.token, "status": "running"})
