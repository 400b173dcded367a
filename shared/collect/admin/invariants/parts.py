"""Checks parts and their ledgers: ownership, numbering, sums and undo."""

from __future__ import annotations

from collections.abc import Iterator

from collect.admin.invariants.facts import Entry, Facts
from collect.admin.invariants.findings import Code, Finding
from collect.jobs.model import OUT, Part, PartStatus, Phase, part_id
from collect.jobs.states import RESTING

_SUMMED = ("succeeded", "rejected", "left_out", "created", "changed")


def check(facts: Facts) -> Iterator[Finding]:
    """Yield the findings on each part of one job."""
    for part in facts.parts:
        entries = [entry for entry in facts.entries if entry.n == part.n]
        yield from _right_to_write(facts, part)
        yield from _numbers(part, entries)
        yield from _sums(part, entries)
        yield from _taken_back(part, entries)
    numbers = {part.n for part in facts.parts}
    for entry in facts.entries:
        if entry.n not in numbers:
            yield Finding(code=Code.LEDGER_NOT_DENSE, subject=entry.id, message="There is no such part.")


def _right_to_write(facts: Facts, part: Part) -> Iterator[Finding]:
    if facts.job.state in RESTING and part.status in OUT:
        message = f"The job is {facts.job.state.value}, but the part is {part.status.value}."
        yield Finding(code=Code.RESTS_WITH_PARTS_OUT, subject=part.id, message=message)
    claimable = part.ticket == part.epoch
    if part.ticket > part.epoch or claimable != (part.status is PartStatus.QUEUED):
        message = f"It is {part.status.value} with ticket {part.ticket} and epoch {part.epoch}."
        yield Finding(code=Code.TICKET_VOID, subject=part.id, message=message)
    if part.status is PartStatus.LEASED and (part.owner is None or part.lease_until is None):
        yield Finding(code=Code.OWNER_MISSING, subject=part.id, message="It is leased, but has no owner.")


def _numbers(part: Part, entries: list[Entry]) -> Iterator[Finding]:
    if part.id != part_id(part.job_id, part.n):
        yield Finding(
            code=Code.UNREADABLE, subject=part.id, message=f"Its number is {part.n}, which its id does not have."
        )
    numbers = [entry.seq for entry in entries]
    if numbers != list(range(part.seq)):
        missing = sorted(set(range(part.seq)) - set(numbers))[:5]
        over = [seq for seq in numbers if seq >= part.seq][:5]
        message = f"It has {len(numbers)} entries for {part.seq} chunks. Missing: {missing}. Too many: {over}."
        yield Finding(code=Code.LEDGER_NOT_DENSE, subject=part.id, message=message)
    newest = 0
    for entry in entries:
        if not newest <= entry.epoch <= part.epoch:
            message = f"Its epoch is {entry.epoch}; the entry before has {newest}, the part {part.epoch}."
            yield Finding(code=Code.LEDGER_EPOCH_FELL, subject=entry.id, message=message)
        newest = max(newest, entry.epoch)


def _sums(part: Part, entries: list[Entry]) -> Iterator[Finding]:
    for name in _SUMMED:
        counted = getattr(part.counts, name)
        written = sum(getattr(entry.counts, name) for entry in entries)
        if counted != written:
            message = f"{name} is {counted}, but its ledger has {written}."
            yield Finding(code=Code.COUNTS_DIFFER, subject=part.id, message=message)
    most = sum(entry.wrote for entry in entries if entry.undone)
    least = sum(entry.wrote - entry.conflicts for entry in entries if entry.undone)
    if (
        not least <= part.counts.undone <= most
    ):  # a second undo may count a document as a conflict that the first has undone
        message = f"undone is {part.counts.undone}, but undone entries wrote {most}, with {most - least} conflicts."
        yield Finding(code=Code.COUNTS_DIFFER, subject=part.id, message=message)
    conflicts = sum(entry.conflicts for entry in entries)
    if part.conflicts != conflicts:
        message = f"{part.conflicts} conflicts are counted, but {conflicts} are listed."
        yield Finding(code=Code.CONFLICTS_DIFFER, subject=part.id, message=message)


def _taken_back(part: Part, entries: list[Entry]) -> Iterator[Finding]:
    """In phase undo, the entries from ``left`` on are undone. In other phases none is."""
    for entry in entries:
        passed = part.phase is Phase.UNDO and (part.status is PartStatus.DONE or entry.seq >= part.left)
        if passed and not entry.undone:
            yield Finding(code=Code.NOT_UNDONE, subject=entry.id, message="Undo has passed it, but it is not undone.")
        if entry.undone and part.phase is not Phase.UNDO:
            message = f"It is undone, but its part is in phase {part.phase.value}."
            yield Finding(code=Code.NOT_UNDONE, subject=entry.id, message=message)
