"""Rows a second of an upload, with one slot and with two, beside a plain loop; undo; memory of a slot's process.

    make bench ONLY=upload ROWS=1000000

The plain loop reads with `csv.DictReader` and writes with `insert_many(5000)`: no types, checks, ledger or control. One
row in a hundred of the file is rejected by the job; the loop writes them all.
"""

from __future__ import annotations

import csv
import threading
import time
from pathlib import Path

from collect.jobs.states import State
from collect.runtime.processes import usage
from collect.testing.system import Service
from rig import Rig, rig, say

BATCH = 5_000


def plain_loop(rig_: Rig, path: Path) -> float:
    """Rows a second of the loop that people write without us."""
    target = rig_.db["plain"]
    target.drop()
    rows = 0
    began = time.monotonic()
    with path.open(newline="", encoding="utf-8") as file:
        batch: list[dict[str, object]] = []
        for row in csv.DictReader(file):
            batch.append(dict(row))
            if len(batch) == BATCH:
                target.insert_many(batch, ordered=False)
                rows += len(batch)
                batch = []
        if batch:
            target.insert_many(batch, ordered=False)
            rows += len(batch)
    seconds = time.monotonic() - began
    target.drop()
    return rows / seconds


class Memory:
    """The largest resident memory seen of any child of a service, in bytes."""

    def __init__(self, service: Service) -> None:
        self.largest = 0
        self._service = service
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.largest = max([self.largest, *(usage(pid)[0] for pid in self._service.children())])


def job(rig_: Rig, path: Path, rows: int, *, slots: int) -> None:
    """One upload and its undo."""
    worker = rig_.worker(slots=slots)
    began = time.monotonic()
    with Memory(worker) as memory:
        file = rig_.client.files.upload(path)
        uploading = time.monotonic() - began
        job_id = rig_.create(file.id)
        rig_.until(job_id, State.SUCCEEDED, State.FAILED, State.PAUSED)
    assert rig_.state(job_id) is State.SUCCEEDED, rig_.client.jobs.get(job_id).status
    seconds = rig_.ran_seconds(job_id)
    plain = plain_loop(rig_, path)
    say(
        f"{slots} slot(s): {rows / seconds:,.0f} rows/s, plain loop {plain:,.0f} rows/s, "
        f"ratio {rows / seconds / plain:.2f}; file received in {uploading:.1f} s; "
        f"largest child {memory.largest / 2**20:.0f} MB"
    )
    written = rig_.written(job_id)
    rig_.client.jobs.undo(job_id, reason="bench")
    taken = rig_.until(job_id, State.UNDONE)
    say(f"{slots} slot(s): undo {written / taken:,.0f} rows/s ({written:,} rows)")
    worker.stop()


def restoring(rig_: Rig, path: Path, rows: int, *, slots: int) -> None:
    """An upsert over rows that are there, and the restoring of what it changed."""
    worker = rig_.worker(slots=slots)
    file = rig_.client.files.upload(path)
    rig_.until(rig_.create(file.id), State.SUCCEEDED)
    job_id = rig_.create(file.id, mode="upsert")
    rig_.until(job_id, State.SUCCEEDED)
    changed = rig_.written(job_id)
    say(f"{slots} slot(s): upsert {rows / rig_.ran_seconds(job_id):,.0f} rows/s, all of them changed")
    rig_.client.jobs.undo(job_id, reason="bench")
    taken = rig_.until(job_id, State.UNDONE)
    say(f"{slots} slot(s): restored {changed / taken:,.0f} rows/s ({changed:,} rows)")
    worker.stop()


def main(*, rows: int = 1_000_000) -> None:
    for slots in (1, 2):
        with rig() as rig_:  # the loop's collection is new each time, too
            path = rig_.file(rows, rejects=100)
            job(rig_, path, rows, slots=slots)
            say(f"{slots} slot(s): once more, in the dataset that was emptied by the undo")
            job(rig_, path, rows, slots=slots)
    with rig() as rig_:
        restoring(rig_, path, rows, slots=2)
