"""What a check can find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """What does not hold. A closed list; each has a test that plants it and sees it found."""

    UNREADABLE = "unreadable"
    """A job or part that this release cannot read."""
    NO_JOB = "no_job"
    """A part, ledger entry, audit entry or reject of a job that does not exist."""
    OTHER_ORGANISATION = "other_organisation"
    """Something of a job belongs to another organisation than the job."""

    LEDGER_NOT_DENSE = "ledger_not_dense"
    """The entries of a part are not numbered 0 to seq - 1."""
    LEDGER_EPOCH_FELL = "ledger_epoch_fell"
    """A chunk was written with an older epoch than the chunk before it, or a newer one than the part has."""
    COUNTS_DIFFER = "counts_differ"
    """A part's counts are not the sums of its ledger entries."""
    REJECTS_DIFFER = "rejects_differ"
    """There are more stored rejects than were counted; or fewer, with fewer stored than are kept of a job."""
    NOT_UNDONE = "not_undone"
    """Undo has passed an entry without undoing it, or an entry is undone of a part that has not been turned round."""
    CONFLICTS_DIFFER = "conflicts_differ"
    """The conflicts counted are not those listed."""

    TICKET_VOID = "ticket_void"
    """A queued part whose ticket is not its epoch, so that nobody can claim it; or a valid ticket of another part."""
    OWNER_MISSING = "owner_missing"
    """A leased part without owner or lease."""
    RESTS_WITH_PARTS_OUT = "rests_with_parts_out"
    """A job at rest of which something can still be written."""
    PARTS_LEFT_DIFFER = "parts_left_differ"
    """The job's count of parts to go is not the number of parts to go."""
    STUCK = "stuck"
    """An active job that nothing will ever move."""
    TOTAL_DIFFERS = "total_differs"
    """More rows than there are, or a job that has succeeded without an outcome for each row."""

    LOCK_MEMBER = "lock_member"
    """Somebody stands in a lock's line who should not, or twice."""
    LOCK_MISSING = "lock_missing"
    """A job that holds its dataset, or waits for it, does not stand in its line."""
    LOCK_PASSED_BY = "lock_passed_by"
    """A job has parts out that is not at the head of its lock."""

    AUDIT_NOT_DENSE = "audit_not_dense"
    """The audit entries are not numbered 1 to the job's audit number."""
    AUDIT_ILLEGAL = "audit_illegal"
    """A move that the table does not have, or one that does not begin where the one before it ended."""

    MARK_UNKNOWN = "mark_unknown"
    """A row, team or person that names a ledger entry which does not exist, or which wrote nothing."""
    MARK_UNDONE = "mark_undone"
    """More documents carry the mark of an undone entry than its conflicts list."""
    MARKS_DIFFER = "marks_differ"
    """More or fewer documents carry an entry's mark than it wrote."""
    ROWS_LOST = "rows_lost"
    """There are fewer rows, or teams and people, than jobs have created and not taken back."""

    TEAMS_DIFFER = "teams_differ"
    """A job has made more or fewer teams than its rows have succeeded."""
    LINK_BROKEN = "link_broken"
    """A team has a manager or a member who is nobody."""

    OUTBOX_STANDS = "outbox_stands"
    """A message has been committed and has not left."""
    OBJECT_ORPHANED = "object_orphaned"
    """A stored object that nobody owns."""
    OBJECT_MISSING = "object_missing"
    """A file or a result whose bytes are gone, or are not as many as they were."""
    RESULT_DIFFERS = "result_differs"
    """An export that has succeeded without a result, or a result whose objects or parts do not add up to it."""


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One thing that does not hold. ``subject`` is the id of the document that it was seen on."""

    code: Code
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.code.value} {self.subject}: {self.message}"
