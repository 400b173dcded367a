"""Reads the text of rows that are already written. The cursors in the ledger say where the chunk of each row begins.

The text of a corrected row is not in the file. It is in the history of the corrections.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from pymongo import ASCENDING
from pymongo.client_session import ClientSession

from collect.csv.reading import Source, lots
from collect.protocol import corrections
from collect.storage.database import Database
from collect.storage.object_store import Blobs

MOST_READ_AGAIN = 200
"""Most rows that a chunk may read again. Each may be in the range of another chunk, and the transaction stays open
during the read."""
_LOT_BYTES = 8 * 1024 * 1024


def original(db: Database, blobs: Blobs, *, job_id: str, rows: Iterable[int], session: ClientSession) -> dict[int, str]:
    """Return row → its text, for ``rows`` of the job's file. All of them must be committed. It blocks on the store."""
    wanted = sorted(rows)
    found = corrections.texts(db, job_id=job_id, rows=wanted, session=session)
    wanted = [row for row in wanted if row not in found]
    query = {"job_id": job_id, "source.first_row": {"$exists": True}, "source.numbers": {"$exists": False}}
    parts = list(db.parts.find(query, {"n": 1, "source": 1}, session=session).sort("source.first_row", ASCENDING))
    begins = [part["source"]["first_row"] for part in parts]
    for place, of_part in groupby(wanted, lambda row: bisect_right(begins, row) - 1):
        found.update(_of_part(db, blobs, parts[place], job_id=job_id, rows=list(of_part), session=session))
    return found


def _of_part(
    db: Database, blobs: Blobs, part: dict[str, Any], *, job_id: str, rows: list[int], session: ClientSession
) -> dict[int, str]:
    query = {"job_id": job_id, "n": part["n"]}
    entries = db.ledger.find(query, {"cursor": 1}, session=session).sort("seq", ASCENDING)
    cursors = [entry["cursor"] for entry in entries]
    begins = [cursor["row"] for cursor in cursors]
    source = Source.of(part["source"])
    found: dict[int, str] = {}
    for place, of_entry in groupby(rows, lambda row: bisect_right(begins, row) - 1):
        found.update(_of_entry(blobs, source, cursors[place], rows=list(of_entry)))
    return found


def _of_entry(blobs: Blobs, source: Source, cursor: dict[str, Any], *, rows: list[int]) -> dict[int, str]:
    reach = rows[-1] - cursor["row"] + 1
    found: dict[int, str] = {}
    for lot in lots(blobs, source, cursor, most_rows=lambda: reach, most_bytes=_LOT_BYTES):
        end = lot.row + lot.rows
        found.update({row: lot.line(row) for row in rows if lot.row <= row < end})
        if rows[-1] < end:
            break
    return found
