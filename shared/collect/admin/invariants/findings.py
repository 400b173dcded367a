"""The findings of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """The invariant that does not hold. The list is closed; a test plants each violation and finds it."""

    UNREADABLE = "unreadable"
    """This release cannot read a job or a part."""
    NO_JOB = "no_job"
    """A part, ledger entry, audit entry or reject belongs to a job that does not exist."""
    OTHER_ORGANISATION = "other_organisation"
    """A document of a job belongs to another organisation than the job."""

    LEDGER_NOT_DENSE = "ledger_not_dense"
    """The entries of a part are not numbered 0 to seq - 1."""
    LEDGER_EPOCH_FELL = "ledger_epoch_fell"
    """A chunk has an older epoch than the chunk before it, or a newer epoch than its part."""
    COUNTS_DIFFER = "counts_differ"
    """A part's counts are not the sums of its ledger entries."""
    REJECTS_DIFFER = "rejects_differ"
    """More rejects are stored than were counted; or fewer are stored, below the limit of stored rejects."""
    NOT_UNDONE = "not_undone"
    """Undo has passed an entry without undoing it, or an entry is undone though its part is not in phase undo."""
    CONFLICTS_DIFFER = "conflicts_differ"
    """The number of conflicts is not the length of their list."""

    TICKET_VOID = "ticket_void"
    """A queued part's ticket is not its epoch, so it cannot be claimed; or another part has a valid ticket."""
    OWNER_MISSING = "owner_missing"
    """A leased part has no owner or no lease."""
    RESTS_WITH_PARTS_OUT = "rests_with_parts_out"
    """A job is at rest, but one of its parts can still be claimed or written."""
    PARTS_LEFT_DIFFER = "parts_left_differ"
    """The job's ``parts_left`` is not the number of its unfinished parts."""
    STUCK = "stuck"
    """An active job cannot go on."""
    TOTAL_DIFFERS = "total_differs"
    """A job counts more rows than it has, or it has succeeded without an outcome for each row."""

    LOCK_MEMBER = "lock_member"
    """A lock's queue has a job that does not belong there, or has it twice."""
    LOCK_MISSING = "lock_missing"
    """A job that holds its lock or waits for it is not in the lock's queue."""
    LOCK_PASSED_BY = "lock_passed_by"
    """A job has parts out, but is not at the head of its lock's queue."""

    AUDIT_NOT_DENSE = "audit_not_dense"
    """The audit entries are not numbered 1 to the job's audit number."""
    AUDIT_ILLEGAL = "audit_illegal"
    """A move is not in the table of moves, or does not begin where the move before it ended."""

    MARK_UNKNOWN = "mark_unknown"
    """A row, team or person carries the mark of a ledger entry that does not exist or wrote nothing."""
    MARK_UNDONE = "mark_undone"
    """More documents carry the mark of an undone entry than its conflicts list."""
    MARKS_DIFFER = "marks_differ"
    """More or fewer documents carry an entry's mark than it wrote."""
    ROWS_LOST = "rows_lost"
    """Fewer rows, or teams and people, are stored than jobs have created and not undone."""

    TEAMS_DIFFER = "teams_differ"
    """A job has created more or fewer teams than it has succeeded rows."""
    LINK_BROKEN = "link_broken"
    """A team names a manager or a member who does not exist."""

    OUTBOX_STANDS = "outbox_stands"
    """A message was committed, but not published."""
    OBJECT_ORPHANED = "object_orphaned"
    """No document names a stored object."""
    OBJECT_MISSING = "object_missing"
    """The bytes of a file or a result are missing, or are not as many as recorded."""
    RESULT_DIFFERS = "result_differs"
    """An export has succeeded without a result, or the objects or parts of a result do not add up to it."""


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One invariant that does not hold. ``subject``: the id of the document that breaks it."""

    code: Code
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.code.value} {self.subject}: {self.message}"
