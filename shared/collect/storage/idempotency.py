"""Answers stored by idempotency key, so that a request sent twice is done once and gets the same answer twice."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import DuplicateKeyError

from collect.errors import InProgress, InvalidInput
from collect.storage.database import Database, Transaction

UNDER_WAY_SECONDS = 60
"""How long a request holds its key, in seconds. If its gateway dies, requests with the same key wait this long."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A stored answer. Only answers with a status of 2xx are stored."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right of one request to store the answer for a key.

    ``token`` differs from that of a later request that takes the key over.
    """

    record_id: str
    token: str


def begin(db: Database, *, record_id: str, fingerprint: str) -> Answer | Claim:
    """Claim the key for this request and return the claim; or return the answer that an equal request got.

    Raises:
        InvalidInput: the key was used for a different request.
        InProgress: an equal request is being worked on, or has just been abandoned.
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
    """Store the answer, in the same transaction as the request's own writes. Idempotent.

    Raises:
        InProgress: another request has taken the key over meanwhile, so this one must write nothing.
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
    """Free the key after its request has failed. Idempotent."""
    db.idempotency.delete_one({"_id": claim.record_id, "token": claim.token, "status": "running"})
