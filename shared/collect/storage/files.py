"""Input files: what they are called, how large they are, and their checksum. Immutable; the bytes are a blob."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ulid import ULID

from collect.errors import NotFound, TooLarge
from collect.jobs.model import FileRef
from collect.storage.blobs import Blobs
from collect.storage.database import Database


class InputFile(BaseModel):
    """A file that somebody has sent."""

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
        """The file as a job remembers it."""
        return FileRef(id=self.id, name=self.name, bytes=self.bytes, sha256=self.sha256, blob=self.blob)


def receive(
    db: Database,
    blobs: Blobs,
    *,
    org_id: str,
    name: str,
    data: Iterable[bytes],
    max_bytes: int,
    keep_days: int,
) -> InputFile:
    """Store what comes, in flat memory. Without its last byte nothing of it is there.

    Raises:
        TooLarge: as soon as it is more than ``max_bytes``.
    """
    file_id = str(ULID()).lower()
    blob = f"files/{org_id}/{file_id}"
    digest = hashlib.sha256()
    size = blobs.write(blob, _measured(data, digest, max_bytes))
    now = datetime.now(UTC)
    document: dict[str, Any] = {
        "_id": file_id,
        "org_id": org_id,
        "name": name,
        "bytes": size,
        "sha256": digest.hexdigest(),
        "blob": blob,
        "created_at": now,
        "expires_at": now + timedelta(days=keep_days),
    }
    db.files.insert_one(document)
    return InputFile.model_validate(document)


def get(db: Database, *, org_id: str, file_id: str) -> InputFile:
    """One file of the organisation.

    Raises:
        NotFound: it has none of that id.
    """
    document = db.files.find_one({"_id": file_id, "org_id": org_id})
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
