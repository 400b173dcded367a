"""Twenty million responses, exported once to their end, and once more with the wrong date and stopped after 5 seconds.

make bench ONLY=huge ROWS=20000000
"""

from __future__ import annotations

import time

from collect.demo import survey
from collect.jobs.states import State
from collect.testing.system import eventually
from exports import export, seed
from rig import Rig, rig, say

WRONG_SECONDS = 5.0


def stopped(rig_: Rig) -> None:
    """The export that nobody wants."""
    wanted = {"form_id": survey.FORM_ID, "from_date": "2015-08-01"}
    job_id = rig_.client.jobs.create("export", wanted, reason="bench", confirm="never").id
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > WRONG_SECONDS, seconds=60, what="it has run for some seconds")
    action = rig_.client.jobs.stop(job_id, reason="bench").last_action
    assert action is not None
    free = eventually(lambda: rig_.slots_free(job_id), seconds=30, what="its slots are free")
    say(
        f"wrong date, stopped after {WRONG_SECONDS:.0f} s: in effect after {action.latency_ms:.0f} ms, "
        f"slots free {free:.0f} ms later, {rig_.written(job_id):,} rows kept"
    )


def main(*, rows: int = 20_000_000) -> None:
    with rig() as rig_:
        seed(rig_, rows)
        job, seconds, largest = export(rig_, slots=2)
        size = rig_.client.jobs.manifest(job.id).bytes
        say(
            f"{rows:,} responses: {seconds:.0f} s, {rows / seconds:,.0f} rows/s, {size / 1e9:.2f} GB of CSV, "
            f"largest child {largest / 2**20:.0f} MB"
        )
        rig_.worker(kind="export", slots=2)
        rig_.client.jobs.undo(job.id, reason="bench")
        say(f"taken back in {rig_.until(job.id, State.UNDONE):.1f} s")
        stopped(rig_)
