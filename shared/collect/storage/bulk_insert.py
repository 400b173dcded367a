"""Many documents as one stretch of bytes, sent as it is in one ``insert`` command.

Encoding documents one by one is most of what a client spends on an insert. Documents that were made together, a column
at a time, are one buffer already. The command's ``documents`` are a section of its message in which one document
follows the other, and PyMongo copies what a ``RawBSONDocument`` holds into it unseen: so one that holds them all goes
out as all of them, up to the 16 MiB above which PyMongo refuses what it takes for one document. Whether the installed
PyMongo does so is tried once (:func:`_goes_out_as_it_is`); where it does not, they are sent one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from collect.storage.database import Document

MOST_BYTES = 16_000_000
_RAW = bson.DEFAULT_CODEC_OPTIONS.with_options(document_class=RawBSONDocument)


@dataclass(frozen=True, kw_only=True)
class Documents:
    """``count`` BSON documents back to back."""

    data: bytes | memoryview
    count: int

    @classmethod
    def of(cls, documents: Iterable[RawBSONDocument]) -> Documents:
        """Documents that were made one by one."""
        raw = [document.raw for document in documents]
        return cls(data=b"".join(raw), count=len(raw))

    @classmethod
    def together(cls, made: Sequence[Documents]) -> Documents:
        """All of these, copied once. Those of one alone are not copied."""
        if len(made) == 1:
            return made[0]
        return cls(data=b"".join(some.data for some in made), count=sum(some.count for some in made))

    def each(self) -> list[RawBSONDocument]:
        """One by one."""
        return split(self.data)


def split(data: bytes | memoryview) -> list[RawBSONDocument]:
    """The documents in bytes that hold one behind the other."""
    return bson.decode_all(data, _RAW)


def insert(into: Collection[Document], documents: Documents, *, session: ClientSession | None = None) -> None:
    """Insert them all within the session's transaction: in one command, or a few when they are many bytes.

    Without a session each document is inserted for itself, with the collection's write concern; when this raises, some
    may be there.

    Raises:
        BulkWriteError: not all were, as ``insert_many`` raises it; of documents with a key that is taken, say.
    """
    if not documents.count:
        return
    if not _goes_out_as_it_is():
        into.insert_many(documents.each(), ordered=False, session=session)
        return
    inserted = 0
    concern: dict[str, Any] = {} if session else {"writeConcern": into.write_concern.document}
    for stretch in _stretches(documents.data):
        reply = into.database.command(
            "insert", into.name, documents=[_BackToBack(stretch)], ordered=False, session=session, **concern
        )
        inserted += reply["n"]
        if "writeErrors" in reply:
            raise BulkWriteError({"writeErrors": reply["writeErrors"], "nInserted": inserted})
    if inserted != documents.count:
        raise BulkWriteError({"writeErrors": [], "nInserted": inserted})


def _stretches(data: bytes | memoryview) -> Iterator[bytes | memoryview]:
    """Whole documents together, no more of them than PyMongo takes for one."""
    if len(data) <= MOST_BYTES:
        yield data
        return
    begin = at = 0
    while at < len(data):
        end = at + int.from_bytes(data[at : at + 4], "little")
        if end - begin > MOST_BYTES and at > begin:
            yield data[begin:at]
            begin = at
        at = end
    yield data[begin:]


class _BackToBack(RawBSONDocument):
    """To the encoder all of the bytes; to whoever looks at its fields, a log say, the first document."""

    def __init__(self, data: bytes | memoryview) -> None:
        super().__init__(bytes(data[: int.from_bytes(data[:4], "little")]))
        self._data = data

    @property
    def raw(self) -> bytes | memoryview:
        return self._data


@cache
def _goes_out_as_it_is() -> bool:
    two = memoryview(bson.encode({"_id": 1}) + bson.encode({"_id": 2}))  # columns that Arrow has joined come as one
    return bson.encode(_BackToBack(two)) == two
