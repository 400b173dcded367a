"""Seconds from a kill -9 to the part going on elsewhere: of a slot's process, and of a whole worker.

python bench losses
"""

from __future__ import annotations

import functools
import os
import signal
import time

from collect.jobs.states import State
from collect.testing.system import eventually
from rig import Rig, rig, told

TRIES = 8


def going_on(rig_: Rig, job_id: str, epochs: dict[int, int]) -> bool:
    """Whether a part that was leased then has committed a chunk under a newer epoch."""
    parts = rig_.db.parts.find({"job_id": job_id, "n": {"$in": list(epochs)}}, {"n": 1, "epoch": 1})
    newest = {part["n"]: part["epoch"] for part in parts}
    entries = rig_.db.ledger.find({"job_id": job_id, "n": {"$in": list(epochs)}}, {"n": 1, "epoch": 1})
    return any(newest[entry["n"]] >= entry["epoch"] > epochs[entry["n"]] for entry in entries)


def leased(rig_: Rig, job_id: str) -> dict[int, int]:
    found = rig_.db.parts.find({"job_id": job_id, "status": "leased", "seq": {"$gt": 0}}, {"n": 1, "epoch": 1})
    return {part["n"]: part["epoch"] for part in found}


def main(*, rows: int = 400_000) -> None:
    with rig() as rig_:
        slots: list[float] = []
        workers: list[float] = []
        for attempt in range(TRIES):
            worker, other = rig_.worker(slots=1), rig_.worker(slots=1)
            job_id = rig_.upload(rig_.file(rows))
            rig_.client.jobs.patch(job_id, max_rows_per_second=20_000)
            epochs = eventually(functools.partial(leased, rig_, job_id), seconds=30, what="a part is leased")
            began = time.monotonic()
            if attempt % 2:
                worker.kill()
                other.kill()
                rig_.worker(slots=1, wait=False)
            else:
                for service in (worker, other):
                    os.kill(service.children()[-1], signal.SIGKILL)
            eventually(functools.partial(going_on, rig_, job_id, epochs), seconds=60, what="it goes on")
            (workers if attempt % 2 else slots).append(time.monotonic() - began)
            rig_.client.jobs.terminate(job_id, reason="bench")
            rig_.until(job_id, State.TERMINATED)
            for service in rig_.services[2:]:
                service.stop()
        told("kill -9 of the slots → going on", slots, "s")
        told("kill -9 of all workers, a new one started → going on", workers, "s")
