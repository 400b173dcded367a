"""Checks the marks of documents. A mark names the ledger entry by which a job first touched the document.

A job that changes another job's document replaces its mark. So the number of documents with an entry's mark is exact
only where no job has changed another's documents; elsewhere it can be lower. For a teams job only teams are counted,
though people carry its marks too.
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
    """Where a job writes: a dataset of an organisation; without ``dataset``, the organisation's teams and people."""

    org_id: str
    dataset: str | None

    @property
    def prefix(self) -> str:
        """The beginning of the ids of its documents."""
        if self.dataset is None:
            return f"{self.org_id}{KEY_SEPARATOR}"
        return row_id_prefix(org_id=self.org_id, dataset=self.dataset)

    def __str__(self) -> str:
        return self.prefix.rstrip(KEY_SEPARATOR) if self.dataset is not None else f"teams of {self.org_id}"


def place_of(facts: Facts) -> Place | None:
    """Return where the job writes; ``None`` if it writes no documents."""
    dataset = facts.job.params.get("dataset")
    if facts.job.kind == teams.KIND:
        return Place(facts.job.org_id, None)
    return Place(facts.job.org_id, dataset) if isinstance(dataset, str) else None


@dataclass(kw_only=True)
class Written:
    """The writes of all jobs according to their ledgers. It holds one entry for each chunk in memory."""

    entries: dict[str, tuple[Entry, Place]] = field(default_factory=dict)
    created: Counter[Place] = field(default_factory=Counter)
    overwritten: set[Place] = field(default_factory=set)

    def add(self, facts: Facts) -> None:
        """Add the ledger of one job."""
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
    """The documents of one place with one mark. ``counted``: whether ledgers count them; people are not counted."""

    mark: str | None
    place: Place
    counted: bool
    count: int
    first: str
    last: str


def check(snapshot: Snapshot, written: Written) -> Iterator[Finding]:
    """Yield the findings from one pass over the documents, counted by mark on the server. Empties ``written``."""
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
            message = f"It has {counted[place]} documents, but jobs created {created} that were not undone."
            yield Finding(code=Code.ROWS_LOST, subject=str(place), message=message)


def _groups(snapshot: Snapshot) -> Iterator[_Group]:
    """Yield the groups of all collections in the order of their marks."""
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
    """Check the ids' beginnings. The first and the last id are enough, because ids are sorted."""
    for document_id in {group.first, group.last}:
        if not document_id.startswith(group.place.prefix):
            message = "Its id names another organisation or dataset than its fields."
            yield Finding(code=Code.OTHER_ORGANISATION, subject=document_id, message=message)
    entry, place = written.entries.get(group.mark or "", (None, None))
    if entry is not None and place != group.place:
        message = f"Documents of {group.place} carry the mark of a job that works on {place}."
        yield Finding(code=Code.OTHER_ORGANISATION, subject=entry.id, message=message)


def _marked(mark: str, groups: list[_Group], written: Written) -> Iterator[Finding]:
    everything = sum(group.count for group in groups)
    count = sum(group.count for group in groups if group.counted)
    entry, place = written.entries.pop(mark, (None, None))
    if entry is None or place is None:
        message = f"{everything} documents carry this mark, but its entry does not exist or wrote nothing."
        yield Finding(code=Code.MARK_UNKNOWN, subject=mark, message=message)
    elif entry.undone:
        if everything > entry.conflicts:
            message = f"It is undone with {entry.conflicts} conflicts, but {everything} documents carry its mark."
            yield Finding(code=Code.MARK_UNDONE, subject=mark, message=message)
    elif count > entry.wrote or (count < entry.wrote and place not in written.overwritten):
        message = f"It wrote {entry.wrote} documents, but {count} carry its mark."
        yield Finding(code=Code.MARKS_DIFFER, subject=mark, message=message)


def _unmarked(entry: Entry, place: Place, written: Written) -> Iterator[Finding]:
    if entry.wrote and not entry.undone and place not in written.overwritten:
        message = f"It wrote {entry.wrote} documents, but none carries its mark."
        yield Finding(code=Code.MARKS_DIFFER, subject=entry.id, message=message)
