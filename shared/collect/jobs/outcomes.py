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
class Applied:
    """What a chunk did. ``rejects`` are all to be stored, those of the chunk included; ``undo`` is the task's record.

    ``succeeded + rejected`` is the number of the chunk's rows; a row of an earlier chunk that this one displaced
    counts −1 and +1. ``created`` and ``changed`` are the documents that undo will delete and restore.
    """

    succeeded: int
    rejected: int
    created: int
    changed: int
    rejects: tuple[Reject, ...]
    undo: dict[str, Any]
    objects: tuple[str, ...] = ()


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


@dataclass(frozen=True, kw_only=True)
class Marked:
    """What an undo of one ledger entry would do now."""

    will_delete: int
    will_restore: int
    conflicts: int
