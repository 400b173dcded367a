"""How a chunk's rows are written to a dataset. The outcome is the same as reading the file from top to bottom.

Parts of a file run at the same time. So another part may have written the same key already, with a row from further up
or further down the file. ``insert``: the row from further up wins, and displaces the other one if that is already
written. ``upsert``: the row from further down wins.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import bson
import pyarrow as pa
from bson.binary import Binary
from bson.raw_bson import RawBSONDocument

from collect.errors import ChunkTooBig, TaskRefused
from collect.jobs.outcomes import Reject
from collect.rows import documents
from collect.rows.batch import Batch, pack_keys, required, unpack_keys
from collect.storage import bulk_insert
from collect.storage.bulk_insert import Documents

RECORD_VERSION = 1
MAX_DOCUMENT_BYTES = 15 * 1024 * 1024
MAX_RECORD_BYTES = 12 * 1024 * 1024
MAX_REPLACED_BYTES = 24 * 1024 * 1024
"""Most bytes of stored documents that a chunk may replace. With the chunk's own bytes, the new documents still fit into
one message to the database server."""

Stored = Mapping[str, Any]
"""A stored document. It has all its bytes (``RawBSONDocument``) when an upsert may change it."""


@dataclass(kw_only=True)
class Decision:
    """The decision about a batch: which of its rows to insert, which to replace stored documents with, which to reject.

    A row is given by its place in the batch, except in ``rejects`` and ``displaced``.
    """

    fresh: Sequence[int] = ()
    """Rows with new keys."""
    instead: list[tuple[int, Stored]] = field(default_factory=list)
    """A row, and the document of this job that it replaces. The new document keeps the mark and the revision."""
    changed: list[tuple[int, Stored]] = field(default_factory=list)
    """A row, and the document of another job that it replaces. The new one has this job's mark and a new revision."""
    overwritten: int = 0
    """How many rows of an upsert are not stored, because a row further down with the same key is."""
    rejects: list[Reject] = field(default_factory=list)
    displaced: dict[int, int] = field(default_factory=dict)
    """Number of a row that was written → number of the row that takes its place."""
    below: dict[int, list[int]] = field(default_factory=dict)
    """For ``blank: keep`` only. A row → the rows above it with the same key, whose cells go into its document too."""

    @property
    def replaced(self) -> list[str]:
        return [stored["_id"] for _, stored in (*self.instead, *self.changed)]


def decide_insert(
    batch: Batch, stored: Mapping[str, Stored], *, job_id: str, ancestors: Container[str] = ()
) -> Decision:
    """Return what an insert does with a batch: the first row with a key wins.

    ``stored``: ``_id`` → the stored document, for the keys of the batch. ``ancestors``: the jobs that this one
    restarts.
    """
    if not stored and not batch.others:
        return Decision(fresh=range(len(batch.keys)))
    decision, fresh = Decision(), []
    wins: dict[str, int | None] = dict(zip(batch.ids, batch.rows, strict=True)) if batch.others else {}
    for place, document_id in enumerate(batch.ids):
        row, there = batch.rows[place], stored.get(document_id)
        if there is None:
            fresh.append(place)
        elif is_of(there, job_id) and there["row"] > row:
            decision.instead.append((place, there))
            decision.displaced[there["row"]] = row
        else:
            first = there["row"] if is_of(there, job_id) else None
            wins[document_id] = first
            writer = _writer(there)
            by = writer if writer in ancestors else None
            decision.rejects.append(batch.reject(row, batch.duplicate(document_id, first, by)))
    decision.rejects.extend(batch.reject(row, batch.duplicate(id_, wins[id_])) for row, id_ in batch.others)
    decision.fresh = fresh
    return decision


def decide_upsert(batch: Batch, stored: Mapping[str, Stored], *, job_id: str) -> Decision:
    """Return what an upsert does with a batch: the last row with a key wins.

    The other rows with that key count as written and then overwritten. If the file lacks a required column, rows with
    new keys are rejected.
    """
    decision, fresh = Decision(), []
    lacking = required((), lacking=batch.lacking)
    refused: set[str] = set()
    for place, document_id in enumerate(batch.ids):
        there = stored.get(document_id)
        if there is None and batch.lacking:
            refused.add(document_id)
            decision.rejects.append(batch.reject(batch.rows[place], *lacking))
        elif there is None:
            fresh.append(place)
        elif not is_of(there, job_id):
            decision.changed.append((place, there))
        elif there["row"] < batch.rows[place]:
            decision.instead.append((place, there))
        else:
            decision.overwritten += 1
    decision.rejects.extend(batch.reject(row, *lacking) for row, id_ in batch.others if id_ in refused)
    decision.overwritten += sum(id_ not in refused for _, id_ in batch.others)
    decision.fresh = fresh
    return decision


def decide_touch(batch: Batch, stored: Mapping[str, Stored], *, job_id: str) -> Decision:
    """Return the decision that gives every key of the batch a document with this job's mark.

    Missing documents are created. Documents with another job's mark are replaced.
    """
    others = [(place, stored[id_]) for place, id_ in enumerate(batch.ids) if id_ in stored]
    return Decision(
        fresh=[place for place, id_ in enumerate(batch.ids) if id_ not in stored],
        changed=[(place, there) for place, there in others if not is_of(there, job_id)],
    )


def new_documents(batch: Batch, decision: Decision, *, entry_id: str) -> Documents:
    """Return the documents to insert, with those that replace others."""
    fresh = batch.bodies if len(decision.fresh) == len(batch.keys) else batch.bodies.take(places(decision.fresh))
    made = [documents.complete(fresh, written_by=entry_id, revision=1)]
    groups: defaultdict[tuple[str, int], list[tuple[int, Stored]]] = defaultdict(list)
    for place, there in decision.instead:
        groups[there["written_by"], there["revision"]].append((place, there))
    for place, there in decision.changed:
        groups[entry_id, there["revision"] + 1].append((place, there))
    for (written_by, revision), replacing in groups.items():
        bodies = batch.bodies.take(places(place for place, _ in replacing))
        completed = documents.complete(bodies, written_by=written_by, revision=revision)
        made.append(_merged(completed, [there for _, there in replacing], batch))
    return Documents.together(made)


def undo_record(batch: Batch, decision: Decision) -> dict[str, Any]:
    """Return what an undo needs: the keys of created documents, and the changed documents as they were before.

    Raises:
        ChunkTooBig: the record does not fit into a ledger entry; with fewer rows it would.
    """
    before = _packed(b"".join(there.raw for _, there in decision.changed if isinstance(there, RawBSONDocument)))
    all_are_new = len(decision.fresh) == len(batch.keys)
    created = batch.packed if all_are_new else pack_keys([batch.keys[place] for place in decision.fresh])
    record = {
        "v": RECORD_VERSION,
        "prefix": batch.prefix,
        "created": Binary(created),
        "before": before,
    }
    check_size(batch, record)
    return record


def check_size(batch: Batch, *records: Mapping[str, Any]) -> None:
    """Check that the undo records of a chunk fit into one ledger entry.

    Raises:
        ChunkTooBig: they do not fit; with fewer rows they would.
    """
    if any(record["before"] for record in records):
        held = sum(len(record["before"]) + len(record["created"]) for record in records)
        if held > MAX_RECORD_BYTES:
            raise too_big(batch)


def too_big(batch: Batch) -> ChunkTooBig:
    """Return the error for rows that change more bytes of documents than one undo record can keep."""
    return ChunkTooBig(
        f"The stored row that row {batch.lot.numbers[0]:,} changes is too big to be kept for an undo. Leave the row "
        "out, or delete the stored one first.",
        where=f"row {batch.lot.numbers[0]:,}",
        rows=batch.lot.rows,
    )


def created_ids(record: Mapping[str, Any]) -> list[str]:
    """Return the ids of the documents that a ledger entry created."""
    prefix = record["prefix"]
    return [prefix + key for key in unpack_keys(record["created"])]


def before_images(record: Mapping[str, Any]) -> dict[str, RawBSONDocument]:
    """Return ``_id`` → document as it was before, for the documents that a ledger entry changed."""
    return {_id(image): image for image in bulk_insert.split(_unpacked(record["before"]))}


def _id(document: RawBSONDocument) -> str:
    """Return the document's ``_id``. It is the first element, so the rest need not be decoded."""
    raw = document.raw
    length = int.from_bytes(raw[9:13], "little")
    return bytes(raw[13 : 12 + length]).decode()


def is_of(document: Stored, job_id: str) -> bool:
    """Return whether the document has a mark of the job."""
    return _writer(document) == job_id


def _writer(document: Stored) -> str:
    """Return the id of the job whose mark the document has."""
    return str(document["written_by"]).partition(":")[0]


def _merged(made: Documents, replaced: Sequence[Stored], batch: Batch) -> Documents:
    """Return the documents with the stored values of the columns that the file does not have.

    Only upserts read ``values`` of the replaced documents, so an insert has nothing to merge.
    """
    if all("values" not in there or batch.names.issuperset(there["values"]) for there in replaced):
        return made
    return Documents.of(_merge(new, there, batch.names) for new, there in zip(made.each(), replaced, strict=True))


def _merge(document: RawBSONDocument, there: Stored, names: frozenset[str]) -> RawBSONDocument:
    new, old = bson.decode(document.raw), bson.decode(there["values"].raw)
    said = {name: value for name, value in new["values"].items() if name in names or name not in old}
    raw = bson.encode({**new, "values": {**old, **said}})
    check_document(len(raw), row=new["row"])
    return RawBSONDocument(raw)


def check_document(size: int, *, row: int) -> None:
    """Check that a document that was merged with a stored one can be stored.

    Raises:
        TaskRefused: it is too large.
    """
    if size > MAX_DOCUMENT_BYTES:
        raise TaskRefused(
            f"With the columns that are there already the row would have {size:,} bytes; at most "
            f"{MAX_DOCUMENT_BYTES:,} can be stored. Leave out a column, or shorten what is in it.",
            code="document_too_large", where=f"row {row:,}",
        )  # fmt: skip


def places(of: Iterable[int]) -> pa.Array:
    """Return the places of rows as an Arrow array."""
    return pa.array(of, pa.int64())


def _packed(raw: bytes) -> Binary:
    return Binary(zlib.compress(raw, 1) if raw else b"")


def _unpacked(packed: bytes) -> bytes:
    return zlib.decompress(packed) if packed else b""
