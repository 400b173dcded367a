"""Rows and the marks that they carry: each names the ledger entry by which its job first touched it.

How many rows carry an entry's mark is known exactly only where no job has changed a row of another: whoever changes a
row puts its own mark there. Elsewhere it can only be fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from collect.admin.invariants.facts import Entry, Facts, Snapshot
from collect.admin.invariants.findings import Code, Finding

Dataset = tuple[str, str]
"""Organisation and name."""


@dataclass(kw_only=True)
class Written:
    """What all jobs together have written into datasets, as their ledgers say. In memory: one entry for each chunk."""

    entries: dict[str, tuple[Entry, Dataset]] = field(default_factory=dict)
    created: dict[Dataset, int] = field(default_factory=dict)
    overwritten: set[Dataset] = field(default_factory=set)

    def add(self, facts: Facts) -> None:
        """Take in the ledger of one job."""
        name = facts.job.params.get("dataset")
        if not isinstance(name, str):
            return
        dataset = (facts.job.org_id, name)
        for entry in facts.entries:
            if entry.wrote:
                self.entries[entry.id] = (entry, dataset)
            if entry.counts.changed:
                self.overwritten.add(dataset)
            if not entry.undone:
                self.created[dataset] = self.created.get(dataset, 0) + entry.counts.created


def check(snapshot: Snapshot, written: Written) -> Iterator[Finding]:
    """One pass over the rows, counted by mark on the server. Takes the entries out of ``written``."""
    group: dict[str, Any] = {
        "_id": {"mark": "$written_by", "org_id": "$org_id", "dataset": "$dataset"},
        "rows": {"$sum": 1},
        "first": {"$min": "$_id"},
        "last": {"$max": "$_id"},
    }
    counted: dict[Dataset, int] = {}
    groups = snapshot.aggregate("rows", [{"$group": group}, {"$sort": {"_id.mark": 1}}])
    for mark, found in groupby(groups, key=lambda each: each["_id"].get("mark")):
        rows = 0
        for each in found:
            dataset = (each["_id"].get("org_id"), each["_id"].get("dataset"))
            counted[dataset] = counted.get(dataset, 0) + each["rows"]
            rows += each["rows"]
            yield from _place(each, dataset, written)
        if mark is not None:
            yield from _marked(mark, rows, written)
    for entry, dataset in written.entries.values():
        yield from _unmarked(entry, dataset, written)
    for dataset, created in written.created.items():
        if counted.get(dataset, 0) < created:
            said = f"It has {counted.get(dataset, 0)} rows; its jobs created {created} and took none of them back."
            yield Finding(code=Code.ROWS_LOST, subject="|".join(dataset), message=said)


def _place(found: dict[str, Any], dataset: Dataset, written: Written) -> Iterator[Finding]:
    """Ids between two that begin alike begin so too, hence the first and the last tell of all."""
    prefix = f"{dataset[0]}|{dataset[1]}|"
    for row_id in {found["first"], found["last"]}:
        if not str(row_id).startswith(prefix):
            said = "Its id names another organisation or dataset than the row does."
            yield Finding(code=Code.OTHER_ORGANISATION, subject=str(row_id), message=said)
    known = written.entries.get(found["_id"].get("mark"))
    if known is not None and known[1] != dataset:
        said = f"Rows of {prefix} carry the mark of a job that works on {'|'.join(known[1])}."
        yield Finding(code=Code.OTHER_ORGANISATION, subject=known[0].id, message=said)


def _marked(mark: str, rows: int, written: Written) -> Iterator[Finding]:
    entry, dataset = written.entries.pop(mark, (None, None))
    if entry is None or dataset is None:
        said = f"{rows} rows name it, and it does not exist or wrote nothing."
        yield Finding(code=Code.MARK_UNKNOWN, subject=mark, message=said)
    elif entry.undone:
        if rows > entry.conflicts:
            said = f"It is undone with {entry.conflicts} conflicts, and {rows} rows carry its mark."
            yield Finding(code=Code.MARK_UNDONE, subject=mark, message=said)
    elif rows > entry.wrote or (rows < entry.wrote and dataset not in written.overwritten):
        yield Finding(code=Code.MARKS_DIFFER, subject=mark, message=f"It wrote {entry.wrote} rows; {rows} carry it.")


def _unmarked(entry: Entry, dataset: Dataset, written: Written) -> Iterator[Finding]:
    if not entry.undone and dataset not in written.overwritten:
        said = f"It wrote {entry.wrote} rows; none carries its mark."
        yield Finding(code=Code.MARKS_DIFFER, subject=entry.id, message=said)
