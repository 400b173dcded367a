"""A plant that has responses: exports of them under fire, each compared with one that nobody disturbed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pymongo.read_concern import ReadConcern

from collect.admin.check import check
from collect.api.jobs import Job
from collect.jobs.forms import FieldType, Form, FormField
from collect.jobs.states import State
from collect.storage import forms, results
from collect.storage.object_store import Blobs, open_blobs
from collect.testing.system import Service, eventually
from support.system_under_test import KEPT, ORG, REST_SECONDS, Plant

FORM_ID = "survey"
ROWS = 90_000
"""Three parts, and about ten chunks, since a chunk has ten thousand rows or eight megabytes at least."""
AT_ONCE = 700
"""So many are submitted at one moment."""
HUGE_EVERY, HUGE_BYTES = 2_000, 200_000
SLOWLY = 15_000.0
VERY_SLOWLY = 4_000.0
SLOT = "export-worker-slot"
T0 = datetime(2017, 8, 1, tzinfo=UTC)
FIELDS = {
    "response_id": FieldType.STRING,
    "submitted_at": FieldType.DATETIME,
    "name": FieldType.STRING,
    "age": FieldType.INTEGER,
    "more": FieldType.JSON,
    "note": FieldType.STRING,
}
NAMES = ("Asha", "=1+1", "ग्राम पंचायत", 'a "b",\nc', None, "+919431000123")


class Exporter(Plant):
    """Gateway, monitor and a form with responses, which outlive its tests; workers are started by each."""

    kept = (*KEPT, "forms", "responses")
    disk: Path | None = None
    """The folder of its blobs, where it has one."""
    _quiet: dict[str, bytes]

    def open(self) -> None:
        super().open()
        self._quiet = {}
        named = tuple(FormField(name=name, type=kind) for name, kind in FIELDS.items())
        forms.ensure(self.db, Form(org_id=ORG, form_id=FORM_ID, title=FORM_ID, version=1, fields=named))
        self.db.responses.insert_many(_responses(random.Random(7)), ordered=False)

    @property
    def blobs(self) -> Blobs:
        return open_blobs("gridfs://" if self.disk is None else f"file://{self.disk}", self.db)

    @contextmanager
    def lent(self, marks: Path) -> Iterator["Exporter"]:
        """This exporter for one test, without workers, jobs and objects. It is sound when the test ends."""
        self.quiet()
        self.marks = marks
        yield self
        self.end_workers()
        try:
            self.sound()
        finally:
            self.forget_objects()
            self.empty()

    def forget_objects(self) -> None:
        """Of all jobs. No worker may be at work."""
        self.blobs.delete_prefix(results.PREFIX)

    def exporter(self, *, slots: int = 2, wait: bool = True, **settings: str) -> Service:
        """Start an export worker."""
        return self.worker(kind="export", slots=slots, wait=wait, **settings)

    def export(self, *, rows_per_second: float | None = None, **params: Any) -> str:
        """Start an export of all responses, or of those that ``params`` name; returns the job's id."""
        job = self.client.jobs.create(
            "export", {"form_id": FORM_ID, **params}, reason="a test", max_rows_per_second=rows_per_second
        )
        return job.id

    def chunks(self, job_id: str) -> int:
        """How many the job has committed."""
        return self.db.ledger.count_documents({"job_id": job_id})

    def until_chunks(self, job_id: str, *, more_than: int = 0, seconds: float = REST_SECONDS) -> None:
        """Wait until the job has committed more, or has nothing left to commit."""
        eventually(
            lambda: self.chunks(job_id) > more_than or self.state(job_id) == State.SUCCEEDED,
            seconds=seconds,
            what=f"{job_id} has more than {more_than} chunks (it is {self.state(job_id)})",
        )

    def hurry(self, job_id: str) -> None:
        self.client.jobs.patch(job_id, max_rows_per_second=None)

    def result(self, job_id: str) -> bytes:
        """What somebody who downloads it has."""
        path = Path(self.folder) / f"{job_id}.result"
        self.client.jobs.download(job_id, path)
        return path.read_bytes()

    def part(self, job_id: str, n: int) -> bytes:
        """One part of the result."""
        path = Path(self.folder) / f"{job_id}.{n}"
        self.client.jobs.download(job_id, path, part=n)
        return path.read_bytes()

    def quiet(self, format_: str = "csv") -> bytes:
        """The result of an export that nobody disturbs; made once, by a worker of its own. No jobs are left."""
        if format_ not in self._quiet:
            worker = self.exporter()
            job_id = self.export(format=format_)
            self.until_state(job_id, State.SUCCEEDED)
            self._quiet[format_] = self.result(job_id)
            worker.stop()
            self.blobs.delete_prefix(results.prefix_of(job_id))
            self.empty()
        return self._quiet[format_]

    def equals_the_quiet_one(self, job_id: str, format_: str = "csv") -> Job:
        """The job succeeds with what an undisturbed one gives, and every invariant holds."""
        quiet = self._quiet[format_]
        self.until_state(job_id, State.SUCCEEDED)
        job = self.client.jobs.get(job_id)
        assert (job.progress.succeeded, job.progress.total, job.progress.percent) == (ROWS, ROWS, 100.0)
        found = self.result(job_id)
        if format_ == "parquet":
            assert table(found).equals(table(quiet))
        else:
            assert found == quiet
        self.sound()
        return job

    def stored(self, job_id: str) -> set[str]:
        """The names of all objects that the job has, whoever knows of them."""
        return {name for name, _ in self.blobs.stored(results.prefix_of(job_id))}

    def committed(self, job_id: str) -> set[str]:
        """The objects that the ledger names."""
        entries = self.db.ledger.find({"job_id": job_id}, {"objects.name": 1})
        return {stored["name"] for entry in entries for stored in entry["objects"]}

    def queries(self) -> list[dict[str, Any]]:
        """What the server does or keeps for slots of exports: queries that run, cursors that stand, transactions."""
        look = {"allUsers": True, "idleCursors": True, "idleSessions": True}
        mine = {"$regex": f"^{self.db.db.name}\\."}
        either: list[dict[str, Any]] = [{"ns": mine, "appName": SLOT}, {"ns": f"{self.db.db.name}.responses"}]
        admin = self.db.client.admin.with_options(read_concern=ReadConcern("local"))
        return list(admin.aggregate([{"$currentOp": look}, {"$match": {"$or": either}}]))

    def sound(self) -> None:
        findings = check(self.db, blobs=self.blobs)
        assert not findings, "\n".join(str(finding) for finding in findings)


def slots_of(worker: Service) -> list[int]:
    """The processes of its slots; its children are more than those."""
    return [pid for pid in worker.children() if b"spawn_main" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def most_megabytes(pid: int) -> float:
    """As much memory as the process has had at any time."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def table(data: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(data))


def _responses(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Many of one moment each, in no order, some of them huge."""
    ids = list(range(ROWS))
    rng.shuffle(ids)
    for n, number in enumerate(ids):
        response: dict[str, Any] = {
            "_id": f"r{number:07d}", "response_id": f"r{number:07d}", "org_id": ORG, "form_id": FORM_ID,
            "submitted_at": T0 + timedelta(minutes=n // AT_ONCE), "name": NAMES[number % len(NAMES)],
        }  # fmt: skip
        if n % 3:
            response["age"] = number % 90 if n % 7 else "old"
        if n % 5 == 0:
            response["more"] = {"seen": [number % 4, None], "by": {"team": f"t{number % 11}"}}
        if n % HUGE_EVERY == 17:
            response["note"] = "नोट " * (HUGE_BYTES // 10)
        yield response
