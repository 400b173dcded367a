"""Seconds from a kill -9 to the part going on elsewhere: of a slot's process, and of a whole worker beside an idle one.

And of a verb that is asked for right after a kill -9 inside a chunk's transaction, whose locks a dead process holds.

    make bench ONLY=losses

The job has one part and is slowed down, so that what is measured is how long the part lies idle, and not its place in a
queue. Going on: a chunk has been committed under a newer epoch.
"""

from __future__ import annotations

import functools
import os
import signal
import time

from collect.jobs.states import State
from collect.testing.system import Service, eventually
from rig import Rig, rig, told

TRIES = 6
ROWS_PER_SECOND = 2_000


def leased(rig_: Rig, job_id: str) -> dict[str, object] | None:
    """The job's part, once it writes."""
    return rig_.db.parts.find_one({"job_id": job_id, "status": "leased", "seq": {"$gt": 0}})


def going_on(rig_: Rig, job_id: str, epoch: object) -> bool:
    return rig_.db.ledger.find_one({"job_id": job_id, "epoch": {"$gt": epoch}}, {"_id": 1}) is not None


def lose(rig_: Rig, path_rows: int, *, whole_worker: bool) -> float:
    """One job, one loss; the seconds until it goes on."""
    workers = [rig_.worker(slots=1), rig_.worker(slots=1)]
    job_id = rig_.upload(rig_.file(path_rows))
    rig_.client.jobs.patch(job_id, max_rows_per_second=ROWS_PER_SECOND)
    part = eventually(functools.partial(leased, rig_, job_id), seconds=30, what="the part is leased and writes")
    victim = next(worker for worker in workers if f"-{worker.pid}/" in str(part["owner"]))
    began = time.monotonic()
    kill(victim, whole_worker=whole_worker)
    eventually(functools.partial(going_on, rig_, job_id, part["epoch"]), seconds=60, what="it goes on")
    seconds = time.monotonic() - began
    rig_.client.jobs.terminate(job_id, reason="bench")
    rig_.until(job_id, State.TERMINATED)
    for worker in workers:
        worker.stop()
    return seconds


def verb_after(rig_: Rig, path_rows: int) -> float:
    """The slot dies after it has written and before it commits; seconds of a terminate that comes then."""
    once = rig_.folder / f"killed-{time.monotonic_ns()}"
    worker = rig_.worker(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:kill:row=5000:once={once}")
    job_id = rig_.upload(rig_.file(path_rows))
    eventually(once.exists, seconds=30, what="the slot has been killed")
    began = time.monotonic()
    rig_.client.jobs.terminate(job_id, reason="bench")
    seconds = time.monotonic() - began
    rig_.until(job_id, State.TERMINATED)
    worker.stop()
    return seconds


def kill(worker: Service, *, whole_worker: bool) -> None:
    if whole_worker:
        worker.kill()
    else:
        os.kill(worker.children()[-1], signal.SIGKILL)


def main(*, rows: int = 20_000) -> None:
    with rig() as rig_:
        for name, whole_worker in (("of a slot", False), ("of a worker", True)):
            told(
                f"kill -9 {name} → its part goes on",
                [lose(rig_, rows, whole_worker=whole_worker) for _ in range(TRIES)],
                "s",
            )
        told("kill -9 inside a chunk, then terminate → answered", [verb_after(rig_, rows) for _ in range(TRIES)], "s")
