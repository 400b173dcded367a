"""What is in the database, read beside the API: the demo believes only what it has counted itself."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
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
        return _print(self._db.rows, self._dataset)

    def values_fingerprint(self) -> Print:
        """Of what people entered, whichever job wrote it."""
        return _print(self._db.rows, self._dataset, part="values")

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


class TeamStores:
    """The teams of one organisation, and their people."""

    def __init__(self, *, db: Database, org_id: str) -> None:
        self._db = db
        self._all: dict[str, Any] = {"_id": {"$gte": f"{org_id}|", "$lt": f"{org_id}{AFTER_BAR}"}}

    def fingerprints(self) -> tuple[Print, Print]:
        """Of all teams and of all people, whole."""
        return _print(self._db.teams, self._all), _print(self._db.members, self._all)

    def written_by(self, job_id: str) -> dict[str, dict[str, Any]]:
        """Teams that carry the mark of the job now: name → values."""
        return self._values({"written_by": _mark(job_id)})

    def named(self, names: Collection[str]) -> dict[str, dict[str, Any]]:
        """Those of these teams that are there: name → values."""
        found = self._values({})
        return {name: found[name] for name in names if name in found}

    def phones(self) -> set[str]:
        """Of all people."""
        return {document["values"]["phone"] for document in self._db.members.find(self._all, {"values": 1})}

    def people_of(self, job_id: str) -> int:
        """People who carry the mark of the job now."""
        return self._db.members.count_documents({**self._all, "written_by": _mark(job_id)})

    def _values(self, query: dict[str, Any]) -> dict[str, dict[str, Any]]:
        found = self._db.teams.find({**self._all, **query}, {"values": 1})
        return {document["values"]["team_name"]: document["values"] for document in found}


def _print(collection: Any, query: dict[str, Any], *, part: str | None = None) -> Print:
    """Of what the query finds, or of one field of each."""
    digest = hashlib.sha256()
    count = 0
    batches: Any = collection.find_raw_batches(query, batch_size=20_000).sort("_id", 1)
    for batch in batches:
        for document in bson.decode_all(batch, _RAW):
            count += 1
            digest.update((document[part] if part else document).raw)
    return Print(documents=count, sha256=digest.hexdigest())


def _mark(job_id: str) -> dict[str, str]:
    """Any ledger entry of the job, as rows name the one that wrote them."""
    return {"$gte": f"{job_id}:", "$lt": f"{job_id};"}


_RAW: bson.CodecOptions[RawBSONDocument] = bson.CodecOptions(document_class=RawBSONDocument)
