"""The upsert in which a blank cell keeps the stored value (``blank: keep``).

The outcome is the same as reading the file from top to bottom, in any order of parts and chunks: each column has the
value of the last row that is not blank in it. For this, a document lists in ``from_rows`` the columns whose value is
not from its ``row``, each with the number of the row that it is from; 0 means that the value was stored before this
job. When another job writes the document, it replaces ``from_rows``. A row with a blank in a required column can only
change documents that were stored before this job, at any place in the file. See ADR 23.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import bson
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from collect.rows import documents, writing
from collect.rows.batch import Batch, required
from collect.rows.documents import FROM_ROWS
from collect.rows.writing import Decision, Stored
from collect.storage.bulk_insert import Documents

Content = dict[str, Any]


def decide(batch: Batch, stored: Mapping[str, Stored], *, job_id: str) -> Decision:
    """Return what to do with a batch that has every row, so that it may have several rows with the same key.

    ``stored``: ``_id`` → the whole stored document, for the keys of the batch. A row whose cells go into the document
    of another row counts as written.
    """
    decision, fresh = Decision(), []
    for document_id, places in _by_id(batch).items():
        there = stored.get(document_id)
        is_ours = there is not None and writing.is_of(there, job_id)
        taken = places
        if there is None or (is_ours and there["revision"] == 1):  # this job creates the document
            refused = [place for place in places if batch.lacking or place in batch.incomplete]
            for place in refused:
                errors = required(batch.incomplete.get(place, ()), lacking=batch.lacking)
                decision.rejects.append(batch.reject(batch.rows[place], *errors))
            taken = [place for place in places if place not in refused]
        if not taken:
            continue
        *below, place = taken
        decision.overwritten += len(below)
        if there is None:
            fresh.append(place)
        elif not is_ours:
            decision.changed.append((place, there))
        elif FROM_ROWS not in there and there["row"] > batch.rows[place]:
            decision.overwritten += 1
            continue
        else:
            decision.instead.append((place, there))
        if below:
            decision.below[place] = below
    decision.fresh = fresh
    return decision


def new_documents(batch: Batch, decision: Decision, *, entry_id: str) -> Documents:
    """Return the documents to insert, with those that replace others."""
    alone = [place for place in decision.fresh if place not in decision.below]
    bodies = batch.bodies if len(alone) == len(batch.keys) else batch.bodies.take(writing.places(alone))
    made = [documents.complete(bodies, written_by=entry_id, revision=1)]
    together = [
        *((place, None, entry_id, 1) for place in decision.fresh if place in decision.below),
        *((place, there, entry_id, there["revision"] + 1) for place, there in decision.changed),
        *((place, there, there["written_by"], there["revision"]) for place, there in decision.instead),
    ]
    merged = (
        _merged(batch, [*decision.below.get(place, ()), place], there, written_by=written_by, revision=revision)
        for place, there, written_by, revision in together
    )
    return Documents.together([*made, Documents.of(merged)]) if together else Documents.together(made)


def merge(rows: Sequence[Content], there: Content | None, *, names: Iterable[str], is_ours: bool) -> Content:
    """Return a document's content: the stored content ``there``, with the cells of ``rows`` that are not blank.

    In each column the cell of the last row wins. ``is_ours``: the stored content is from the same file, so its rows
    count too. ``names``: the columns that the file has.
    """
    first = rows[0]
    values: Content = {**first["values"], **(there["values"] if there else {})}
    origins: dict[str, int] = dict.fromkeys(names, 0)
    if there is not None and is_ours:
        origins |= dict.fromkeys(names, there["row"]) | there.get(FROM_ROWS, {})
    for content in rows:
        blanks = content.get(FROM_ROWS, {})
        for name in origins:
            if name not in blanks and origins[name] < content["row"]:
                values[name], origins[name] = content["values"][name], content["row"]
    row = max(content["row"] for content in (*rows, *([there] if there and is_ours else [])))
    elsewhere = {name: Int64(origin) for name, origin in origins.items() if origin != row}
    head = {name: first[name] for name in first if name not in ("values", "row", FROM_ROWS)}
    return {**head, "values": values, "row": Int64(row), **({FROM_ROWS: elsewhere} if elsewhere else {})}


def _merged(
    batch: Batch, places: Sequence[int], there: Stored | None, *, written_by: str, revision: int
) -> RawBSONDocument:
    rows = [documents.content(batch.bodies[place].as_py()) for place in places]
    stored = None if there is None else bson.decode(there.raw) if isinstance(there, RawBSONDocument) else dict(there)
    is_ours = stored is not None and stored["written_by"] == written_by
    content = merge(rows, stored, names=batch.names, is_ours=is_ours)
    raw = bson.encode({**content, "written_by": written_by, "revision": revision})
    writing.check_document(len(raw), row=content["row"])
    return RawBSONDocument(raw)


def _by_id(batch: Batch) -> dict[str, list[int]]:
    """Return ``_id`` → the places of its rows, in the file's order."""
    found: dict[str, list[int]] = {}
    for place, document_id in enumerate(batch.ids):
        found.setdefault(document_id, []).append(place)
    return found
