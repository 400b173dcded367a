"""Exports made and run step by step on the storage's own operations, with real objects in a real store of blobs."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo.client_session import ClientSession

from collect.jobs.model import Job
from collect.jobs.outcomes import Applied, StoredObject
from collect.jobs.states import Verb
from collect.protocol import commits, creation
from collect.protocol.lease import Lease
from collect.storage import results
from collect.storage.database import Database, transact
from collect.storage.object_store import Blobs
from support import protocol_driver

HEADER = b"respondent_id,age\n"
LINES = [[b"r-1,31\nr-2,44\n", b"r-3,17\n"], [], [b"r-4,90\n" * 5]]
"""What each chunk of each part writes; the second part has nothing that matches."""
WHOLE = HEADER + b"".join(chunk for part in LINES for chunk in part)

Lines = Sequence[Sequence[bytes]]


def make(db: Database, *, org_id: str = protocol_driver.ORG, **params: Any) -> Job:
    """A new export, fed."""
    dates = {"from_date": "2017-08-01", "to_date": "2018-01-01"}
    new = creation.NewJob(
        org_id=org_id,
        kind=results.KIND,
        params={"form_id": "household-survey", "format": "csv", **dates, **params},
        actor=protocol_driver.ACTOR,
        reason="test",
        requested_at=datetime.now(UTC),
    )
    return transact(db, lambda tx: creation.create(tx, new)).value


def plan(db: Database, blobs: Blobs, job: Job, lines: Lines = LINES, *, header: bytes = HEADER) -> None:
    """A part for each of ``lines``, and what stands before the first row."""
    blobs.write(results.header_name(job.id), [header])
    protocol_driver.plan(db, job, [_rows(b"".join(part)) for part in lines])


def run(db: Database, blobs: Blobs, job: Job, lines: Lines = LINES) -> None:
    """Write every chunk of every part."""
    for n, part in enumerate(lines, start=1):
        with protocol_driver.holding(db, job, n) as lease:
            for chunk in part:
                write(db, blobs, lease, job, chunk)
            commits.part_done(lease)


def write(db: Database, blobs: Blobs, lease: Lease, job: Job, data: bytes, **undo: Any) -> str:
    """Commit one chunk with one object; the object's name."""
    part = lease.part
    name = f"{results.prefix_of(job.id)}part-{part.n}-{part.epoch}-{part.seq}"
    blobs.write(name, [data])
    rows, sha256 = _rows(data), hashlib.sha256(data).hexdigest()

    def apply(_entry: str, _session: ClientSession) -> Applied:
        stored = StoredObject(name=name, bytes=len(data), rows=rows, sha256=sha256)
        return Applied(
            succeeded=rows, rejected=0, created=0, changed=0, rejects=(), undo={"objects": [name], **undo},
            objects=(stored,),
        )  # fmt: skip

    commits.chunk(lease, job, cursor={"row": part.counts.done + rows}, write=apply)
    return name


def succeeded(db: Database, blobs: Blobs, lines: Lines = LINES, **params: Any) -> Job:
    """An export that has run to its end; of parquet, its whole is its parts joined, under names of its own."""
    job = make(db, **params)
    parquet = params.get("format") == results.NOT_JOINED
    plan(db, blobs, job, lines, header=b"" if parquet else HEADER)
    run(db, blobs, job, lines)
    result = list(results.assemble(db, blobs, protocol_driver.read_job(db, job), complete=True))[-1]
    assert result is not None
    if parquet:
        whole, name = b"".join(chunk for part in lines for chunk in part), f"{results.prefix_of(job.id)}whole-x-0"
        blobs.write(name, [whole])
        made = {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
        result = {**result, **made, "objects": [{"name": name, "bytes": len(whole)}]}
    with protocol_driver.holding(db, job, 0) as lease:
        commits.finished(lease, result)
    return protocol_driver.read_job(db, job)


def stopped(db: Database, blobs: Blobs, lines: Lines = LINES, **params: Any) -> Job:
    """An export that was stopped when its first part was written."""
    job = make(db, **params)
    plan(db, blobs, job, lines)
    run(db, blobs, job, lines[:1])
    return protocol_driver.ask(db, job, Verb.STOP)


def _rows(data: bytes) -> int:
    return data.count(b"\n")
