"""API keys: ``ck_<id>_<secret>``. Only a hash of the secret is stored, and the secret is shown once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pymongo import DESCENDING, ReturnDocument
from ulid import ULID

from collect.errors import NotFound, Unauthorised
from collect.jobs.limits import ROLES, Role
from collect.storage.database import Database, Transaction, stored

PREFIX = "ck"
SECRET_BYTES = 32


class Key(BaseModel):
    """An API key, without its secret. ``org_id`` is ``None`` for platform staff."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str = Field(alias="_id")
    org_id: str | None
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def may(self, role: Role) -> bool:
        """Return whether the key's role has all rights of ``role``."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key that has just been created. ``secret`` is the whole text that a caller sends. It is stored nowhere."""

    key: Key
    secret: str


def prepare(*, org_id: str | None, name: str, role: Role, expires_at: datetime | None = None) -> NewKey:
    """Return a new key that is not stored yet."""
    key_id, secret = str(ULID()).lower(), secrets.token_urlsafe(SECRET_BYTES)
    key = Key(
        id=key_id, org_id=org_id, name=name, role=role, created_at=stored(datetime.now(UTC)), expires_at=expires_at
    )
    return NewKey(key=key, secret=f"{PREFIX}_{key_id}_{secret}")


def insert(tx: Transaction, new: NewKey) -> None:
    """Store a key, with a hash of its secret. Idempotent."""
    if tx.db.api_keys.find_one({"_id": new.key.id}, {"_id": 1}, session=tx.session) is None:
        tx.db.api_keys.insert_one(_document(new), session=tx.session)


def create(db: Database, *, org_id: str | None, name: str, role: Role, expires_at: datetime | None = None) -> NewKey:
    """Create a key, store it and return it."""
    new = prepare(org_id=org_id, name=name, role=role, expires_at=expires_at)
    db.api_keys.insert_one(_document(new))
    return new


def verify(db: Database, token: str) -> Key:
    """Return the key that belongs to ``token``.

    Raises:
        Unauthorised: the token is malformed, unknown, expired or revoked. The error does not say which.
    """
    refusal = Unauthorised("The API key is not valid.")
    prefix, _, rest = token.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != PREFIX or not key_id or not secret:
        raise refusal
    document = db.api_keys.find_one({"_id": key_id})
    stored = str(document["secret_hash"]) if document else _hash("")
    if not hmac.compare_digest(stored, _hash(secret)) or document is None:
        raise refusal
    key = Key.model_validate(document)
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= datetime.now(UTC)):
        raise refusal
    return key


def page(db: Database, *, org_id: str, limit: int, before: str | None = None) -> tuple[list[Key], str | None]:
    """Return one page of the organisation's keys, newest first, beginning before the id ``before``.

    The second value is the ``before`` of the next page, or ``None``.
    """
    query: dict[str, Any] = {"org_id": org_id}
    if before is not None:
        query["_id"] = {"$lt": before}
    found = [Key.model_validate(doc) for doc in db.api_keys.find(query).sort("_id", DESCENDING).limit(limit + 1)]
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def revoke(db: Database, *, org_id: str, key_id: str) -> Key:
    """Revoke a key and return it. Idempotent.

    Raises:
        NotFound: the organisation has no such key.
    """
    document = db.api_keys.find_one_and_update(
        {"_id": key_id, "org_id": org_id},
        [{"$set": {"revoked_at": {"$ifNull": ["$revoked_at", "$$NOW"]}}}],
        return_document=ReturnDocument.AFTER,
    )
    if document is None:
        raise NotFound(f"There is no key {key_id!r}.")
    return Key.model_validate(document)


def _document(new: NewKey) -> dict[str, Any]:
    secret = new.secret.split("_", 2)[2]
    return {**new.key.model_dump(by_alias=True), "secret_hash": _hash(secret)}


def _hash(secret: str) -> str:
    """Return the SHA-256. A slow hash would not protect better, because the secret has 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()
