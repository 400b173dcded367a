"""Insert many documents from one buffer of BSON, with one ``insert`` command.

Most of the client's time for an insert goes into encoding documents one by one. But documents that were made together,
a column at a time, are already one buffer of BSON. The ``documents`` of an ``insert`` command are a section of its
message, with one document after the other. PyMongo copies the bytes of a ``RawBSONDocument`` into that section without
a look at them. So one ``RawBSONDocument`` that holds the whole buffer sends all documents. Its limit is 16 MiB, above
which PyMongo refuses it as one too large document.

The module tests once whether the installed PyMongo does this (:func:`_goes_out_as_it_is`). If not, the documents are
encoded one by one.
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
"""Most bytes sent as one ``RawBSONDocument``. It is below PyMongo's limit of 16 MiB."""
_RAW = bson.DEFAULT_CODEC_OPTIONS.with_options(document_class=RawBSONDocument)


@dataclass(frozen=True, kw_only=True)
class Documents:
    """A buffer of ``count`` BSON documents, one after the other."""

    data: bytes | memoryview
    count: int

    @classmethod
    def of(cls, documents: Iterable[RawBSONDocument]) -> Documents:
        """Return a buffer of documents that were made one by one."""
        raw = [document.raw for document in documents]
        return cls(data=b"".join(raw), count=len(raw))

    @classmethod
    def together(cls, made: Sequence[Documents]) -> Documents:
        """Return one buffer of all these, copied once. A single buffer is not copied."""
        if len(made) == 1:
            return made[0]
        return cls(data=b"".join(some.data for some in made), count=sum(some.count for some in made))

    def each(self) -> list[RawBSONDocument]:
        """Return the documents as a list."""
        return split(self.data)


def split(data: bytes | memoryview) -> list[RawBSONDocument]:
    """Return the documents that ``data`` holds, one after the other, as a list."""
    return bson.decode_all(data, _RAW)


def insert(into: Collection[Document], documents: Documents, *, session: ClientSession | None = None) -> None:
    """Insert all documents in the session's transaction. This is one command, or a few if there are many bytes.

    Without a session there is no transaction, and the collection's write concern is used. If this raises then, some of
    the documents may have been inserted.

    Raises:
        BulkWriteError: some documents were not inserted, for example because their key exists. The same error as that
            of ``insert_many``.
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
    """Yield ``data`` in stretches of whole documents, each of at most :data:`MOST_BYTES` if it has several."""
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
    """A document whose ``raw`` is the whole buffer, which the encoder sends.

    Its fields, which a log shows for example, are those of the first document.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        super().__init__(bytes(data[: int.from_bytes(data[:4], "little")]))
        self._data = data

    @property
    def raw(self) -> bytes | memoryview:
        return self._data


@cache
def _goes_out_as_it_is() -> bool:
    two = memoryview(bson.encode({"_id": 1}) + bson.encode({"_id": 2}))  # a memoryview, as the buffers that Arrow makes
    return bson.encode(_BackToBack(two)) == two
