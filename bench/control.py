"""What control costs: a job under two slots, beside two bare processes that run the same task (and one beside one).

    make bench ONLY=control ROWS=1000000

The bare processes plan, make chunks ahead and apply them as a slot does, in autocommit: no transaction, ledger, fence,
lease or progress, so that nothing of it can be stopped, resumed or taken back.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence

from collect.jobs.model import Job, Part, PartStatus, Phase, part_id
from collect.jobs.states import State
from collect.runtime.prefetch import ahead
from collect.runtime.task import ChunkSize
from collect.storage.database import connect
from rig import Rig, rig, say
from upload_worker.task import UploadTask
from upload_worker.wiring import make_task

STORAGE_URL = "gridfs://"
SPAWN = multiprocessing.get_context("spawn")


def planned(rig_: Rig, job: Job) -> list[Part]:
    """The parts that the task finds."""
    steps = make_task(rig_.db, STORAGE_URL).plan(job, None)
    found = [step for step in steps if step is not None]
    return [
        Part(
            id=part_id(job.id, n), job_id=job.id, org_id=job.org_id, kind=job.kind, n=n, phase=Phase.RUN,
            status=PartStatus.LEASED, source=step.source, cursor=step.cursor, total=step.total,
        )
        for n, step in enumerate(found, 1)
    ]  # fmt: skip


def run(mongodb_url: str, database: str, job: Job, parts: Sequence[Part]) -> None:
    """One bare process."""
    db = connect(mongodb_url, database=database, app_name="bench-bare")
    task = make_task(db, STORAGE_URL)
    with db.client.start_session() as session:
        for part in parts:
            with ahead(task.chunks(job, part, ChunkSize(rows=UploadTask.rows.most)), hear=lambda: None) as chunks:
                for chunk in chunks:
                    task.apply(job, part, chunk, entry_id=f"{job.id}:{part.n}:0", session=session)


def bare(rig_: Rig, job_id: str, rows: int, *, processes: int) -> float:
    """Rows a second without control. The processes are started and warm before time counts, as slots are."""
    document = rig_.db.jobs.find_one({"_id": job_id})
    job = Job.model_validate(document)
    with SPAWN.Pool(processes) as pool:
        pool.map(time.sleep, [0.1] * processes)
        began = time.monotonic()
        parts = planned(rig_, job)
        shares = [parts[n::processes] for n in range(processes)]
        pool.starmap(run, [(os.environ["MONGODB_URL"], rig_.db.db.name, job, share) for share in shares], chunksize=1)
        seconds = time.monotonic() - began
    rig_.db.rows.drop()
    rig_.db.db.create_collection("rows")
    return rows / seconds


def controlled(rig_: Rig, job_id: str, rows: int, *, slots: int) -> float:
    """Rows a second of the same job under control."""
    worker = rig_.worker(slots=slots)
    rig_.until(job_id, State.SUCCEEDED)
    worker.stop()
    rate = rows / rig_.ran_seconds(job_id)
    rig_.db.rows.drop()
    rig_.db.db.create_collection("rows")
    return rate


def main(*, rows: int = 1_000_000) -> None:
    with rig() as rig_:
        file = rig_.client.files.upload(rig_.file(rows, rejects=100))
        for number in (1, 2):
            job_id = rig_.create(file.id)
            without = bare(rig_, job_id, rows, processes=number)
            under = controlled(rig_, job_id, rows, slots=number)
            say(
                f"{number}: bare {without:,.0f} rows/s, under control {under:,.0f} rows/s, "
                f"control costs {(1 - under / without) * 100:.0f} %"
            )
