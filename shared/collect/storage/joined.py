"""Many documents as one stretch of bytes, sent as it is in one ``insert`` command.

Encoding documents one by one is most of what a client spends on an insert. Documents that were made together, a column
at a time, are one buffer already. The command's ``documents`` are a section of its message in which one document
follows the other, and PyMongo copies what a ``RawBSONDocument`` holds into it unseen: so one that holds them all goes
out as all of them. Whether the installed PyMongo does so is tried once (:func:`_goes_out_as_it_is`); where it does not,
they are sent one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from collect.storage.database import Document

_RAW = bson.DEFAULT_CODEC_OPTIONS.with_options(document_class=RawBSONDocument)


@dataclass(frozen=True, kw_only=True)
class Documents:
    """``count`` BSON documents back to back. At most 48,000,000 bytes, what one message of MongoDB may hold."""

    data: bytes
    count: int

    @classmethod
    def of(cls, documents: Iterable[RawBSONDocument]) -> Documents:
        """Documents that were made one by one."""
        raw = [document.raw for document in documents]
        return cls(data=b"".join(raw), count=len(raw))

    def __add__(self, other: Documents) -> Documents:
        return Documents(data=self.data + other.data, count=self.count + other.count)

    def each(self) -> list[RawBSONDocument]:
        """One by one."""
        return bson.decode_all(self.data, _RAW)


def insert(into: Collection[Document], documents: Documents, *, session: ClientSession) -> None:
    """Insert them all within the session's transaction, in one command.

    Raises:
        BulkWriteError: not all were, as ``insert_many`` raises it; of documents with a key that is taken, say.
    """
    if not documents.count:
        return
    sent = [_BackToBack(documents.data)] if _goes_out_as_it_is() else documents.each()
    reply = into.database.command("insert", into.name, documents=sent, ordered=False, session=session)
    if reply["n"] != documents.count:
        raise BulkWriteError({"writeErrors": reply.get("writeErrors", []), "nInserted": reply["n"]})


class _BackToBack(RawBSONDocument):
    """To the encoder all of the bytes; to whoever looks at its fields, a log say, the first document."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data[: int.from_bytes(data[:4], "little")])
        self._data = data

    @property
    def raw(self) -> bytes:
        return self._data


@cache
def _goes_out_as_it_is() -> bool:
    two = bson.encode({"_id": 1}) + bson.encode({"_id": 2})
    return bson.encode(_BackToBack(two)) == two
