"""The input files: name, size and checksum. An input file never changes. Its bytes are a blob."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ulid import ULID

from collect.errors import NotFound, TooLarge
from collect.jobs.model import FileRef
from collect.storage.database import Database, Transaction, stored
from collect.storage.object_store import Blobs

PREFIX = "files/"


class InputFile(BaseModel):
    """An input file that a client has sent."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str = Field(alias="_id")
    org_id: str
    name: str
    bytes: int
    sha256: str
    blob: str
    created_at: datetime
    expires_at: datetime

    @property
    def ref(self) -> FileRef:
        """The fields of the file that a job stores."""
        return FileRef(id=self.id, name=self.name, bytes=self.bytes, sha256=self.sha256, blob=self.blob)


def store(blobs: Blobs, *, org_id: str, name: str, data: Iterable[bytes], max_bytes: int, keep_days: int) -> InputFile:
    """Store ``data`` as a blob, in flat memory, and return its file. The file cannot be found before :func:`insert`.

    Raises:
        TooLarge: as soon as there are more than ``max_bytes``; the blob is not stored.
    """
    file_id = str(ULID()).lower()
    blob = f"{PREFIX}{org_id}/{file_id}"
    digest = hashlib.sha256()
    size = blobs.write(blob, _measured(data, digest, max_bytes))
    now = stored(datetime.now(UTC))
    return InputFile(
        id=file_id,
        org_id=org_id,
        name=name,
        bytes=size,
        sha256=digest.hexdigest(),
        blob=blob,
        created_at=now,
        expires_at=now + timedelta(days=keep_days),
    )


def insert(tx: Transaction, file: InputFile) -> None:
    """Insert the document of a stored file in the transaction, so that the file can be found. Idempotent."""
    if tx.db.files.find_one({"_id": file.id}, {"_id": 1}, session=tx.session) is None:
        tx.db.files.insert_one(file.model_dump(by_alias=True), session=tx.session)


def discard(blobs: Blobs, file: InputFile) -> None:
    """Remove the blob of a file that :func:`insert` was not called for. Idempotent."""
    blobs.delete(file.blob)


def get(db: Database, *, org_id: str, file_id: str) -> InputFile:
    """Return one file of the organisation.

    Raises:
        NotFound: the organisation has no file with that id, or the file has expired. An expired file is removed as
            soon as no job needs it.
    """
    document = db.files.find_one({"_id": file_id, "org_id": org_id, "expires_at": {"$gt": datetime.now(UTC)}})
    if document is None:
        raise NotFound(f"There is no file {file_id!r}.")
    return InputFile.model_validate(document)


def _measured(data: Iterable[bytes], digest: Any, max_bytes: int) -> Iterator[bytes]:
    size = 0
    for piece in data:
        size += len(piece)
        if size > max_bytes:
            raise TooLarge(f"The file is larger than the {max_bytes:,} bytes that your organisation may send.")
        digest.update(piece)
        yield piece
