"""The ledger: one entry for each committed chunk, with its counts and with what undo needs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo import ASCENDING

from collect.jobs.model import Part, entry_id
from collect.jobs.outcomes import Applied, Conflict, StoredObject
from collect.storage.database import Database, Transaction


def insert(tx: Transaction, *, part: Part, applied: Applied) -> None:
    """Insert the entry of the chunk that is being committed. Its ``_id`` prevents a second entry after a retry."""
    tx.db.ledger.insert_one(
        {
            "_id": entry_id(part.job_id, part.n, part.seq),
            "job_id": part.job_id,
            "org_id": part.org_id,
            "n": part.n,
            "seq": part.seq,
            "epoch": part.epoch,
            "at": datetime.now(UTC),
            "cursor": part.cursor,
            "counts": {
                "succeeded": applied.succeeded,
                "rejected": applied.rejected,
                "left_out": applied.left_out,
                "created": applied.created,
                "changed": applied.changed,
            },
            "undo": applied.undo,
            "objects": [dataclasses.asdict(stored) for stored in applied.objects],
            "undone": False,
            "conflicts": [],
        },
        session=tx.session,
    )


def mark_undone(tx: Transaction, *, entry_id: str, conflicts: Iterable[Conflict]) -> None:
    """Mark the entry as undone. Its conflicts replace those of an earlier undo."""
    listed = [{"id": conflict.id, "row": conflict.row, "why": conflict.why} for conflict in conflicts]
    tx.db.ledger.update_one({"_id": entry_id}, {"$set": {"undone": True, "conflicts": listed}}, session=tx.session)


def of_job(db: Database, *, org_id: str, job_id: str) -> Iterator[dict[str, Any]]:
    """Yield all entries of a job, in the order of parts and chunks."""
    order = [("n", ASCENDING), ("seq", ASCENDING)]
    yield from db.ledger.find({"job_id": job_id, "org_id": org_id}).sort(order).batch_size(20)


def objects(db: Database, *, org_id: str, job_id: str, part: int | None = None) -> Iterator[tuple[int, StoredObject]]:
    """Yield (part number, blob) for the blobs of all committed chunks, or of one part, in the order of the chunks."""
    order = [("n", ASCENDING), ("seq", ASCENDING)]
    query: dict[str, Any] = {"job_id": job_id, "org_id": org_id, "objects.0": {"$exists": True}}
    if part is not None:
        query["n"] = part
    for entry in db.ledger.find(query, {"n": 1, "objects": 1}).sort(order):
        for stored in entry["objects"]:
            yield entry["n"], StoredObject(**stored)


def misfits(db: Database, *, org_id: str, job_id: str) -> dict[str, int]:
    """Return field → number of values that were not of the field's type, over all chunks of the job.

    The numbers come from ``misfits`` in the entries' ``undo`` records.
    """
    found: Counter[str] = Counter()
    query = {"job_id": job_id, "org_id": org_id, "undo.misfits": {"$gt": {}}}
    for entry in db.ledger.find(query, {"undo.misfits": 1}):
        found.update(entry["undo"]["misfits"])
    return dict(sorted(found.items()))


NOTED = ("fields_left_out", "choices_left_out", "texts_like_null")
"""The counts by field that an export's manifest shows in addition to ``misfits``."""
MOST_NAMES = 500
"""Most names that have a count of their own."""
MOST_NAME_CHARACTERS = 200
"""Longest name kept, in characters."""
OTHERS = "…"
"""The name that has the sum of the counts of all names beyond :data:`MOST_NAMES`."""


def noted(counts: Mapping[str, Mapping[str, int]]) -> dict[str, list[list[Any]]]:
    """Return counts by field in the form of an entry's ``undo`` record: pairs, because a name can be any text."""
    return {what: _pairs(Counter(by_field)) for what, by_field in counts.items() if by_field}


def _pairs(counts: Counter[str]) -> list[list[Any]]:
    kept = Counter[str]()
    for place, (name, count) in enumerate(counts.most_common()):
        long = len(name) > MOST_NAME_CHARACTERS
        shown = name[:MOST_NAME_CHARACTERS] + OTHERS if long else name
        kept[shown if place < MOST_NAMES else OTHERS] += count
    return [[name, count] for name, count in sorted(kept.items())]


def noted_of_job(db: Database, *, org_id: str, job_id: str) -> dict[str, list[list[Any]]]:
    """Return the counts of the job's committed chunks, summed, for each of :data:`NOTED`."""
    found = {what: Counter[str]() for what in NOTED}
    query = {"job_id": job_id, "org_id": org_id, "undo.noted": {"$gt": {}}}
    for entry in db.ledger.find(query, {"undo.noted": 1}):
        for what, pairs in entry["undo"]["noted"].items():
            found.setdefault(what, Counter()).update(dict(pairs))
    return {what: _pairs(counts) for what, counts in found.items()}


def conflicts(
    db: Database, *, org_id: str, job_id: str, limit: int, skip: int = 0
) -> tuple[list[dict[str, Any]], int | None]:
    """Return one page of the documents that undo did not change, as ``{id, row, why}``.

    The second value is the ``skip`` of the next page, or ``None``.
    """
    found = list(
        db.ledger.aggregate(
            [
                {"$match": {"job_id": job_id, "org_id": org_id, "conflicts.0": {"$exists": True}}},
                {"$sort": {"n": 1, "seq": 1}},
                {"$unwind": "$conflicts"},
                {"$replaceRoot": {"newRoot": "$conflicts"}},
                {"$skip": skip},
                {"$limit": limit + 1},
            ]
        )
    )
    return found[:limit], skip + limit if len(found) > limit else None
