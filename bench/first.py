"""Milliseconds from the request for a job to its first committed chunk, on an idle system, for files of every size.

    make bench ONLY=first

The file is there already; two slots are free. One row in a hundred is rejected. Each job is terminated once it has
begun, so that the next one finds the system idle.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from collect.client.errors import Refused
from collect.jobs.states import State
from rig import Rig, rig, told

SIZES = (1_000, 100_000, 1_000_000)
TRIES = 20
LONGEST_SECONDS = 60.0
STEP_SECONDS = 0.002


def begins(rig_: Rig, job_id: str) -> None:
    """Wait, by small steps, until a chunk of the job is committed."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while rig_.db.ledger.find_one({"job_id": job_id}, {"_id": 1}) is None:
        assert time.monotonic() < deadline, rig_.client.jobs.get(job_id).status
        time.sleep(STEP_SECONDS)  # the steps are the resolution of what is measured


def once(rig_: Rig, file_id: str) -> float:
    """Milliseconds of one job, which is taken back then."""
    began = time.monotonic()
    job_id = rig_.create(file_id)
    begins(rig_, job_id)
    milliseconds = (time.monotonic() - began) * 1000
    try:
        rig_.client.jobs.terminate(job_id, reason="bench")
    except Refused:  # it has succeeded already
        rig_.client.jobs.undo(job_id, reason="bench")
    rig_.until(job_id, State.TERMINATED, State.UNDONE)
    return milliseconds


def sizes(rig_: Rig, rows: Sequence[int]) -> None:
    for size in rows:
        file = rig_.client.files.upload(rig_.file(size, rejects=100))
        once(rig_, file.id)
        told(f"request → first chunk of {size:,} rows", [once(rig_, file.id) for _ in range(TRIES)], "ms")


def main(*, rows: int | None = None) -> None:
    with rig() as rig_:
        rig_.worker(slots=2)
        sizes(rig_, SIZES if rows is None else [rows])
