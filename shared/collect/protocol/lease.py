"""An owner's hold on one part: claiming it, and every write that it allows (docs/protocol.md, `claim` to `fail`).

Correctness rests on one filter, :attr:`Lease.mine`, which names the epoch. The last statement of each transaction
writes with it. If the outcome of a write is unknown, the part is read again; the outcome is never guessed.
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
    """A signal that aborts a transaction whose compare-and-set matched no part. The part is then read again."""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """The content of a job message: the part, its job, the job's kind, and the ticket with which it may be claimed."""

    kind: str
    job_id: str
    part: int
    ticket: int


def claim(
    db: Database, ticket: Ticket, *, redelivered: bool, owner: str, session_id: SessionId, lease_seconds: float
) -> Part | None:
    """Claim the part of the ticket and return it, or ``None`` if it cannot be claimed any more.

    Raises the epoch. Does not read the job. Idempotent: if the answer of a claim was lost, a second call with the same
    session finds that claim.

    A redelivered message may also claim a leased part: the broker redelivers when the connection of the owner is gone.
    The session of the earlier owner, which is stored on the part, is killed first, with its open transactions. A mere
    duplicate of a message whose owner is at work could not claim anyway, so it kills nothing.
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
    """Return the part if this session claimed it and a verb has cut it since; else ``None``.

    Used when the answer of the claim was lost.
    """
    return _newest(db, ticket, {"cut_lsid": session_id})


def _newest(db: Database, ticket: Ticket, this: dict[str, Any]) -> Part | None:
    """Return the newest state of the ticket's part that matches ``this``, or ``None``.

    Reads with read concern ``local``: an interrupted claim may be so new that a majority read does not show it yet.
    """
    newest = db.parts.with_options(read_concern=ReadConcern("local"))
    found = newest.find_one({"_id": part_id(ticket.job_id, ticket.part), "ticket": ticket.ticket, **this})
    return None if found is None else Part.model_validate(found)


def lease_end(lease_seconds: float) -> dict[str, Any]:
    """Return the end of a lease that begins now, by the server's clock, as an expression for update pipelines."""
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": round(lease_seconds * 1000)}}


def renew(db: Database, *, part: Part, lease_seconds: float, left_seconds: float) -> bool:
    """Prolong a lease that ends in less than ``left_seconds``. Return whether it was prolonged."""
    almost = {"$lt": ["$lease_until", lease_end(left_seconds)]}
    done = db.parts.update_one(
        {"_id": part.id, "epoch": part.epoch, "status": "leased", "$expr": almost},
        [{"$set": {"lease_until": lease_end(lease_seconds)}}],
    )
    return bool(done.matched_count)


class Lease:
    """One owner's hold on one part, for one slice, in one session. Not thread-safe.

    ``rest(seconds)`` waits between tries. It raises a stop signal when the slice must end.
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
        """Return the filter of every write of the part. It matches until another write raises the epoch."""
        return {"_id": self.part.id, "epoch": self.part.epoch, "status": "leased"}

    def look(self) -> None:
        """Read the part once, to check that this owner still holds it.

        Raises:
            Fenced: it holds the part no longer.
        """
        if self.db.parts.find_one(self.mine, {"_id": 1}) is None:
            raise Fenced

    def advance(self, tx: Transaction, match: dict[str, Any], fields: dict[str, Any]) -> None:
        """Set ``fields`` on the part and prolong the lease, if this owner holds it and it matches ``match``.

        This must be the last statement of a transaction.
        """
        literal = {name: {"$literal": value} for name, value in fields.items()}
        self._last(tx, match, {**literal, "losses": 0, "lease_until": lease_end(self.lease_seconds)})

    def let_go(self, tx: Transaction, status: str) -> None:
        """Give the part back (``status`` is ``idle``) or end it (``done``). Removes owner and session from the part.

        Giving back also raises the epoch.
        """
        raised = {"epoch": {"$add": ["$epoch", 1]}} if status == "idle" else {}
        self._last(tx, {}, {"status": status, "owner": None, "lsid": None, **raised})

    def _last(self, tx: Transaction, match: dict[str, Any], fields: dict[str, Any]) -> None:
        done = tx.db.parts.update_one({**self.mine, **match}, [{"$set": fields}], session=tx.session)
        if not done.matched_count:
            raise _NotMine

    def commit(self, work: Callable[[Transaction], T], *, moved: Callable[[Part], bool] | None = None) -> T:
        """Run ``work`` as a transaction until it is known to be committed, and return its value. Blocks.

        The last statement of ``work`` must be a write with the filter :attr:`mine`.

        After a failed try the part is read again. If this owner still holds it, ``moved(part)`` returns whether this
        transaction was committed after all; :attr:`part` is then set to the part as read. ``moved`` is left out for
        transactions that end the hold: if the part is still held, they were not committed.

        A commit can also arrive late, after the part was read and the next try began. That next try then matches no
        part. So the value of an earlier try is kept, and returned when ``moved`` finds that its commit arrived.

        Raises:
            Fenced: this owner holds the part no longer. Either nothing was written, or this transaction was committed
                before the hold ended.
            Overtaken: an earlier commit of this part arrived late, and this call has no value to return for it.
            TransactionTooBig: nothing was written. A smaller transaction may be possible.
            DuplicateKeyError: other writers wrote the same keys in more than ``MAX_COLLISIONS`` tries. That is an
                error of the task.
            BulkWriteError: the same, from a bulk write; or a bulk write failed for another reason.
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
        """Return the part by a majority read that is at least as new as all that this owner's session has read.

        It uses a new session, since the owner's session may have been killed. The new session gets the cluster time of
        the old one: without it, a majority read may not show yet what a snapshot has already shown. Blocks until the
        database answers.

        Raises:
            Fenced: this owner holds the part no longer.
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
    """Move a queued job to ``running``. Nothing depends on it, so it is tried only once."""

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
    """Return whether the error means that another writer wrote the same keys after this transaction read them."""
    if isinstance(error, BulkWriteError):
        failures: Sequence[dict[str, Any]] = (error.details or {}).get("writeErrors", [])
        return bool(failures) and all(failure["code"] == DUPLICATE_KEY for failure in failures)
    return True


def _be_as_new_as(session: ClientSession, other: ClientSession) -> None:
    if other.cluster_time is not None:
        session.advance_cluster_time(other.cluster_time)
    if isinstance(other.operation_time, Timestamp):
        session.advance_operation_time(other.operation_time)
