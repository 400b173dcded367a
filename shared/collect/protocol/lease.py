"""An owner's hold on one part: claiming it, and every write that it allows (docs/protocol.md, `claim` to `finish`).

Correctness rests on one filter, :attr:`Lease.mine`, the last statement of each transaction: it names the epoch. A
write whose outcome is unknown is settled by reading the part again, never by guessing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bson.timestamp import Timestamp
from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from collect.errors import Fenced, Overtaken, TransactionTooBig
from collect.jobs.model import Job, Part, part_id
from collect.jobs.states import State, Trigger
from collect.protocol import transitions
from collect.storage import parts
from collect.storage.database import (
    TOO_LARGE_FOR_CACHE,
    Again,
    Database,
    SessionId,
    Transaction,
    begin,
    now,
    retryable,
    settle,
)
from collect.storage.outbox import OutboxEntry

T = TypeVar("T")

DUPLICATE_KEY = 11000
MAX_COLLISIONS = 20
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0


class _NotMine(Exception):
    """The last compare-and-set matched nothing: abort, then look."""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """What a job message says: which part, of a job of which kind, and with which ticket it may be claimed."""

    kind: str
    job_id: str
    part: int
    ticket: int


def claim(
    db: Database, ticket: Ticket, *, redelivered: bool, owner: str, session_id: SessionId, lease_seconds: float
) -> Part | None:
    """Take the part that the ticket is for, if it still may be taken. Raises the epoch. Does not read the job.

    A redelivered message may also take a leased part: the broker has given it away because its owner's connection is
    gone. What stands on the part as an earlier owner's session is killed first, whatever it has open; but not by a
    mere duplicate of a message whose owner is at work, which could not claim anyway. A claim whose answer was lost is
    found again by its session, so it may be asked for again.
    """
    this = {
        "_id": part_id(ticket.job_id, ticket.part),
        "kind": ticket.kind,
        "ticket": ticket.ticket,
        "status": {"$in": ["queued", "leased"] if redelivered else ["queued"]},
    }
    if (claimed := _newest(db, ticket, {"status": "leased", "lsid": session_id})) is not None:
        return claimed
    before = db.parts.find_one(this, {"lsid": 1})
    if before is None:
        return None
    if before.get("lsid"):
        db.kill_sessions([before["lsid"]])
    document = db.parts.find_one_and_update(
        this,
        [
            {
                "$set": {
                    "losses": {"$add": ["$losses", {"$cond": [{"$eq": ["$status", "leased"]}, 1, 0]}]},
                    "status": "leased",
                    "epoch": {"$add": ["$epoch", 1]},
                    "claimed": True,
                    "writers": parts.LEFT_WRITING,
                    "owner": owner,
                    "lsid": {"$literal": session_id},
                    "lease_until": lease_end(lease_seconds),
                }
            }
        ],
        return_document=ReturnDocument.AFTER,
    )
    return None if document is None else Part.model_validate(document)


def claimed_and_cut(db: Database, ticket: Ticket, *, session_id: SessionId) -> Part | None:
    """The part as it is now, if a claim in this session, whose answer was lost, took it and it has been cut since."""
    return _newest(db, ticket, {"cut_lsid": session_id})


def _newest(db: Database, ticket: Ticket, this: dict[str, Any]) -> Part | None:
    """The part, whether or not a majority has it as it is: a claim that was interrupted may be as new as that."""
    newest = db.parts.with_options(read_concern=ReadConcern("local"))
    found = newest.find_one({"_id": part_id(ticket.job_id, ticket.part), "ticket": ticket.ticket, **this})
    return None if found is None else Part.model_validate(found)


def lease_end(lease_seconds: float) -> dict[str, Any]:
    """The end of a lease that begins now, by the server's clock; for use in update pipelines."""
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": round(lease_seconds * 1000)}}


def renew(db: Database, *, part: Part, lease_seconds: float, left_seconds: float) -> bool:
    """Prolong a lease of which less than ``left_seconds`` are left. ``False``: there was nothing to prolong."""
    almost = {"$lt": ["$lease_until", lease_end(left_seconds)]}
    done = db.parts.update_one(
        {"_id": part.id, "epoch": part.epoch, "status": "leased", "$expr": almost},
        [{"$set": {"lease_until": lease_end(lease_seconds)}}],
    )
    return bool(done.matched_count)


class Lease:
    """One owner's hold on one part, for one slice, in one session. Not thread-safe.

    ``rest(seconds)`` waits between tries, and raises a stop signal when the slice is to end.
    """

    def __init__(
        self, *, db: Database, session: ClientSession, part: Part, lease_seconds: float, rest: Callable[[float], None]
    ) -> None:
        self.db = db
        self.session = session
        self.part = part
        self.outbox: list[OutboxEntry] = []
        self.traceparent: str | None = None
        self.lease_seconds = lease_seconds
        self._rest = rest

    @property
    def mine(self) -> dict[str, Any]:
        """The filter of every write: it matches as long as nobody has raised the epoch."""
        return {"_id": self.part.id, "epoch": self.part.epoch, "status": "leased"}

    def look(self) -> None:
        """Read the part once.

        Raises:
            Fenced: it is no longer ours.
        """
        if self.db.parts.find_one(self.mine, {"_id": 1}) is None:
            raise Fenced

    def advance(self, tx: Transaction, match: dict[str, Any], fields: dict[str, Any]) -> None:
        """The last statement of a chunk: set ``fields``, prolong the lease, if the part is ours and at ``match``."""
        literal = {name: {"$literal": value} for name, value in fields.items()}
        self._last(tx, match, {**literal, "losses": 0, "lease_until": lease_end(self.lease_seconds)})

    def let_go(self, tx: Transaction, status: str) -> None:
        """Give the part back (``idle``) or end it (``done``): our epoch is void, our session no longer stands on it."""
        raised = {"epoch": {"$add": ["$epoch", 1]}} if status == "idle" else {}
        self._last(tx, {}, {"status": status, "owner": None, "lsid": None, **raised})

    def _last(self, tx: Transaction, match: dict[str, Any], fields: dict[str, Any]) -> None:
        done = tx.db.parts.update_one({**self.mine, **match}, [{"$set": fields}], session=tx.session)
        if not done.matched_count:
            raise _NotMine

    def commit(self, work: Callable[[Transaction], T], *, moved: Callable[[Part], bool] | None = None) -> T:
        """Run ``work``, whose last statement is a write by :attr:`mine`, until it is known to be committed.

        ``moved`` tells of a part that is still ours whether this very transaction has moved it; then :attr:`part` is
        what was found. Without it, the transaction was one that ends the hold, so a part that is still ours has not
        been moved. A commit may come through after we have looked and tried again, so what an earlier try returned is
        kept: the try after it, which matches nothing, knows by that whose move it was.

        Raises:
            Fenced: the part is no longer ours; nothing, or what was committed before that, has been written.
            TransactionTooBig: nothing was written, and a smaller one may be.
            DuplicateKeyError: other writers came between again and again. That is an error of the task.
        """
        returned: list[T] = []
        collisions, pause = 0, FIRST_PAUSE_SECONDS
        while True:
            tx = Transaction(db=self.db, session=self.session, traceparent=self.traceparent)
            try:
                with begin(self.session):
                    returned = [work(tx)]
            except (DuplicateKeyError, BulkWriteError) as error:
                collisions += 1
                if collisions > MAX_COLLISIONS or not _collided(error):
                    raise
            except (_NotMine, Again):
                pass
            except PyMongoError as error:
                if isinstance(error, OperationFailure) and error.code == TOO_LARGE_FOR_CACHE:
                    raise TransactionTooBig("The database cannot hold the transaction now.") from error
                if not retryable(error):
                    raise
            else:
                self.outbox.extend(tx.outbox)
                settle(tx, at=now())
                return returned[0]
            part = self._look_again()
            if moved is not None and moved(part):
                if not returned:
                    raise Overtaken("An earlier commit has come through; the slice begins anew from there.")
                self.part = part
                return returned[0]
            self._rest(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _look_again(self) -> Part:
        """The part as a majority has it, at least as new as all that our session has seen.

        A session of its own, since ours may have been killed; and told of our times, since without them a majority read
        may not show yet what a snapshot has shown.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                with self.db.client.start_session(causal_consistency=True) as session:
                    _be_as_new_as(session, self.session)
                    majority = self.db.parts.with_options(read_concern=ReadConcern("majority"))
                    document = majority.find_one(self.mine, session=session)
            except PyMongoError as error:
                if not retryable(error):
                    raise
                self._rest(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            if document is None:
                raise Fenced
            return Part.model_validate(document)


def job_begins(lease: Lease) -> None:
    """The job is running now, if it was only queued. Nothing depends on it, so it is tried once."""

    def work(tx: Transaction) -> None:
        document = tx.db.jobs.find_one({"_id": lease.part.job_id, "state": State.QUEUED.value}, session=tx.session)
        if document is None:
            return
        job = Job.model_validate(document)
        request = transitions.by_system("A worker has claimed a part.")
        changes = {} if job.started_at else {"started_at": request.requested_at}
        transitions.move(tx, job, trigger=Trigger.BEGIN, target=State.RUNNING, request=request, changes=changes)
        if tx.db.parts.find_one(lease.mine, {"_id": 1}, session=tx.session) is None:
            raise Again

    tx = Transaction(db=lease.db, session=lease.session)
    try:
        with begin(lease.session):
            work(tx)
    except (Again, PyMongoError) as error:
        if isinstance(error, PyMongoError) and not retryable(error):
            raise
        return
    lease.outbox.extend(tx.outbox)
    settle(tx, at=now())


def _collided(error: DuplicateKeyError | BulkWriteError) -> bool:
    """Whether another writer came between our read of the keys and our write of them."""
    if isinstance(error, BulkWriteError):
        failures: Sequence[dict[str, Any]] = (error.details or {}).get("writeErrors", [])
        return bool(failures) and all(failure["code"] == DUPLICATE_KEY for failure in failures)
    return True


def _be_as_new_as(session: ClientSession, other: ClientSession) -> None:
    if other.cluster_time is not None:
        session.advance_cluster_time(other.cluster_time)
    if isinstance(other.operation_time, Timestamp):
        session.advance_operation_time(other.operation_time)
