"""The undo of a ledger entry by marks. A document is deleted or restored only if it still has the entry's mark."""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Iterable, Mapping
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from collect.jobs.outcomes import Conflict, TakenBack
from collect.rows import writing
from collect.rows.writing import Stored
from collect.storage import bulk_insert
from collect.storage.bulk_insert import Documents
from collect.storage.database import Again

MARK = {"row": 1, "written_by": 1, "revision": 1}
RAW: bson.CodecOptions[RawBSONDocument] = bson.CodecOptions(document_class=RawBSONDocument, tz_aware=True)


def stored(
    into: Collection[Any], ids: Iterable[str], session: ClientSession | None, fields: Mapping[str, int] | None = None
) -> dict[str, Stored]:
    """Return ``_id`` → stored document, for those of ``ids`` that exist. ``fields``: read only these of each."""
    wanted = list(ids)
    found = into.find({"_id": {"$in": wanted}}, fields, session=session) if wanted else ()
    return {document["_id"]: document for document in found}


def take_back(
    into: Collection[Any],
    record: Mapping[str, Any],
    *,
    entry_id: str,
    session: ClientSession,
    kept: Some[str] = frozenset(),
    ask: bool = True,
) -> TakenBack:
    """Delete the documents that the entry created and restore those that it changed, except those in ``kept``.

    A document without the entry's mark was changed since: it stays as it is, and is a conflict of the result. ``ask``:
    read first which changed documents still have the mark. Without it, all are taken to have it.

    Raises:
        Again: the marks were not read, and one is gone. The caller aborts the transaction and calls again with ``ask``.
    """
    mark = {"written_by": entry_id}
    created = [id_ for id_ in writing.created_ids(record) if id_ not in kept]
    deleted = 0
    if created:
        deleted = into.delete_many({"_id": {"$in": created}, **mark}, session=session).deleted_count
    conflicts: list[Conflict] = []
    if deleted < len(created):  # a document that does not exist any more is no conflict: it did not exist before either
        conflicts = [_conflict(document) for document in stored(into, created, session, MARK).values()]
    before = writing.before_images(record)
    ours = list(before)
    if before and ask:
        ours = [found["_id"] for found in into.find({"_id": {"$in": ours}, **mark}, {"_id": 1}, session=session)]
    if ours:
        if into.delete_many({"_id": {"$in": ours}, **mark}, session=session).deleted_count < len(ours):
            raise Again
        bulk_insert.insert(into, Documents.of(before[id_] for id_ in ours), session=session)
    others = {id_: before[id_] for id_ in before.keys() - set(ours)}
    conflicts.extend(_changed_since(others, stored(into, others, session), entry_id))
    return TakenBack(deleted=deleted, restored=len(ours), conflicts=tuple(conflicts))


def _conflict(document: Stored) -> Conflict:
    writer = str(document["written_by"]).partition(":")[0]
    return Conflict(id=document["_id"], row=document["row"], why=f"Changed since by job {writer}.")


def _changed_since(before: Mapping[str, Stored], now: Mapping[str, Stored], entry_id: str) -> list[Conflict]:
    """Return the conflicts: documents without the entry's mark that differ from what they were before the entry."""
    gone = [Conflict(id=id_, row=None, why="Deleted since.") for id_ in before if id_ not in now]
    others = (document for document in now.values() if document["written_by"] != entry_id)
    return [*gone, *(_conflict(document) for document in others if document != before[document["_id"]])]
