"""What must hold of a part and of an audit at any time, whatever happens."""

import itertools
from typing import Any

from collect.jobs.model import Job, Part, Phase
from collect.jobs.states import FINAL, LEGAL, RESTING, State, Trigger
from integration.storage.reference import TAKEN_BACK, Dataset, Reference


def check_part(part: Part, entries: list[dict[str, Any]]) -> None:
    assert part.ticket <= part.epoch
    assert (part.ticket == part.epoch) is (part.status == "queued")
    assert [entry["seq"] for entry in entries] == list(range(part.seq))
    assert sum(entry["counts"]["succeeded"] for entry in entries) == part.counts.succeeded <= part.total
    assert sum(len(entry["conflicts"]) for entry in entries) == part.conflicts
    if part.phase is Phase.UNDO:
        assert all(entry["undone"] for entry in entries if entry["seq"] >= part.left)


def check_plan(ref: Reference, job: Job, parts: list[Part]) -> None:
    """No part is lost or doubled, what is to go is counted, and the total is known when it is exact."""
    parts = sorted(parts, key=lambda part: part.n)
    zero = parts[0]
    assert [part.n for part in parts] == list(range(len(parts)))
    assert job.parts_left == sum(part.phase is not Phase.FINISH and part.status != "done" for part in parts)
    planned = [part.total for part in parts if part.source]
    assert planned == [len(rows) for rows in ref.content[: len(planned)]]
    assert job.total_rows in (None, sum(len(rows) for rows in ref.content))
    if job.total_rows is not None:
        assert len(planned) == len(ref.content)
    if zero.phase is Phase.PLAN:
        assert (job.total_rows is None) is (zero.status != "done")


def check_audit(ref: Reference, job: Job, entries: list[dict[str, Any]]) -> None:
    assert [entry["seq"] for entry in entries] == list(range(1, job.audit_seq + 1))
    for before, after in itertools.pairwise(entries):
        assert after["from"] == before["to"]
        trigger = Trigger(after["verb"])
        assert (trigger, State(after["from"]), State(after["to"])) in LEGAL
        assert State(after["from"]) not in FINAL or trigger is Trigger.UNDO
    assert entries[-1]["to"] == ref.state.value


def check_rests(ref: Reference, jobs: list[Reference], line: list[str]) -> None:
    """At the end each job rests, or waits for one that does and that keeps the dataset."""
    if ref.state in RESTING:
        return
    assert ref.state is State.QUEUED
    holder = next(job for job in jobs if job.id == line[0])
    assert holder is not ref
    assert holder.state in (State.PAUSED, State.UNDO_FAILED)


def check_outcome(ref: Reference, jobs: list[Reference], stored: Dataset, edited: set[str], parts: list[Part]) -> None:
    """What a person has written over meanwhile is left out: whose turn it was then decides what stands."""
    documents = {key: doc for key, doc in stored.documents.items() if key not in edited}
    ours = {key: doc.value for key, doc in documents.items() if doc.mark.startswith(f"{ref.id}:")}
    others = [job for job in jobs if job is not ref and job.wrote]
    if ref.state is State.SUCCEEDED:
        file = {key: value for key, value in ref.top_to_bottom().items() if key not in edited}
        assert ours.items() <= file.items()
        assert all(part.counts.done == part.total for part in parts)
        assert others or ours == file
    if ref.state in TAKEN_BACK and not ref.conflicts:
        assert ours == {}
        if ref.wrote and not others:
            assert documents == {key: doc for key, doc in ref.base.items() if key not in edited}
