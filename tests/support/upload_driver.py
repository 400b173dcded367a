"""An upload without its runtime: parts cut anywhere, chunks committed in any order, entries undone in any order."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ulid import ULID

from collect.jobs.model import Actor, Counts, FileRef, Job, Part, PartStatus, Phase, entry_id, part_id
from collect.jobs.outcomes import Applied, TakenBack
from collect.jobs.states import State
from collect.jobs.template import Template
from collect.runtime.task import Chunk, ChunkSize, Task
from collect.storage import datasets, ledger, rejects
from collect.storage.database import Again, Database, Transaction, begin, transact
from collect.storage.object_store import Blobs
from upload_worker.task import UploadTask

ORG = "labs"


def new_dataset(db: Database, template: Template) -> str:
    """A dataset of its own, so that examples do not meet."""
    name = f"d{str(ULID()).lower()}"
    transact(db, lambda tx: datasets.put(tx, org_id=ORG, name=name, template=template))
    return name


def new_job(*, blob: str, dataset: str, bytes: int = 0, **params: Any) -> Job:
    return Job.model_validate(
        {
            "_id": str(ULID()).lower(),
            "org_id": ORG,
            "kind": "upload",
            "params": {"dataset": dataset, **params},
            "state": State.RUNNING,
            "created_at": datetime.now(UTC),
            "created_by": Actor(id="t", name="test"),
            "file": FileRef(id="f", name="f.csv", bytes=bytes, sha256="", blob=blob),
        }
    )


@dataclass
class Upload:
    """One job, worked on by hand."""

    db: Database
    blobs: Blobs
    job: Job
    make_task: Callable[..., Task] = UploadTask
    parts: dict[int, Part] = field(default_factory=dict)
    entries: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.task = self.make_task(db=self.db, blobs=self.blobs)

    def plan(self, *, cut_at: Sequence[int] = ()) -> None:
        """Let the task plan; a file of one part is then cut into more, before the lines (from 1) ``cut_at``."""
        planned = [step for step in self.task.plan(self.job, None) if step is not None]
        if cut_at:
            (whole,) = planned
            text = self.blobs.read(whole.source["blob"], 0, whole.source["end"])
            starts = [whole.source["start"]]
            while (end := text.find(b"\n", starts[-1]) + 1) and end < len(text):
                starts.append(end)
            places = sorted({1, *(line for line in cut_at if line <= len(starts))})
            for n, (first, following) in enumerate(zip(places, [*places[1:], len(starts) + 1], strict=True), start=1):
                begin_at = starts[first - 1]
                end_at = starts[following - 1] if following <= len(starts) else whole.source["end"]
                source = {**whole.source, "start": begin_at, "end": end_at, "first_row": first}
                self._add(n, source, {**whole.cursor, "offset": begin_at, "row": first}, following - first)
        else:
            for n, step in enumerate(planned, start=1):
                self._add(n, step.source, step.cursor, step.total)

    def chunks(self, n: int, size: ChunkSize) -> Iterator[Chunk]:
        return self.task.chunks(self.job, self.parts[n], size)

    def commit(self, n: int, chunk: Chunk, *, tries: int = 1) -> Applied:
        """Commit a chunk as the runtime does; all but the last of ``tries`` are aborted."""
        with self.db.client.start_session() as session:
            for _ in range(tries - 1):
                session.start_transaction()
                with suppress(Again):
                    self.write(n, chunk, Transaction(db=self.db, session=session))
                session.abort_transaction()
        applied = transact(self.db, lambda tx: self.write(n, chunk, tx)).value
        self.moved(n, chunk, applied)
        return applied

    def write(self, n: int, chunk: Chunk, tx: Transaction) -> Applied:
        part = self.parts[n]
        mark = entry_id(self.job.id, n, part.seq)
        applied = self.task.apply(self.job, part, chunk, entry_id=mark, session=tx.session)
        rejects.store(self.db, job=self.job, rejects=applied.rejects, session=tx.session)
        ledger.insert(tx, part=part, applied=applied)
        return applied

    def moved(self, n: int, chunk: Chunk, applied: Applied) -> None:
        """The chunk is committed: the part goes on behind it."""
        part = self.parts[n]
        self.entries.append((entry_id(self.job.id, n, part.seq), applied.undo))
        counts = {name: getattr(part.counts, name) + getattr(applied, name) for name in ("succeeded", "rejected")}
        update = {"seq": part.seq + 1, "cursor": chunk.cursor, "counts": Counts(**counts)}
        self.parts[n] = part.model_copy(update=update)

    def run(self, size: ChunkSize) -> None:
        for n in self.parts:
            for chunk in self.chunks(n, size):
                self.commit(n, chunk)

    def finish(self) -> None:
        """What is left to do when every part is done, committed as the runtime does."""
        for step in self.task.finish(self.job):
            if callable(step):
                with self.db.client.start_session() as session, begin(session):
                    step(session)

    def undo(self, mark: str, record: dict[str, Any]) -> TakenBack:
        return transact(self.db, lambda tx: self.task.undo(self.job, record, entry_id=mark, session=tx.session)).value

    @property
    def counts(self) -> tuple[int, int]:
        """Succeeded and rejected, of all parts."""
        return (
            sum(part.counts.succeeded for part in self.parts.values()),
            sum(part.counts.rejected for part in self.parts.values()),
        )

    def rejected(self) -> dict[int, dict[str, Any]]:
        stored = rejects.stream(self.db, org_id=ORG, job_id=self.job.id)
        return {reject["row"]: reject for reject in stored}

    def rows(self) -> dict[str, dict[str, Any]]:
        found, _ = datasets.rows(self.db, org_id=ORG, name=self.job.params["dataset"], limit=100_000)
        return {document["_id"]: document for document in found}

    def _add(self, n: int, source: dict[str, Any], cursor: dict[str, Any], total: int) -> None:
        part = Part(
            id=part_id(self.job.id, n), job_id=self.job.id, org_id=ORG, kind=self.job.kind, n=n, phase=Phase.RUN,
            status=PartStatus.LEASED, source=source, cursor=cursor, total=total,
        )  # fmt: skip
        self.parts[n] = part
        self.db.parts.insert_one(part.model_dump(by_alias=True))
