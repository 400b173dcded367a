"""The largest resident memory of a worker's children, for files of 100,000 to 3,000,000 rows.

    make bench ONLY=memory

A worker of two slots runs one after the other, so what the largest needs is compared with what the smallest did.
"""

from __future__ import annotations

from collect.jobs.states import State
from rig import Rig, rig, say
from upload import Memory

SIZES = (100_000, 1_000_000, 3_000_000)


def largest(rig_: Rig, rows: int) -> float:
    """MiB of the largest child while `rows` rows are written, in a worker of its own."""
    file = rig_.client.files.upload(rig_.file(rows, rejects=100))
    rig_.dataset(f"baseline{rows}")
    worker = rig_.worker(slots=2)
    with Memory(worker) as memory:
        rig_.until(rig_.create(file.id, dataset=f"baseline{rows}"), State.SUCCEEDED)
    worker.stop()
    rig_.db.rows.drop()
    return memory.largest / 2**20


def main(*, rows: int | None = None) -> None:
    with rig() as rig_:
        for size in SIZES if rows is None else [rows]:
            say(f"{size:,} rows: largest child {largest(rig_, size):.0f} MiB")
