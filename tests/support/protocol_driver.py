"""Jobs made and run step by step on the storage's own operations, without a broker: for whoever tests what comes after.

Also a clock that stands still until it is told, and a sender that only remembers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.client_session import ClientSession

from collect.errors import FieldError
from collect.jobs.model import Actor, Job, Part, Phase, part_id
from collect.jobs.outcomes import Applied, Conflict, Reject, TakenBack
from collect.jobs.states import Verb
from collect.messaging.outbox import Entry, OutboxSender
from collect.protocol import commits, creation, plan_commits, verbs
from collect.protocol.lease import Lease, Ticket, claim, job_begins
from collect.storage import indexes, ledger, organisations
from collect.storage.database import Database, transact

ORG = "labs"
LEASE_SECONDS = 30.0
ACTOR = Actor(id="key-1", name="Tester")


class StandingClock:
    """The time is what the test says."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC)
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return self.at.replace(microsecond=self.at.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


class Recorder(OutboxSender):
    """Takes what is to be sent and keeps it, as if the broker were away."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.pokes: list[str] = []

    def send(self, entries: Sequence[Entry]) -> None:
        self.entries.extend(entries)

    def poke(self, kind: str, job_id: str) -> None:
        self.pokes.append(job_id)

    def reachable(self) -> bool:
        return True

    @property
    def tickets(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.mandatory]


def prepare(db: Database, *org_ids: str) -> None:
    """Empty collections with their indexes, and organisations."""
    indexes.migrate(db)
    for name in indexes.COLLECTIONS:
        db[name].delete_many({})
    for org_id in org_ids or (ORG,):
        organisations.ensure(db, org_id=org_id, name=org_id)


def make_job(db: Database, *, org_id: str = ORG, dataset: str = "baseline", mode: str = "insert", **more: Any) -> Job:
    """A new job, fed if it may run."""
    new = creation.NewJob(
        org_id=org_id,
        kind="upload",
        params={"dataset": dataset, "mode": mode},
        actor=ACTOR,
        reason="test",
        requested_at=datetime.now(UTC),
        lock=f"{org_id}:dataset:{dataset}",
        **more,
    )
    return transact(db, lambda tx: creation.create(tx, new)).value


def ask(db: Database, job: Job, verb: Verb, **options: Any) -> Job:
    """A verb, as a person asks for it."""
    request = verbs.Request(actor=ACTOR, reason="test", requested_at=datetime.now(UTC))
    chosen = verbs.Options(**options)
    return verbs.perform(db, org_id=job.org_id, job_id=job.id, verb=verb, request=request, options=chosen).job


def read_job(db: Database, job: Job) -> Job:
    return Job.model_validate(db.jobs.find_one({"_id": job.id}))


def read_part(db: Database, job: Job, n: int) -> Part:
    return Part.model_validate(db.parts.find_one({"_id": part_id(job.id, n)}))


@contextmanager
def holding(db: Database, job: Job, n: int, *, lease_seconds: float = LEASE_SECONDS) -> Iterator[Lease]:
    """Part ``n`` claimed with its present ticket, and a session to work in."""
    ticket = Ticket(kind=job.kind, job_id=job.id, part=n, ticket=read_part(db, job, n).ticket)
    with db.client.start_session(causal_consistency=True) as session:
        part = claim(
            db,
            ticket,
            redelivered=False,
            owner="by hand",
            session_id=db.session_id(session),
            lease_seconds=lease_seconds,
        )
        assert part is not None, f"part {n} of {job.id} cannot be claimed"
        lease = Lease(db=db, session=session, part=part, lease_seconds=lease_seconds, rest=lambda _seconds: None)
        job_begins(lease)
        yield lease


def plan(db: Database, job: Job, totals: Sequence[int]) -> None:
    """Do part 0's planning: a part for each total."""
    with holding(db, job, 0) as lease:
        plan_commits.whole(lease, [{"source": {}, "cursor": {"row": 0}, "total": total} for total in totals])


def write(db: Database, lease: Lease, job: Job, *, rows: int, rejects: int = 0) -> None:
    """Commit one chunk of new rows, the last of which are rejected."""
    start = 10_000 * lease.part.n + lease.part.counts.done

    def apply(entry: str, session: ClientSession) -> Applied:
        kept = rows - rejects
        documents = [row(job, start + i, entry) for i in range(kept)]
        if documents:
            db.rows.insert_many(documents, session=session)
        error = FieldError(field="age", code="not_a_number", message="It is not a number.")
        return Applied(
            succeeded=kept,
            rejected=rejects,
            created=kept,
            changed=0,
            rejects=tuple(Reject(row=start + kept + i, line="x", errors=(error,)) for i in range(rejects)),
            undo={"ids": [document["_id"] for document in documents]},
        )

    commits.chunk(lease, job, cursor={"row": start + rows}, write=apply)


def row(job: Job, number: int, entry: str) -> dict[str, Any]:
    dataset = job.params["dataset"]
    return {
        "_id": f"{job.org_id}|{dataset}|{number}", "org_id": job.org_id, "dataset": dataset,
        "values": {"key": str(number)}, "row": number, "written_by": entry, "revision": 1,
    }  # fmt: skip


def run_parts(db: Database, job: Job, *, chunk: int = 10, rejects: int = 0) -> None:
    """Run every part to its end, chunk by chunk, and finish."""
    for part in list(db.parts.find({"job_id": job.id, "phase": Phase.RUN.value}).sort("n", 1)):
        with holding(db, job, part["n"]) as lease:
            while lease.part.counts.done < lease.part.total:
                write(db, lease, job, rows=min(chunk, lease.part.total - lease.part.counts.done), rejects=rejects)
            commits.part_done(lease)
    with holding(db, job, 0) as lease:
        commits.finished(lease, {"rows": 1})


def succeeded(db: Database, *, totals: Sequence[int] = (20, 15), rejects: int = 1, **more: Any) -> Job:
    """A job that has run from the beginning to the end."""
    job = make_job(db, **more)
    plan(db, job, totals)
    run_parts(db, job, rejects=rejects)
    return read_job(db, job)


def take_back(db: Database, job: Job, *, entries: int = 1_000, conflict: Callable[[str], bool] | None = None) -> None:
    """Undo up to that many entries of a job that is being taken back. ``conflict`` picks rows that are left alone."""
    for part in list(db.parts.find({"job_id": job.id, "status": "queued"}).sort("n", 1)):
        with holding(db, job, part["n"]) as lease:
            while lease.part.left and entries:
                _take_back_one(db, lease, conflict or (lambda _id: False))
                entries -= 1
            if lease.part.left:
                commits.release(lease)
            else:
                commits.part_done(lease)


def _take_back_one(db: Database, lease: Lease, conflict: Callable[[str], bool]) -> None:
    seq = lease.part.left - 1
    entry = next(
        entry
        for entry in ledger.of_job(db, org_id=lease.part.org_id, job_id=lease.part.job_id)
        if entry["n"] == lease.part.n and entry["seq"] == seq
    )
    left = [row_id for row_id in entry["undo"]["ids"] if conflict(row_id)]

    def undo(session: ClientSession) -> TakenBack:
        mine = {"_id": {"$in": entry["undo"]["ids"], "$nin": left}, "written_by": entry["_id"]}
        deleted = db.rows.delete_many(mine, session=session).deleted_count
        conflicts = tuple(Conflict(id=row_id, row=None, why="somebody else changed it") for row_id in left)
        return TakenBack(deleted=deleted, restored=0, conflicts=conflicts)

    commits.take_back(lease, entry=entry, undo=undo)
