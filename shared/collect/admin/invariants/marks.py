"""Documents and the marks that they carry: each names the ledger entry by which its job first touched it.

How many documents carry an entry's mark is known exactly only where no job has changed a document of another: whoever
changes one puts its own mark there. Elsewhere it can only be fewer. Of a teams job the teams are counted; its people
carry its marks too, and are not.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from collect.admin.invariants import teams
from collect.admin.invariants.facts import Entry, Facts, Snapshot
from collect.admin.invariants.findings import Code, Finding
from collect.jobs.template import KEY_SEPARATOR, row_id_prefix


class Place(NamedTuple):
    """Where a job writes: a dataset of an organisation, or, without ``dataset``, its teams and people."""

    org_id: str
    dataset: str | None

    @property
    def prefix(self) -> str:
        """What the ids of its documents begin with."""
        if self.dataset is None:
            return f"{self.org_id}{KEY_SEPARATOR}"
        return row_id_prefix(org_id=self.org_id, dataset=self.dataset)

    def __str__(self) -> str:
        return self.prefix.rstrip(KEY_SEPARATOR) if self.dataset is not None else f"teams of {self.org_id}"


def place_of(facts: Facts) -> Place | None:
    """Where the job writes, if it writes documents at all."""
    dataset = facts.job.params.get("dataset")
    if facts.job.kind == teams.KIND:
        return Place(facts.job.org_id, None)
    return Place(facts.job.org_id, dataset) if isinstance(dataset, str) else None


@dataclass(kw_only=True)
class Written:
    """What all jobs together have written, as their ledgers say. In memory: one entry for each chunk."""

    entries: dict[str, tuple[Entry, Place]] = field(default_factory=dict)
    created: Counter[Place] = field(default_factory=Counter)
    overwritten: set[Place] = field(default_factory=set)

    def add(self, facts: Facts) -> None:
        """Take in the ledger of one job."""
        place = place_of(facts)
        if place is None:
            return
        for entry in facts.entries:
            if entry.wrote or place.dataset is None:
                self.entries[entry.id] = (entry, place)
            if entry.counts.changed:
                self.overwritten.add(place)
            if not entry.undone:
                self.created[place] += entry.counts.created


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Documents of one place with one mark. ``counted``: those that a ledger counts, which it does not do of people."""

    mark: str | None
    place: Place
    counted: bool
    count: int
    first: str
    last: str


def check(snapshot: Snapshot, written: Written) -> Iterator[Finding]:
    """One pass over the documents, counted by mark on the server. Takes the entries out of ``written``."""
    counted: Counter[Place] = Counter()
    for mark, found in groupby(_groups(snapshot), key=lambda group: group.mark):
        groups = list(found)
        for group in groups:
            counted[group.place] += group.count if group.counted else 0
            yield from _belongs(group, written)
        if mark is not None:
            yield from _marked(mark, groups, written)
    for entry, place in written.entries.values():
        yield from _unmarked(entry, place, written)
    for place, created in written.created.items():
        if counted[place] < created:
            said = f"It has {counted[place]} documents; its jobs created {created} and took none of them back."
            yield Finding(code=Code.ROWS_LOST, subject=str(place), message=said)


def _groups(snapshot: Snapshot) -> Iterator[_Group]:
    """Those of all collections, in the order of their marks."""
    return heapq.merge(
        _grouped(snapshot, "rows", {"dataset": "$dataset"}),
        _grouped(snapshot, "teams", {}),
        _grouped(snapshot, "members", {}, counted=False),
        key=lambda group: group.mark or "",
    )


def _grouped(snapshot: Snapshot, name: str, more: dict[str, str], *, counted: bool = True) -> Iterator[_Group]:
    group: dict[str, Any] = {
        "_id": {"mark": "$written_by", "org_id": "$org_id", **more},
        "count": {"$sum": 1},
        "first": {"$min": "$_id"},
        "last": {"$max": "$_id"},
    }
    for found in snapshot.aggregate(name, [{"$group": group}, {"$sort": {"_id.mark": 1}}]):
        key = found["_id"]
        yield _Group(
            mark=key.get("mark"),
            place=Place(str(key.get("org_id")), str(key.get("dataset")) if more else None),
            counted=counted,
            count=found["count"],
            first=str(found["first"]),
            last=str(found["last"]),
        )


def _belongs(group: _Group, written: Written) -> Iterator[Finding]:
    """Ids between two that begin alike begin so too, hence the first and the last tell of all."""
    for found in {group.first, group.last}:
        if not found.startswith(group.place.prefix):
            said = "Its id names another organisation or dataset than the document does."
            yield Finding(code=Code.OTHER_ORGANISATION, subject=found, message=said)
    known = written.entries.get(group.mark or "")
    if known is not None and known[1] != group.place:
        said = f"Documents of {group.place} carry the mark of a job that works on {known[1]}."
        yield Finding(code=Code.OTHER_ORGANISATION, subject=known[0].id, message=said)


def _marked(mark: str, groups: list[_Group], written: Written) -> Iterator[Finding]:
    everything = sum(group.count for group in groups)
    count = sum(group.count for group in groups if group.counted)
    entry, place = written.entries.pop(mark, (None, None))
    if entry is None or place is None:
        said = f"{everything} documents name it, and it does not exist or wrote nothing."
        yield Finding(code=Code.MARK_UNKNOWN, subject=mark, message=said)
    elif entry.undone:
        if everything > entry.conflicts:
            said = f"It is undone with {entry.conflicts} conflicts, and {everything} documents carry its mark."
            yield Finding(code=Code.MARK_UNDONE, subject=mark, message=said)
    elif count > entry.wrote or (count < entry.wrote and place not in written.overwritten):
        said = f"It wrote {entry.wrote} documents; {count} carry it."
        yield Finding(code=Code.MARKS_DIFFER, subject=mark, message=said)


def _unmarked(entry: Entry, place: Place, written: Written) -> Iterator[Finding]:
    if entry.wrote and not entry.undone and place not in written.overwritten:
        said = f"It wrote {entry.wrote} documents; none carries its mark."
        yield Finding(code=Code.MARKS_DIFFER, subject=entry.id, message=said)
