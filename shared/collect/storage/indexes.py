"""All collections and indexes of the database. One command creates them; each deployment runs it first."""

from __future__ import annotations

from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import CollectionInvalid

from collect.storage.database import Database

HEARTBEAT_TTL_SECONDS = 3600
"""How long a heartbeat is stored, in seconds."""
IDEMPOTENCY_TTL_SECONDS = 24 * 3600
"""How long an idempotency key is stored, in seconds."""

COLLECTIONS = (
    "jobs", "parts", "ledger", "rejects", "corrections", "audit", "outbox", "idempotency", "orgs", "api_keys", "files",
    "datasets", "rows", "teams", "members", "forms", "responses", "locks", "workers", "heartbeats",
    "blobs.files", "blobs.chunks",
)  # fmt: skip

EXPORT_INDEX: list[tuple[str, int]] = [
    ("org_id", ASCENDING),
    ("form_id", ASCENDING),
    ("submitted_at", ASCENDING),
    ("_id", ASCENDING),
]
"""The only secondary index of ``responses``: a form's responses, in the order in which an export reads them.

With it, responses are counted, and the bounds of parts and of pages in a part are found, without reading a response.
"""


def _index(*keys: tuple[str, int], **options: Any) -> IndexModel:
    return IndexModel(list(keys), **options)


INDEXES: dict[str, list[IndexModel]] = {
    "jobs": [
        _index(("org_id", ASCENDING), ("_id", DESCENDING)),
        _index(("org_id", ASCENDING), ("state", ASCENDING), ("_id", DESCENDING)),
        _index(("state", ASCENDING), ("until", ASCENDING)),
        _index(("last_action.holding.id", ASCENDING), sparse=True),
        _index(
            ("created_by.id", ASCENDING),
            ("params.form_id", ASCENDING),
            ("_id", DESCENDING),
            partialFilterExpression={"kind": "export"},
        ),
        _index(("result.expires_at", ASCENDING), sparse=True),
        _index(("result.sha256", ASCENDING), sparse=True),
        _index(("file.id", ASCENDING), sparse=True),
    ],
    "parts": [
        _index(("job_id", ASCENDING), ("status", ASCENDING), ("n", ASCENDING)),
        _index(("status", ASCENDING), ("kind", ASCENDING), ("job_id", ASCENDING)),
        _index(("status", ASCENDING), ("lease_until", ASCENDING)),
        _index(("org_id", ASCENDING), ("status", ASCENDING)),
    ],
    "ledger": [_index(("job_id", ASCENDING), ("n", ASCENDING), ("seq", ASCENDING))],
    "rejects": [_index(("job_id", ASCENDING), ("row", ASCENDING))],
    "corrections": [_index(("job_id", ASCENDING), ("row", ASCENDING), ("revision", ASCENDING))],
    "audit": [_index(("job_id", ASCENDING), ("seq", ASCENDING), unique=True)],
    "outbox": [_index(("at", ASCENDING))],
    "idempotency": [_index(("created_at", ASCENDING), expireAfterSeconds=IDEMPOTENCY_TTL_SECONDS)],
    "teams": [
        _index(("org_id", ASCENDING), ("values.managers", ASCENDING)),
        _index(("org_id", ASCENDING), ("values.members", ASCENDING)),
    ],
    "forms": [_index(("org_id", ASCENDING), ("form_id", ASCENDING), unique=True)],
    "responses": [_index(*EXPORT_INDEX)],
    "api_keys": [_index(("org_id", ASCENDING))],
    "files": [
        _index(("org_id", ASCENDING), ("_id", DESCENDING)),
        _index(("expires_at", ASCENDING)),
    ],
    "blobs.files": [_index(("filename", ASCENDING), ("uploadDate", ASCENDING))],
    "blobs.chunks": [_index(("files_id", ASCENDING), ("n", ASCENDING), unique=True)],
    "heartbeats": [
        _index(("at", ASCENDING), expireAfterSeconds=HEARTBEAT_TTL_SECONDS),
        _index(("worker_id", ASCENDING), ("at", DESCENDING)),
    ],
}


def migrate(db: Database) -> None:
    """Create the collections and indexes that are missing. Idempotent.

    The collections are created here so that no transaction has to create one.
    """
    existing = set(db.db.list_collection_names())
    for name in COLLECTIONS:
        if name not in existing:
            try:
                db.db.create_collection(name)
            except CollectionInvalid:  # another migration was faster
                continue
    for name, indexes in INDEXES.items():
        db[name].create_indexes(indexes)
