"""Datasets: their templates, and reading their rows. Rows are written by upload jobs alone."""

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
FEWEST_SAMPLED = 200
MOST_SAMPLED_CELLS = 100_000
MOST_STRETCHES = 10
ASKED_AT_ONCE = 2_000
"""Keys of one ``$in``."""


def lock_name(*, org_id: str, name: str) -> str:
    """The lock that an upload into the dataset holds."""
    return f"{org_id}:dataset:{name}"


def get(db: Database, *, org_id: str, name: str) -> Template:
    """The template of a dataset.

    Raises:
        NotFound: the organisation has no dataset of that name.
    """
    document = db.datasets.find_one({"_id": _dataset_id(org_id, name), "org_id": org_id})
    if document is None:
        raise NotFound(f"There is no dataset {name!r}.")
    return Template.model_validate({"key": document["key"], "columns": document["columns"]})


def names(db: Database, *, org_id: str) -> list[str]:
    """The names of the organisation's datasets, in order."""
    return [found["name"] for found in db.datasets.find({"org_id": org_id}, {"name": 1}).sort("name", ASCENDING)]


def put(tx: Transaction, *, org_id: str, name: str, template: Template) -> bool:
    """Make the dataset or change its template. Returns whether it was made.

    Raises:
        DatasetHeld: a job holds the dataset; it reads its rows by the template that there is.
    """
    # A write, so that of this and a job that takes the lock at the same time only one commits.
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
    """Take away an empty dataset that no job holds; jobs that were in it keep its name. Idempotent.

    Raises:
        DatasetHeld: a job holds the dataset.
        Conflict: there are rows in it.
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
    """The job that holds the dataset."""
    lock = db.locks.find_one({"_id": lock_name(org_id=org_id, name=name)})
    return lock["queue"][0] if lock and lock["queue"] else None


def row_count(db: Database, *, org_id: str, name: str) -> int:
    """How many rows the dataset has, counted."""
    return db.rows.count_documents(_all_rows(org_id, name))


def find(db: Database, *, org_id: str, name: str, key: Sequence[str]) -> list[Document]:
    """The row with this key, as a list of one, or of none."""
    document = db.rows.find_one({"_id": row_id(org_id=org_id, dataset=name, key=key_text(key)), "org_id": org_id})
    return [] if document is None else [document]


def marked(db: Database, *, org_id: str, name: str, job_id: str) -> int:
    """How many rows carry a mark of the job, counted."""
    return db.rows.count_documents(
        {**_all_rows(org_id, name), "written_by": {"$gte": f"{job_id}:", "$lt": f"{job_id};"}}
    )


def rows(
    db: Database, *, org_id: str, name: str, limit: int, after: str | None = None
) -> tuple[list[Document], str | None]:
    """Rows in the order of their keys, from those behind the ``_id`` ``after``; and the id to go on after, if any."""
    query = _all_rows(org_id, name)
    if after is not None:
        query["_id"] = {**query["_id"], "$gt": max(after, query["_id"]["$gt"])}
    found = list(db.rows.find(query).sort("_id", ASCENDING).limit(limit + 1))
    return found[:limit], found[limit - 1]["_id"] if len(found) > limit else None


def of_keys(
    db: Database, *, org_id: str, name: str, keys: Iterable[str], columns: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return key → the values of these ``columns``, of the rows with one of ``keys`` that are stored."""
    found = marks(db, org_id=org_id, name=name, keys=keys, columns=columns)
    return {key: document.get("values", {}) for key, document in found.items()}


def marks(
    db: Database, *, org_id: str, name: str, keys: Iterable[str], columns: Collection[str] = ()
) -> dict[str, Document]:
    """Return key → `row`, `written_by` and the values of ``columns``, of the rows with one of ``keys``."""
    prefix = row_id_prefix(org_id=org_id, dataset=name)
    wanted = {"row": 1, "written_by": 1, **{f"values.{column}": 1 for column in columns}}
    rest, found = iter(keys), {}
    while some := [prefix + key for key in islice(rest, ASKED_AT_ONCE)]:
        for document in db.rows.find({"_id": {"$in": some}, "org_id": org_id}, wanted):
            found[document["_id"].removeprefix(prefix)] = document
    return found


def keys(db: Database, *, org_id: str, name: str, most: int) -> list[str] | None:
    """Return the key of every row of the dataset as a text; ``None`` when there are more than ``most``."""
    prefix = row_id_prefix(org_id=org_id, dataset=name)
    ids = {"_id": _all_rows(org_id, name)["_id"]}
    found = [document["_id"] for document in db.rows.find(ids, {"_id": 1}).hint("_id_").limit(most + 1)]
    return None if len(found) > most else [id_.removeprefix(prefix) for id_ in found]


def values(
    db: Database, *, org_id: str, name: str, columns: int, near: Sequence[str] = (), but_of: str | None = None
) -> dict[str, list[Any]]:
    """Some stored values of each column: of rows at both ends of the dataset, and of those behind some keys.

    ``near``: keys as texts. ``columns``: how many there are, since of wide rows fewer are read. ``but_of``: a job whose
    rows are left out. Reads short stretches of an index, whatever the size of the dataset.
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
    """By ``_id`` alone, which is indexed: the ids of a dataset's rows begin alike."""
    prefix = row_id_prefix(org_id=org_id, dataset=name)
    return {"_id": {"$gt": prefix, "$lt": prefix[:-1] + chr(ord(prefix[-1]) + 1)}, "org_id": org_id}
