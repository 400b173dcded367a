"""What became of rows: the values that a task gives back to the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collect.errors import FieldError


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row that was not written: its number in the file (from 1), its original text, and all that is wrong with it."""

    row: int
    line: str
    errors: tuple[FieldError, ...]


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """A blob that a chunk has written, before its transaction: what it is called, how much it holds, its checksum."""

    name: str
    bytes: int
    rows: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What a chunk did. ``rejects`` are all to be stored, those of the chunk included; ``undo`` is the task's record.

    ``succeeded + rejected + left_out`` is the number of the chunk's rows; a row of an earlier chunk that this one
    displaced counts −1 and +1. ``left_out`` is negative in a part's last chunk when there was more than planned.
    ``created`` and ``changed`` are the documents that undo will delete and restore; ``objects`` are the blobs that
    become part of the job's result when the chunk is committed.
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
    """A document that undo left alone, and why."""

    id: str
    row: int | None
    why: str


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """What the undo of one ledger entry did."""

    deleted: int
    restored: int
    conflicts: tuple[Conflict, ...] = ()
