"""Parts and their ledger: who may write, what was written, what was taken back."""

from __future__ import annotations

from collections.abc import Iterator

from collect.admin.invariants.facts import Entry, Facts
from collect.admin.invariants.findings import Code, Finding
from collect.jobs.model import OUT, Part, PartStatus, Phase, part_id
from collect.jobs.states import RESTING

_SUMMED = ("succeeded", "rejected", "left_out", "created", "changed")


def check(facts: Facts) -> Iterator[Finding]:
    """All that must hold of each part of one job."""
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
        said = f"The job is {facts.job.state.value}, and the part is {part.status.value}."
        yield Finding(code=Code.RESTS_WITH_PARTS_OUT, subject=part.id, message=said)
    claimable = part.ticket == part.epoch
    if part.ticket > part.epoch or claimable != (part.status is PartStatus.QUEUED):
        said = f"It is {part.status.value} with ticket {part.ticket} and epoch {part.epoch}."
        yield Finding(code=Code.TICKET_VOID, subject=part.id, message=said)
    if part.status is PartStatus.LEASED and (part.owner is None or part.lease_until is None):
        yield Finding(code=Code.OWNER_MISSING, subject=part.id, message="It is leased, and nobody holds it.")


def _numbers(part: Part, entries: list[Entry]) -> Iterator[Finding]:
    if part.id != part_id(part.job_id, part.n):
        yield Finding(code=Code.UNREADABLE, subject=part.id, message=f"It calls itself part {part.n}.")
    numbers = [entry.seq for entry in entries]
    if numbers != list(range(part.seq)):
        missing = sorted(set(range(part.seq)) - set(numbers))[:5]
        over = [seq for seq in numbers if seq >= part.seq][:5]
        said = f"{len(numbers)} entries for {part.seq} chunks; missing {missing}, too many {over}."
        yield Finding(code=Code.LEDGER_NOT_DENSE, subject=part.id, message=said)
    newest = 0
    for entry in entries:
        if not newest <= entry.epoch <= part.epoch:
            said = f"Written with epoch {entry.epoch} after epoch {newest}; the part is at {part.epoch}."
            yield Finding(code=Code.LEDGER_EPOCH_FELL, subject=entry.id, message=said)
        newest = max(newest, entry.epoch)


def _sums(part: Part, entries: list[Entry]) -> Iterator[Finding]:
    for name in _SUMMED:
        counted = getattr(part.counts, name)
        written = sum(getattr(entry.counts, name) for entry in entries)
        if counted != written:
            said = f"{name} is {counted}; the ledger has {written}."
            yield Finding(code=Code.COUNTS_DIFFER, subject=part.id, message=said)
    most = sum(entry.wrote for entry in entries if entry.undone)
    least = sum(entry.wrote - entry.conflicts for entry in entries if entry.undone)
    if not least <= part.counts.undone <= most:  # a second undo may list as a conflict what the first has taken back
        said = f"undone is {part.counts.undone}; the undone entries wrote {most}, {most - least} conflicts aside."
        yield Finding(code=Code.COUNTS_DIFFER, subject=part.id, message=said)
    conflicts = sum(entry.conflicts for entry in entries)
    if part.conflicts != conflicts:
        said = f"{part.conflicts} conflicts are counted, {conflicts} are listed."
        yield Finding(code=Code.CONFLICTS_DIFFER, subject=part.id, message=said)


def _taken_back(part: Part, entries: list[Entry]) -> Iterator[Finding]:
    """In undo, what lies behind the mark ``left`` is undone; before it begins, nothing is."""
    for entry in entries:
        passed = part.phase is Phase.UNDO and (part.status is PartStatus.DONE or entry.seq >= part.left)
        if passed and not entry.undone:
            yield Finding(code=Code.NOT_UNDONE, subject=entry.id, message="Undo has passed it by.")
        if entry.undone and part.phase is not Phase.UNDO:
            said = f"It is undone, and its part is in phase {part.phase.value}."
            yield Finding(code=Code.NOT_UNDONE, subject=entry.id, message=said)
