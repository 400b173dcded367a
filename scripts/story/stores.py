"""What is in the database, read beside the API: the demo believes only what it has counted itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from collect.storage.database import Database

AFTER_BAR = chr(ord("|") + 1)


@dataclass(frozen=True, kw_only=True)
class Print:
    """A fingerprint of documents: equal only if every document is, byte for byte, and none is missing or new."""

    documents: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.documents:,} documents, sha256 {self.sha256[:16]}…"


class Stores:
    """One dataset of one organisation, and the ledger behind it."""

    def __init__(self, *, db: Database, org_id: str, dataset: str) -> None:
        self._db = db
        self._prefix = f"{org_id}|{dataset}|"
        everything = {"$gte": self._prefix, "$lt": self._prefix[:-1] + AFTER_BAR}
        self._dataset: dict[str, Any] = {"_id": everything}

    def fingerprint(self) -> Print:
        """Of all documents, whole."""
        return self._print(whole=True)

    def values_fingerprint(self) -> Print:
        """Of what people entered, whichever job wrote it."""
        return self._print(whole=False)

    def _print(self, *, whole: bool) -> Print:
        digest = hashlib.sha256()
        count = 0
        batches: Any = self._db.rows.find_raw_batches(self._dataset, batch_size=20_000).sort("_id", 1)
        for batch in batches:
            for document in bson.decode_all(batch, _RAW):
                count += 1
                digest.update(document.raw if whole else document["values"].raw)
        return Print(documents=count, sha256=digest.hexdigest())

    def written_by(self, job_id: str) -> int:
        """Rows that carry the mark of the job now."""
        return self._db.rows.count_documents({**self._dataset, "written_by": _mark(job_id)})

    def between(self, first_key: str, last_key: str) -> int:
        """Rows whose key is in the range, both ends included."""
        keys = {"$gte": self._prefix + first_key, "$lte": self._prefix + last_key}
        return self._db.rows.count_documents({"_id": keys})

    def first_of(self, job_id: str) -> dict[str, Any]:
        """The values of the first row, by key, that the job has written; empty if there is none."""
        found = self._db.rows.find_one({**self._dataset, "written_by": _mark(job_id)}, sort=[("_id", 1)]) or {}
        return dict(found.get("values", {}))

    def chunks(self, job_id: str) -> int:
        """Transactions of the job that were committed."""
        return self._db.ledger.count_documents({"job_id": job_id})

    def now(self) -> datetime:
        """The server's clock."""
        now: datetime = self._db.client.admin.command("hello")["localTime"]
        return now.replace(tzinfo=UTC)


def _mark(job_id: str) -> dict[str, str]:
    """Any ledger entry of the job, as rows name the one that wrote them."""
    return {"$gte": f"{job_id}:", "$lt": f"{job_id};"}


_RAW: bson.CodecOptions[RawBSONDocument] = bson.CodecOptions(document_class=RawBSONDocument)
