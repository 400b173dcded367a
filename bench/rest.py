"""What a paused job costs in ten seconds: processor time of the worker's processes, slots, deliveries, writes.

    make bench ONLY=rest

The worker's processes beat every few seconds whether a job is there or not, so ten seconds without any job are measured
as well.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from collect.testing.system import Service, eventually
from rig import Rig, rig, say
from stack import rabbitmq
from verbs import freed

SECONDS = 10.0
TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(worker: Service) -> float:
    """User and system time of the worker and its children so far."""
    total = 0
    for pid in (worker.pid, *worker.children()):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def over(worker: Service) -> float:
    """Processor seconds spent within :data:`SECONDS`."""
    before = processor_seconds(worker)
    time.sleep(SECONDS)  # what is used while nothing happens is what is measured
    return processor_seconds(worker) - before


def paused(rig_: Rig, rows: int) -> None:
    worker = rig_.worker(slots=2)
    without = over(worker)
    job_id = rig_.upload(rig_.file(rows))
    eventually(lambda: rig_.written(job_id), seconds=60, what="rows are written")
    rig_.client.jobs.pause(job_id, reason="bench")
    eventually(lambda: freed(rig_, job_id), seconds=10, what="slots are free")
    before = rig_.written(job_id)
    spent = over(worker)
    out = rig_.db.parts.count_documents({"job_id": job_id, "status": {"$in": ["queued", "leased"]}})
    queue = rabbitmq.call(os.environ["RABBITMQ_MANAGEMENT_URL"], "GET", f"/api/queues/{rig_.db.db.name}/jobs.upload")
    say(
        f"paused for {SECONDS:g} s: processor {spent:.2f} s (without a job {without:.2f} s), parts out {out}, "
        f"messages queued or delivered {queue['messages']}, rows written {rig_.written(job_id) - before}"
    )
    rig_.client.jobs.terminate(job_id, reason="bench")


def main(*, rows: int = 300_000) -> None:
    with rig() as rig_:
        paused(rig_, rows)
