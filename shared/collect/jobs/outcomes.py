"""The outcomes of rows: the values that a task returns to the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collect.errors import FieldError


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row that was not written: its number in the file (from 1), its original text, and all its errors."""

    row: int
    line: str
    errors: tuple[FieldError, ...]


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """A blob that a chunk wrote before its transaction: its name, its size in bytes and rows, and its checksum."""

    name: str
    bytes: int
    rows: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The result of one chunk.

    ``succeeded + rejected + left_out`` is the number of the chunk's rows. A row of an earlier chunk that this chunk
    displaced counts −1 as succeeded and +1 as rejected. ``left_out`` is negative in a part's last chunk if the part had
    more rows than planned. ``created`` and ``changed`` count the documents that undo will delete and restore.

    ``rejects``: all rejects to store; rows of earlier chunks may be among them. ``undo``: the task's own record, which
    it needs to undo the chunk. ``objects``: blobs that become part of the job's result when the chunk is committed.
    """

    succeeded: int
    rejected: int
    created: int
    changed: int
    rejects: tuple[Reject, ...]
    undo: dict[str, Any]
    left_out: int = 0
    objects: tuple[StoredObject, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A document that an undo did not change, and the reason."""

    id: str
    row: int | None
    why: str


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """The result of the undo of one ledger entry: documents deleted, restored and left alone."""

    deleted: int
    restored: int
    conflicts: tuple[Conflict, ...] = ()
