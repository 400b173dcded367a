"""What the database holds, and every transaction on it, as pure functions (docs/protocol.md, "Operations").

Two jobs: job 0 has parts and is run; job 1 only waits behind it for the same dataset. A function returns the database
after its transaction, or ``None`` when the transaction is refused or matches nothing.
"""

from enum import StrEnum
from typing import NamedTuple

MAX_LOSSES = 2
"""Smaller than the real five, so that poison is reached within few steps."""


PLANNER = 1
"""What part 0 counts for in ``parts_left`` while it plans."""


class Status(StrEnum):
    UNMADE = "unmade"
    IDLE = "idle"
    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"


class Phase(StrEnum):
    PLAN = "plan"
    RUN = "run"
    FINISH = "finish"
    UNDO = "undo"


class Neighbour(StrEnum):
    """What has become of job 1."""

    NONE = "none"
    WAITING = "waiting"
    STARTED = "started"
    GONE = "gone"


class Part(NamedTuple):
    """``effects``: how often each chunk's writes stand in the database. Once or not at all is right. ``planned``: how
    many parts stand ready while the plan goes on."""

    status: Status
    phase: Phase
    epoch: int = 0
    ticket: int = -1
    owner: int | None = None
    seq: int = 0
    planned: int = 0
    losses: int = 0
    effects: tuple[int, ...] = ()

    @property
    def out(self) -> bool:
        return self.status in (Status.QUEUED, Status.LEASED)


class Job(NamedTuple):
    """``parts_left``: the parts that still plan, write or take back. While part 0 plans, it is one of them."""

    state: str
    parts_left: int = 0
    result: bool = False
    undo_target: str = ""


class Database(NamedTuple):
    """``line``: the jobs before the dataset, the holder first. ``starts``: how often job 1 was handed the lock."""

    job: Job
    line: tuple[int, ...]
    neighbour: Neighbour
    starts: int
    parts: tuple[Part, ...]
    outbox: tuple[tuple[int, int], ...] = ()
    """Messages: part and ticket."""


ACTIVE = ("queued", "running", "terminating", "undoing")
WRITING = ("queued", "running")
STARTED = ("queued", "running", "paused")
AT_REST = ("succeeded", "stopped", "failed")
RESTS = ("paused", "stopped", "terminated", "succeeded", "failed", "undone", "undo_failed")
FINAL = ("stopped", "terminated", "succeeded", "undone", "failed", "undo_failed")


def with_part(db: Database, n: int, part: Part) -> Database:
    return db._replace(parts=(*db.parts[:n], part, *db.parts[n + 1 :]))


def sent(db: Database, n: int, ticket: int) -> Database:
    return db._replace(outbox=tuple(sorted((*db.outbox, (n, ticket)))))


def publish(db: Database, n: int) -> Database:
    part = db.parts[n]
    raised = part._replace(status=Status.QUEUED, epoch=part.epoch + 1, ticket=part.epoch + 1)
    return sent(with_part(db, n, raised), n, raised.ticket)


def publish_parts(db: Database, window: int, after: int = 0) -> Database:
    """Publish idle parts up to the window, round and round, starting behind ``after``."""
    if db.job.state not in ACTIVE or (db.job.state in WRITING and db.line[:1] != (0,)):
        return db
    free = window - sum(part.out for part in db.parts)
    for step in range(1, len(db.parts) + 1):
        n = (after + step) % len(db.parts)
        if free > 0 and db.parts[n].status is Status.IDLE:
            db = publish(db, n)
            free -= 1
    return db


def cut(db: Database) -> Database:
    """Every ticket and every owner becomes void."""
    return db._replace(
        parts=tuple(
            part._replace(status=Status.IDLE, epoch=part.epoch + 1, owner=None) if part.out else part
            for part in db.parts
        )
    )


def dequeue(db: Database, job: int, window: int) -> Database:
    """Leave the line; whoever is the head then is started."""
    db = db._replace(line=tuple(other for other in db.line if other != job))
    if db.line[:1] == (1,) and db.neighbour is Neighbour.WAITING:
        db = db._replace(neighbour=Neighbour.STARTED, starts=db.starts + 1)
    return publish_parts(db, window) if db.line[:1] == (0,) else db


def start_undo(db: Database, window: int, busy: str, target: str) -> Database:
    db = cut(db)
    turned = tuple(
        part
        if part.status is Status.UNMADE
        else part._replace(status=Status.IDLE if part.seq else Status.DONE, phase=Phase.UNDO, losses=0)
        for part in db.parts
    )
    db = db._replace(parts=turned)
    to_do = sum(part.status is Status.IDLE for part in turned)
    if not to_do:
        return dequeue(db._replace(job=Job(target, undo_target=target)), 0, window)
    return publish_parts(db._replace(job=Job(busy, parts_left=to_do, undo_target=target)), window)


def fail(db: Database, window: int) -> Database | None:
    match db.job.state:
        case "queued" | "running":
            return dequeue(cut(db)._replace(job=db.job._replace(state="failed")), 0, window)
        case "terminating" | "undoing":
            return cut(db)._replace(job=db.job._replace(state="undo_failed"))
    return None


def forgiven(db: Database) -> Database:
    return db._replace(parts=tuple(part._replace(losses=0) for part in db.parts))


def mine(db: Database, worker: int, n: int, epoch: int) -> bool:
    part = db.parts[n]
    return part.status is Status.LEASED and part.epoch == epoch and part.owner == worker


def released(db: Database, n: int, window: int) -> Database:
    part = db.parts[n]
    idle = part._replace(status=Status.IDLE, epoch=part.epoch + 1, owner=None)
    return publish_parts(with_part(db, n, idle), window, after=n)


def unmade(db: Database) -> list[int]:
    """The parts that the plan has not come to yet: none, once part 0 is the only one."""
    return [n for n, part in enumerate(db.parts) if part.status is Status.UNMADE and not db.parts[0].effects]


def planned_some(db: Database, window: int) -> Database:
    """The next part stands ready, and the planner goes on."""
    n = unmade(db)[0]
    db = with_part(db, n, db.parts[n]._replace(status=Status.IDLE))
    db = with_part(db, 0, db.parts[0]._replace(planned=n, losses=0))
    return publish_parts(db._replace(job=db.job._replace(parts_left=db.job.parts_left + 1)), window)


def planned(db: Database, n: int, window: int) -> Database:
    """The plan is whole: the rest of the parts stand ready, and part 0 is none of those to do any more."""
    left = db.job.parts_left + len(unmade(db)) - PLANNER
    db = with_part(db, n, db.parts[n]._replace(status=Status.DONE, owner=None))
    made = tuple(p._replace(status=Status.IDLE) if p.status is Status.UNMADE else p for p in db.parts)
    db = db._replace(parts=made, job=db.job._replace(parts_left=left))
    if left == 0:
        db = with_part(db, 0, db.parts[0]._replace(status=Status.IDLE, phase=Phase.FINISH))
    return publish_parts(db, window)


def planned_alone(db: Database) -> Database:
    """The one part of the plan is part 0 itself, whose owner keeps it and goes on."""
    return with_part(db, 0, db.parts[0]._replace(phase=Phase.RUN, losses=0, effects=db.parts[1].effects))


def part_done(db: Database, n: int, window: int) -> Database:
    phase = db.parts[n].phase
    left = db.job.parts_left - 1
    db = with_part(db, n, db.parts[n]._replace(status=Status.DONE, owner=None))
    db = db._replace(job=db.job._replace(parts_left=left))
    if left == 0 and phase is not Phase.RUN:
        target = db.job.undo_target
        return dequeue(db._replace(job=Job(target, undo_target=target)), 0, window)
    if left == 0:
        db = with_part(db, 0, db.parts[0]._replace(status=Status.IDLE, phase=Phase.FINISH))
    return publish_parts(db, window, after=n)


def finished(db: Database, n: int, window: int) -> Database | None:
    """Part 0 finishes the job: right after its own rows, if it was the last part, or in a phase of its own."""
    if db.job.state not in WRITING or db.job.parts_left != int(db.parts[n].phase is Phase.RUN):
        return None
    db = with_part(db, n, db.parts[n]._replace(status=Status.DONE, owner=None))
    return dequeue(db._replace(job=db.job._replace(state="succeeded", parts_left=0, result=True)), 0, window)


def reaped(db: Database, n: int) -> Database:
    part = db.parts[n]
    again = part._replace(
        status=Status.QUEUED, epoch=part.epoch + 1, ticket=part.epoch + 1, owner=None, losses=part.losses + 1
    )
    return sent(with_part(db, n, again), n, again.ticket)
