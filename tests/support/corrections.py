"""A real job without its runtime: made, planned, run, corrected and taken back by the storage's own operations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ulid import ULID

from collect.csv import corrections as csv_corrections
from collect.csv.corrections import Sheet
from collect.csv.reading import Source, cursor
from collect.jobs.model import FileRef, Job, Phase, entry_id
from collect.jobs.progress import summed
from collect.jobs.states import State, Verb
from collect.protocol import commits, corrections, creation, plan_commits, verbs
from collect.protocol.corrections import Corrected
from collect.protocol.lease import Lease
from collect.protocol.verbs import Options, Request
from collect.runtime.task import ChunkSize
from collect.storage import datasets, parts, rejects
from collect.storage.database import Database, transact
from collect.storage.object_store import Blobs
from support.protocol_driver import ACTOR, holding, read_job
from upload_worker.task import UploadTask

ORG = "labs"


@dataclass
class CorrectedJob:
    """One upload, whose every step the test takes."""

    db: Database
    blobs: Blobs
    job_id: str
    dataset: str

    def __post_init__(self) -> None:
        self.task = UploadTask(db=self.db, blobs=self.blobs)

    @classmethod
    def begin(cls, db: Database, blobs: Blobs, data: bytes, *, dataset: str, **params: Any) -> "CorrectedJob":
        blob = f"files/{ORG}/{str(ULID()).lower()}"
        blobs.write(blob, [data])
        new = creation.NewJob(
            org_id=ORG,
            kind="upload",
            params={"dataset": dataset, "mode": "insert", **params},
            actor=ACTOR,
            reason="test",
            requested_at=datetime.now(UTC),
            lock=datasets.lock_name(org_id=ORG, name=dataset),
            file=FileRef(id=blob, name="f.csv", bytes=len(data), sha256="", blob=blob).model_copy(),
        )
        job = transact(db, lambda tx: creation.create(tx, new)).value
        return cls(db=db, blobs=blobs, job_id=job.id, dataset=dataset)

    @property
    def job(self) -> Job:
        return Job.model_validate(self.db.jobs.find_one({"_id": self.job_id}))

    def plan(self, *, cut_at: Iterable[int] = ()) -> None:
        """Plan; a file of one part is run by part 0 alone, or cut into more before these lines (from 1)."""
        (whole,) = [step for step in self.task.plan(self._unhashed(), None) if step is not None]
        found = [{"source": whole.source, "cursor": whole.cursor, "total": whole.total}]
        with holding(self.db, self.job, 0) as lease:
            places = sorted({1, *(line for line in cut_at if 1 < line <= whole.total)})
            if len(places) == 1:
                plan_commits.alone(lease, found[0])
                commits.release(lease)
            else:
                plan_commits.whole(lease, list(self._cut(found[0], places)))

    def _unhashed(self) -> Job:
        """The planner compares the file with a checksum, which is none of this test's business."""
        job = self.job
        assert job.file is not None
        return job.model_copy(update={"file": job.file.model_copy(update={"bytes": 1 << 40})})

    def _cut(self, whole: dict[str, Any], places: list[int]) -> Iterable[dict[str, Any]]:
        text = self.blobs.read(whole["source"]["blob"], 0, whole["source"]["end"])
        starts = [whole["source"]["start"]]
        while (end := text.find(b"\n", starts[-1]) + 1) and end < len(text):
            starts.append(end)
        for first, following in zip(places, [*places[1:], len(starts) + 1], strict=True):
            begin = starts[first - 1]
            end = starts[following - 1] if following <= len(starts) else whole["source"]["end"]
            source = {**whole["source"], "start": begin, "end": end, "first_row": first}
            yield {"source": source, "cursor": cursor(begin, first), "total": following - first}

    def out(self) -> list[int]:
        """The parts that can be claimed."""
        return [part["n"] for part in self.db.parts.find({"job_id": self.job_id, "status": "queued"}).sort("n", 1)]

    def step(self, n: int, *, size: int = 1_000, chunks: int | None = None) -> None:
        """Claim a part and commit so many chunks of it, or all that it has left; then let it go, or end it."""
        with holding(self.db, self.job, n) as lease:
            match lease.part.phase:
                case Phase.FINISH:
                    commits.finished(lease, None)
                case Phase.UNDO:
                    self._take_back(lease)
                case _:
                    self._write(lease, size, chunks)

    def _write(self, lease: Lease, size: int, chunks: int | None) -> None:
        job = read_job(self.db, self.job)
        for nth, chunk in enumerate(self.task.chunks(job, lease.part, ChunkSize(rows=size))):
            if nth == chunks:
                commits.release(lease)
                return
            commits.chunk(
                lease,
                job,
                cursor=chunk.cursor,
                write=lambda mark, session, chunk=chunk: self.task.apply(  # type: ignore[misc]
                    job, lease.part, chunk, entry_id=mark, session=session
                ),
                corrected=chunk.corrected,
            )
        if lease.part.n == 0 and self.job.parts_left == 1:
            commits.finished(lease, None)
        else:
            commits.part_done(lease)

    def _take_back(self, lease: Lease) -> None:
        while lease.part.left:
            mark = entry_id(self.job_id, lease.part.n, lease.part.left - 1)
            entry = self.db.ledger.find_one({"_id": mark})
            assert entry is not None
            commits.take_back(
                lease,
                entry=entry,
                undo=lambda session, entry=entry: self.task.undo(  # type: ignore[misc]
                    self.job, entry["undo"], entry_id=entry["_id"], session=session
                ),
            )
        commits.part_done(lease)

    def run(self, **how: Any) -> None:
        """Until nothing is left to do."""
        while out := self.out():
            self.step(out[0], **how)

    @property
    def sheet(self) -> Sheet:
        source = self._source()
        columns = tuple(source["columns"])
        return Sheet(headers=columns, columns=columns, delimiter=source["delimiter"])

    def _source(self) -> dict[str, Any]:
        part = self.db.parts.find_one({"job_id": self.job_id, "source.columns": {"$exists": True}})
        assert part is not None
        source: dict[str, Any] = part["source"]
        return source

    def prepare(self, rows: Mapping[int, Mapping[str, str]]) -> Corrected:
        """What the gateway makes of a request: the rows as an input of their own."""
        given = csv_corrections.from_values(rows.items(), self.sheet)
        found = corrections.correctable(self.db, self.job, rows, most_bytes=1 << 20)
        text = csv_corrections.text_of(given, {row: found[row]["line"] for row in rows}, self.sheet, lacking={})
        blob = f"jobs/{self.job_id}/correction-{str(ULID()).lower()}"
        self.blobs.write(blob, [text])
        source = Source(
            blob=blob, start=0, end=len(text), first_row=1, delimiter=self.sheet.delimiter,
            numbers=tuple(one.row for one in given),
        )  # fmt: skip
        own = {name: self._source()[name] for name in ("columns", "template")}
        return Corrected(
            revisions={row: rejects.revision_of(found[row]) for row in rows},
            source={**source.document(), **own},
            cursor=cursor(0, 1),
        )

    def correct(self, rows: Mapping[int, Mapping[str, str]]) -> Job:
        return self.ask(Verb.CORRECT, corrected=self.prepare(rows))

    def ask(self, verb: Verb, **options: Any) -> Job:
        request = Request(actor=ACTOR, reason="test", requested_at=datetime.now(UTC))
        return verbs.perform(
            self.db, org_id=ORG, job_id=self.job_id, verb=verb, request=request, options=Options(**options)
        ).job

    @property
    def counts(self) -> tuple[int, int]:
        """Succeeded and rejected."""
        found = summed(parts.of_job(self.db, job_id=self.job_id))
        return found.succeeded, found.rejected

    def rejected(self) -> dict[int, dict[str, Any]]:
        return {reject["row"]: reject for reject in rejects.stream(self.db, org_id=ORG, job_id=self.job_id)}

    def history(self) -> list[dict[str, Any]]:
        found, _ = corrections.page(self.db, org_id=ORG, job_id=self.job_id, limit=10_000)
        return found

    def rows(self) -> dict[str, dict[str, Any]]:
        """The dataset, by key."""
        found, _ = datasets.rows(self.db, org_id=ORG, name=self.dataset, limit=100_000)
        return {document["_id"].rpartition("|")[2]: document for document in found}

    def is_in(self, *states: State) -> bool:
        """Asked again at each call."""
        return self.job.state in states
