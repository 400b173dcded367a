"""Read a form's responses as raw BSON, in the order of their key (``submitted_at``, ``_id``), range by range.

Every query here reads one index between two of its keys (``min`` and ``max``). Both keys have the organisation and the
form.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from collect.exporting.selection import Selection
from collect.storage.database import Database
from collect.storage.indexes import EXPORT_INDEX

QUERY_SECONDS = 120
"""Longest time that a query runs on the server, in seconds, even if the process that sent it has died."""

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument, tz_aware=True, tzinfo=UTC)
_size_of = struct.Struct("<i").unpack_from
_KEY = {"submitted_at": 1, "_id": 1}


@dataclass(frozen=True, kw_only=True)
class BlockSize:
    """The limits of a block: most documents, and most bytes. A block always has at least one document."""

    rows: int
    bytes: int


@dataclass(frozen=True)
class Key:
    """A position in the order of the index. If ``id`` is ``None``, it is before every response of that moment.

    All ids of one form's responses have the same type.
    """

    at: datetime
    id: Any = None

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Key:
        """Return the key from its stored form, which is in a part's cursor or source."""
        return cls(stored["at"], stored["id"])

    def stored(self) -> dict[str, Any]:
        return {"at": self.at, "id": self.id}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of stored documents, one after the other. ``looked``: how many responses the filters were applied to.

    The next block begins at ``following``. To read on from there, give ``window`` and ``left`` to :func:`blocks`.
    """

    raw: bytes
    rows: int
    looked: int
    following: Key
    window: Key | None = None
    left: int = 0


def boundary(
    db: Database, selection: Selection, start: Key, end: Key, *, rows: int, session: ClientSession | None = None
) -> Key | None:
    """Return the key of the response that is ``rows`` after ``start``; ``None`` if it is not before ``end``.

    Reads only the index.
    """
    options = _between(selection, start, end)
    found = next(db["responses"].find({}, _KEY, session=session, **options).skip(rows).limit(1), None)
    return None if found is None else Key(found["submitted_at"], found["_id"])


def count(db: Database, selection: Selection, start: Key, end: Key, *, session: ClientSession | None = None) -> int:
    """Count the responses from ``start`` to before ``end``. Reads only the index."""

    def found(**keys: Any) -> int:
        form = {"org_id": selection.org_id, "form_id": selection.form_id}
        options: dict[str, Any] = {"hint": EXPORT_INDEX, "maxTimeMS": QUERY_SECONDS * 1000}
        return int(db["responses"].count_documents({**form, **keys}, session=session, **options))

    def before(key: Key) -> int:
        """Count the responses that have the key's moment and an id before the key's id."""
        return 0 if key.id is None else found(submitted_at=key.at, _id={"$lt": key.id})

    return found(submitted_at={"$gte": start.at, "$lt": end.at}) - before(start) + before(end)


def blocks(
    db: Database,
    selection: Selection,
    start: Key,
    end: Key,
    *,
    size: BlockSize,
    window: Key | None = None,
    left: int = 0,
    session: ClientSession | None = None,
) -> Iterator[Block]:
    """Yield the blocks from ``start`` to ``end``. They are the same if an earlier reading stopped after any block.

    Without filters, one query reads the whole range. With filters, a query could examine many responses before one
    matches. So each query then reads one window of ``size.rows`` responses; only the index is read to find its end.
    ``window`` is the end of the window that the previous block has not used up, and ``left`` the number of responses
    in it that were not examined yet. Killing ``session`` ends a running query.
    """
    if start == end:  # all chunks of the part are committed, but its owner died before the part was finished
        return
    if not selection.match:
        for raw, rows, following in _cut(db, selection, start, end, size, session):
            yield Block(raw=raw, rows=rows, looked=rows, following=following)
        return
    while start != end:
        if window is None:
            window = boundary(db, selection, start, end, rows=size.rows, session=session)
            left = size.rows if window is not None else count(db, selection, start, end, session=session)
            window = window or end
        for raw, rows, following in _cut(db, selection, start, window, size, session):
            over = following == window
            looked = left if over else rows
            left -= looked
            yield Block(
                raw=raw, rows=rows, looked=looked, following=following, window=None if over else window, left=left
            )
            start = following
        if start != window:
            yield Block(raw=b"", rows=0, looked=left, following=window)
        start, window = window, None


def _cut(
    db: Database, selection: Selection, start: Key, end: Key, size: BlockSize, session: ClientSession | None
) -> Iterator[tuple[bytes, int, Key]]:
    """Yield blocks of matching documents as (bytes, documents, key of the first document after it, or ``end``)."""
    projection = None if selection.whole else _KEY | {column.name: 1 for column in selection.columns}
    cursor = db["responses"].find_raw_batches(
        selection.match, projection, batch_size=size.rows, session=session, **_between(selection, start, end)
    )
    try:
        before: tuple[bytes, int] | None = None
        for raw, rows in cut(cursor, size):
            if before is not None:
                yield *before, _first_key(raw)
            before = raw, rows
        if before is not None:
            yield *before, end
    finally:
        cursor.close()


def cut(batches: Iterable[Any], most: BlockSize) -> Iterator[tuple[bytes, int]]:
    """Yield the documents of all batches as blocks of (bytes, documents). The sizes of the batches do not matter.

    A block ends after ``most.rows`` documents, or before the document with which it would exceed ``most.bytes``.
    """
    held, rows = b"", 0
    for batch in batches:
        data, at, begin = held + batch, len(held), 0
        while at < len(data):
            size = _size_of(data, at)[0]
            if rows == most.rows or (rows and at + size - begin > most.bytes):
                yield data[begin:at], rows
                begin, rows = at, 0
            at += size
            rows += 1
        if rows == most.rows:
            yield data[begin:], rows
            begin, rows = len(data), 0
        held = data[begin:]
    if held:
        yield held, rows


def _first_key(raw: bytes) -> Key:
    document = RawBSONDocument(raw[: _size_of(raw, 0)[0]], _RAW)
    return Key(document["submitted_at"], document["_id"])


def _between(selection: Selection, start: Key, end: Key) -> dict[str, Any]:
    """Return the query options to read the export index from ``start`` to before ``end``.

    The hint keeps the server's planner from choosing another index.
    """
    return {
        "hint": EXPORT_INDEX,
        "min": _bound(selection, start),
        "max": _bound(selection, end),
        "max_time_ms": QUERY_SECONDS * 1000,
    }


def _bound(selection: Selection, key: Key) -> dict[str, Any]:
    values = (selection.org_id, selection.form_id, key.at, key.id)
    return {name: value for (name, _), value in zip(EXPORT_INDEX, values, strict=True)}
