"""The templates of datasets, and reading the rows of datasets. Only upload jobs write rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pymongo import ASCENDING, DESCENDING

from collect.errors import Conflict, DatasetHeld, NotFound
from collect.jobs.template import Template, key_text, row_id, row_id_prefix
from collect.storage.database import Again, Database, Document, Transaction

MOST_SAMPLED = 2_000
"""Most rows that :func:`values` samples."""
FEWEST_SAMPLED = 200
"""Limit of the rows that :func:`values` samples from a dataset with very many columns."""
MOST_SAMPLED_CELLS = 100_000
"""Most cells that :func:`values` samples, unless :data:`FEWEST_SAMPLED` rows have more."""
MOST_STRETCHES = 10
"""Most keys near which :func:`values` samples rows."""
ASKED_AT_ONCE = 2_000
"""Most keys in one ``$in``."""


def lock_name(*, org_id: str, name: str) -> str:
    """Return the name of the lock that an upload into the dataset holds."""
    return f"{org_id}:dataset:{name}"


def get(db: Database, *, org_id: str, name: str) -> Template:
    """Return the template of a dataset.

    Raises:
        NotFound: the organisation has no dataset with that name.
    """
    document = db.datasets.find_one({"_id": _dataset_id(org_id, name), "org_id": org_id})
    if document is None:
        raise NotFound(f"There is no dataset {name!r}.")
    return Template.model_validate({"key": document["key"], "columns": document["columns"]})


def names(db: Database, *, org_id: str) -> list[str]:
    """Return the sorted names of the organisation's datasets."""
    return [found["name"] for found in db.datasets.find({"org_id": org_id}, {"name": 1}).sort("name", ASCENDING)]


def put(tx: Transaction, *, org_id: str, name: str, template: Template) -> bool:
    """Create the dataset or change its template. Return whether it was created.

    Raises:
        DatasetHeld: a job holds the dataset; the job reads rows by the present template.
    """
    # This is a write: if a job takes the lock at the same time, only one of the two transactions commits.
    lock_id = {"_id": lock_name(org_id=org_id, name=name)}
    lock = tx.db.locks.find_one_and_update(lock_id, {"$inc": {"templates": 1}}, session=tx.session)
    if lock is None:
        tx.db.locks.update_one(lock_id, {"$setOnInsert": {"queue": []}}, upsert=True)
        raise Again
    if lock["queue"]:
        holder = lock["queue"][0]
        raise DatasetHeld(f"Job {holder} holds the dataset; its template cannot change meanwhile.", holder=holder)
    content = template.model_dump(mode="json", exclude_unset=True)
    result = tx.db.datasets.update_one(
        {"_id": _dataset_id(org_id, name)},
        {"$set": {"org_id": org_id, "name": name, "updated_at": datetime.now(UTC), **content}},
        upsert=True,
        session=tx.session,
    )
    return result.upserted_id is not None


def remove(tx: Transaction, *, org_id: str, name: str) -> None:
    """Remove an empty dataset that no job holds. Earlier jobs of the dataset keep its name. Idempotent.

    Raises:
        DatasetHeld: a job holds the dataset.
        Conflict: the dataset has rows.
    """
    lock_id = {"_id": lock_name(org_id=org_id, name=name)}
    tx.db.locks.delete_one({**lock_id, "queue": []}, session=tx.session)
    if lock := tx.db.locks.find_one(lock_id, session=tx.session):
        holder = lock["queue"][0]
        raise DatasetHeld(f"Job {holder} holds the dataset.", holder=holder)
    if tx.db.rows.find_one(_all_rows(org_id, name), {"_id": 1}, session=tx.session):
        raise Conflict(f"There are rows in dataset {name!r}.")
    tx.db.datasets.delete_one({"_id": _dataset_id(org_id, name)}, session=tx.session)


def holder(db: Database, *, org_id: str, name: str) -> str | None:
    """Return the id of the job that holds the dataset, or ``None``."""
    lock = db.locks.find_one({"_id": lock_name(org_id=org_id, name=name)})
    return lock["queue"][0] if lock and lock["queue"] else None


def row_count(db: Database, *, org_id: str, name: str) -> int:
    """Count the rows of the dataset."""
    return db.rows.count_documents(_all_rows(org_id, name))


def find(db: Database, *, org_id: str, name: str, key: Sequence[str]) -> list[Document]:
    """Return the row with this key in a list. The list is empty if there is no such row."""
    document = db.rows.find_one({"_id": row_id(org_id=org_id, dataset=name, key=key_text(key)), "org_id": org_id})
    return [] if document is None else [document]


def marked(db: Database, *, org_id: str, name: str, job_id: str) -> int:
    """Count the rows that carry a mark of the job."""
    return db.rows.count_documents(
        {**_all_rows(org_id, name), "written_by": {"$gte": f"{job_id}:", "$lt": f"{job_id};"}}
    )


def rows(
    db: Database, *, org_id: str, name: str, limit: int, after: str | None = None
) -> tuple[list[Document], str | None]:
    """Return one page of rows, in the order of their keys, beginning after the ``_id`` ``after``.

    The second value is the ``after`` of the next page, or ``None``.
    """
    query = _all_rows(org_id, name)
    if after is not None:
        query["_id"] = {**query["_id"], "$gt": max(after, query["_id"]["$gt"])}
    found = list(db.rows.find(query).sort("_id", ASCENDING).limit(limit + 1))
    return found[:limit], found[limit - 1]["_id"] if len(found) > limit else None


def of_keys(
    db: Database, *, org_id: str, name: str, keys: Iterable[str], columns: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return key → the row's values of ``columns``, for those of ``keys`` that have a stored row."""
    found = marks(db, org_id=org_id, name=name, keys=keys, columns=columns)
    return {key: document.get("values", {}) for key, document in found.items()}


def marks(
    db: Database, *, org_id: str, name: str, keys: Iterable[str], columns: Collection[str] = ()
) -> dict[str, Document]:
    """Return key → the row's `row`, `written_by` and values of ``columns``, for those of ``keys`` with a stored row."""
    prefix = row_id_prefix(org_id=org_id, dataset=name)
    wanted = {"row": 1, "written_by": 1, **{f"values.{column}": 1 for column in columns}}
    rest, found = iter(keys), {}
    while some := [prefix + key for key in islice(rest, ASKED_AT_ONCE)]:
        for document in db.rows.find({"_id": {"$in": some}, "org_id": org_id}, wanted):
            found[document["_id"].removeprefix(prefix)] = document
    return found


def keys(db: Database, *, org_id: str, name: str, most: int) -> list[str] | None:
    """Return the key of every row of the dataset as a text; ``None`` if there are more than ``most``."""
    prefix = row_id_prefix(org_id=org_id, dataset=name)
    ids = {"_id": _all_rows(org_id, name)["_id"]}
    found = [document["_id"] for document in db.rows.find(ids, {"_id": 1}).hint("_id_").limit(most + 1)]
    return None if len(found) > most else [id_.removeprefix(prefix) for id_ in found]


def values(
    db: Database, *, org_id: str, name: str, columns: int, near: Sequence[str] = (), but_of: str | None = None
) -> dict[str, list[Any]]:
    """Return column → some stored values: from rows at both ends of the dataset, and from rows after some keys.

    ``near``: those keys, as texts. ``columns``: the number of columns; the more there are, the fewer rows are read.
    ``but_of``: a job whose rows are left out. Reads only short stretches of an index, however large the dataset is.
    """
    most = max(FEWEST_SAMPLED, min(MOST_SAMPLED, MOST_SAMPLED_CELLS // max(columns, 1)))
    query, found = _all_rows(org_id, name), {}
    behind = [row_id(org_id=org_id, dataset=name, key=key) for key in near[:MOST_STRETCHES]]
    stretches = [(query, ASCENDING, most // 4), (query, DESCENDING, most // 4)]
    stretches += [
        ({**query, "_id": {**query["_id"], "$gte": id_}}, ASCENDING, most // 2 // len(behind)) for id_ in behind
    ]
    for where, order, limit in stretches:
        for document in db.rows.find(where, {"values": 1, "written_by": 1}).sort("_id", order).limit(limit):
            if but_of is None or not document["written_by"].startswith(f"{but_of}:"):
                found[document["_id"]] = document["values"]
    held: dict[str, list[Any]] = {}
    for row in found.values():
        for column, value in row.items():
            if value is not None and not (isinstance(value, float) and not math.isfinite(value)):
                held.setdefault(column, []).append(value)
    return held


def _dataset_id(org_id: str, name: str) -> str:
    return f"{org_id}|{name}"


def _all_rows(org_id: str, name: str) -> dict[str, Any]:
    """Return the filter for all rows of a dataset: a range of ``_id``, whose ids begin with the same prefix."""
    prefix = row_id_prefix(org_id=org_id, dataset=name)
    return {"_id": {"$gt": prefix, "$lt": prefix[:-1] + chr(ord(prefix[-1]) + 1)}, "org_id": org_id}
