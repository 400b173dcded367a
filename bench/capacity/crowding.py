"""What costs something though nothing is done: connections, and a monitor's look at jobs that wait."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pymongo.read_concern import ReadConcern

from collect.jobs.states import State
from collect.storage import upkeep
from rig import Rig, rig, say

CROWDS = (1_000, 10_000)
BATCH = 1_000


def connections(rig_: Rig) -> Counter[str]:
    """Those that the database has, by who made them."""
    admin = rig_.db.client.get_database("admin", read_concern=ReadConcern("local"))
    ops = admin.aggregate([{"$currentOp": {"idleConnections": True, "allUsers": True}}])
    return Counter(str(op.get("appName")) for op in ops if op.get("client"))


def copies(job: dict[str, Any], part: dict[str, Any], many: int) -> Iterator[tuple[list[Any], list[Any]]]:
    """The job and its part so many times over, as jobs that wait for their organisation's cap."""
    for start in range(0, many, BATCH):
        jobs = [
            {**job, "_id": f"01kwaiting{n:016d}", "state": State.QUEUED.value, "lock": None}
            for n in range(start, min(many, start + BATCH))
        ]
        parts = [{**part, "_id": f"{one['_id']}:0", "job_id": one["_id"], "status": "idle"} for one in jobs]
        yield jobs, parts


def looks(rig_: Rig, job: dict[str, Any], part: dict[str, Any], crowds: Sequence[int]) -> None:
    """Milliseconds of the monitor's question who is hungry, with so many jobs that wait."""
    for many in crowds:
        rig_.db.jobs.delete_many({"_id": {"$ne": job["_id"]}})
        rig_.db.parts.delete_many({"job_id": {"$ne": job["_id"]}})
        for jobs, parts in copies(job, part, many):
            rig_.db.jobs.insert_many(jobs)
            rig_.db.parts.insert_many(parts)
        began = time.monotonic()
        hungry = len(upkeep.hungry(rig_.db))
        say(f"{many:,} jobs wait: who is hungry takes {(time.monotonic() - began) * 1000:.0f} ms ({hungry} are)")


def main(*, rows: int) -> None:
    with rig() as rig_:
        rig_.worker(slots=2)
        job_id = rig_.upload(rig_.file(rows, rejects=100))
        rig_.until(job_id, State.SUCCEEDED)
        made = ", ".join(f"{name} {count}" for name, count in sorted(connections(rig_).items()))
        say(f"connections to the database after a job: {made}")
        job, part = rig_.db.jobs.find_one({"_id": job_id}), rig_.db.parts.find_one({"_id": f"{job_id}:0"})
        assert job is not None
        assert part is not None
        for service in reversed(rig_.services):
            service.stop()
        looks(rig_, job, part, CROWDS)
