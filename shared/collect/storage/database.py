"""The connection to MongoDB, and the one way to run a transaction on it."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Generic, TypeVar

import pymongo
from pymongo import MongoClient, ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database as MongoDatabase
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from collect.errors import Transient
from collect.jobs.model import OUT
from collect.storage.outbox import OutboxEntry

T = TypeVar("T")
Document = dict[str, Any]
SessionId = dict[str, Any]
"""A session as ``killSessions`` names it: ``{id, uid}``. ``uid`` is there only if access control is on."""

SNAPSHOT = ReadConcern("snapshot")
MAJORITY = WriteConcern("majority")

RETRY_JITTER_SECONDS = (0.002, 0.008)
KILL_AFTER_SECONDS = 0.5
GIVE_UP_AFTER_SECONDS = 10.0
PING_SECONDS = 2.0
"""Longest wait for a ping, in seconds. Short, so that repeated pings do not pile up threads on a hanging database."""
HUNG_SECONDS = 90.0
"""Time without progress after which a thread that uses the database counts as hung, in seconds.

A query to a database that does not answer takes less: 5 s to select a server, and twice 30 s to wait for a reply.
"""
_AUTHENTICATION_FAILED = 18
TOO_LARGE_FOR_CACHE = 388
_RETRYABLE_CODES = frozenset(
    {24, 43, 112, 225, 237, 246, 251, 290, 365, TOO_LARGE_FOR_CACHE, 11600, 11601, 11602}
    | {6, 7, 64, 89, 91, 189, 262, 9001, 10107, 13435, 13436}
)
"""Server error codes after which a transaction or a write can be run again.

The first line: LockTimeout, CursorNotFound, WriteConflict, TransactionTooOld, CursorKilled, SnapshotUnavailable,
NoSuchTransaction, TransactionExceededLifetimeLimitSeconds, TemporarilyUnavailable, Interrupted…

The second line: ShutdownInProgress (91), PrimarySteppedDown, WriteConcernFailed… The server answers with these if it
goes away after it applied a write and before a majority has the write. If a whole command fails with such a code, the
driver raises a connection failure. If the code is in a write concern error, it does not; so the codes are needed here.
"""

_log = logging.getLogger(__name__)


class Again(Exception):
    """The exception that a transaction's work raises to abort the transaction and run it again from the beginning."""


class Database:
    """The collections, by name. The times in documents that it returns are in UTC, with time zone."""

    def __init__(self, *, client: MongoClient[Document], name: str, url: str | None = None) -> None:
        self.client = client
        self.db: MongoDatabase[Document] = client[name].with_options(write_concern=MAJORITY)
        self._url = url

    @cached_property
    def user_digest(self) -> bytes | None:
        """The SHA-256 of ``user@authdb``, which is the owner in a session's LogicalSessionId; ``None`` without a user.

        Computed at the first use, because a ``mongodb+srv`` URL needs a name server.
        """
        parsed = parse_uri(self._url, validate=False) if self._url else {}
        user = parsed.get("username")
        if user is None:
            return None
        source = parsed["options"].get("authSource") or parsed["database"] or "admin"
        return hashlib.sha256(f"{user}@{source}".encode()).digest()

    def ping(self) -> None:
        """Check that the server answers.

        Raises:
            PyMongoError: it has not answered within :data:`PING_SECONDS`.
        """
        with pymongo.timeout(PING_SECONDS):
            self.client.admin.command("ping")

    def __getitem__(self, name: str) -> Collection[Document]:
        return self.db[name]

    @property
    def jobs(self) -> Collection[Document]:
        return self.db["jobs"]

    @property
    def parts(self) -> Collection[Document]:
        return self.db["parts"]

    @property
    def ledger(self) -> Collection[Document]:
        return self.db["ledger"]

    @property
    def rejects(self) -> Collection[Document]:
        return self.db["rejects"]

    @property
    def corrections(self) -> Collection[Document]:
        return self.db["corrections"]

    @property
    def audit(self) -> Collection[Document]:
        return self.db["audit"]

    @property
    def outbox(self) -> Collection[Document]:
        return self.db["outbox"]

    @property
    def locks(self) -> Collection[Document]:
        return self.db["locks"]

    @property
    def rows(self) -> Collection[Document]:
        return self.db["rows"]

    @property
    def datasets(self) -> Collection[Document]:
        return self.db["datasets"]

    @property
    def teams(self) -> Collection[Document]:
        return self.db["teams"]

    @property
    def members(self) -> Collection[Document]:
        return self.db["members"]

    @property
    def forms(self) -> Collection[Document]:
        return self.db["forms"]

    @property
    def responses(self) -> Collection[Document]:
        return self.db["responses"]

    @property
    def files(self) -> Collection[Document]:
        return self.db["files"]

    @property
    def orgs(self) -> Collection[Document]:
        return self.db["orgs"]

    @property
    def api_keys(self) -> Collection[Document]:
        return self.db["api_keys"]

    @property
    def idempotency(self) -> Collection[Document]:
        return self.db["idempotency"]

    @property
    def workers(self) -> Collection[Document]:
        return self.db["workers"]

    @property
    def heartbeats(self) -> Collection[Document]:
        return self.db["heartbeats"]

    def session_id(self, session: ClientSession) -> SessionId:
        """Return the id with which another client can kill ``session``."""
        lsid: SessionId = {"id": session.session_id["id"]}
        if self.user_digest is not None:
            lsid["uid"] = self.user_digest
        return lsid

    def kill_sessions(self, sessions: Iterable[SessionId]) -> None:
        """Kill what these sessions have open on the server. Only logs a failure: the epoch protects the data."""
        named = list(sessions)
        if not named:
            return
        try:
            self.client.admin.command("killSessions", named)
        except PyMongoError as error:
            _log.warning("sessions_not_killed", extra={"count": len(named), "error": type(error).__name__})

    def close(self) -> None:
        self.client.close()


def connect(url: str, *, database: str, app_name: str) -> Database:
    """Return a database handle. It connects at the first use; until then it does not block or raise.

    The server shows ``app_name`` beside each operation, so that an operator sees which service runs it.
    """
    client: MongoClient[Document] = MongoClient(
        url,
        appname=app_name,
        tz_aware=True,
        tzinfo=UTC,
        retryWrites=True,
        serverSelectionTimeoutMS=5_000,
        connectTimeoutMS=5_000,
        socketTimeoutMS=30_000,
        read_preference=ReadPreference.PRIMARY,
        readConcernLevel="majority",
        connect=False,
    )
    return Database(client=client, name=database, url=url)


def is_to_come(error: PyMongoError) -> bool:
    """Return whether ``error`` can go away while the database is being set up, so that waiting makes sense.

    The account does not exist yet, or its password is being changed, or the name server does not know the servers yet.
    """
    return isinstance(error, ConfigurationError) or (
        isinstance(error, OperationFailure) and error.code == _AUTHENTICATION_FAILED
    )


@dataclass(kw_only=True)
class Transaction:
    """A running transaction: the session for its statements, and the actions that follow after the commit."""

    db: Database
    session: ClientSession
    outbox: list[OutboxEntry] = field(default_factory=list)
    cut_sessions: dict[str, list[SessionId]] = field(default_factory=dict)
    """Job id → the sessions of its parts that were leased when they were cut. They are killed after the commit."""
    after_commit: list[Callable[[datetime], None]] = field(default_factory=list)
    """Functions that are called after the commit, with the time when it was acknowledged, to write that time down."""
    traceparent: str | None = None
    """The trace context of the slice that runs this, so that the slices which it causes can be linked to it."""

    def publish(self, entry: OutboxEntry) -> None:
        """Write ``entry`` to the outbox in the transaction, and remember it to publish it right after the commit."""
        self.db.outbox.update_one({"_id": entry.id}, entry.insertion(), upsert=True, session=self.session)
        self.outbox.append(entry)


@dataclass(frozen=True, kw_only=True)
class Committed(Generic[T]):
    """The outcome of a committed transaction: the work's value, and the messages that the caller has to send.

    ``at``: when the commit was acknowledged.
    """

    value: T
    outbox: Sequence[OutboxEntry]
    at: datetime


def begin(session: ClientSession) -> Any:
    """Return the context manager of a transaction with the read and write concerns that all transactions here use."""
    return session.start_transaction(
        read_concern=SNAPSHOT, write_concern=MAJORITY, read_preference=ReadPreference.PRIMARY
    )


def retryable(error: PyMongoError) -> bool:
    """Return whether the work can be run again: its outcome is unknown, or it is known that nothing was done."""
    if isinstance(error, ConnectionFailure | ExecutionTimeout | WTimeoutError):
        return True
    if error.has_error_label("TransientTransactionError") or error.has_error_label("UnknownTransactionCommitResult"):
        return True
    if isinstance(error, BulkWriteError):  # many documents outside a transaction: the codes are in the details
        details = error.details or {}
        concerns = [found["code"] for found in details.get("writeConcernErrors", [])]
        return bool(concerns) and not details.get("writeErrors") and _RETRYABLE_CODES.issuperset(concerns)
    return isinstance(error, OperationFailure) and error.code in _RETRYABLE_CODES


def settle(tx: Transaction, *, at: datetime) -> None:
    """Finish after a commit that was acknowledged at ``at``: kill the cut sessions, call the after-commit functions.

    A failure of the database is only logged: the commit is done, and its caller must get the result.
    """
    tx.db.kill_sessions(lsid for sessions in tx.cut_sessions.values() for lsid in sessions)
    try:
        for note in tx.after_commit:
            note(at)
    except PyMongoError as error:
        _log.warning("effect_not_noted", extra={"error": type(error).__name__})


def transact(db: Database, work: Callable[[Transaction], T], *, job_id: str | None = None) -> Committed[T]:
    """Run ``work`` in a transaction until it is committed; kill the sessions that it has cut; return its value.

    ``work`` runs again after a write conflict, and after a commit whose outcome is unknown. So it must be idempotent,
    by state or by ``_id``. Any other exception aborts the transaction and is raised to the caller.

    A running chunk can delay this by milliseconds. A chunk whose process is dead would delay it until the server's
    transaction lifetime ends. So after half a second, the sessions of the leased parts are killed: those of ``job_id``,
    and those of the jobs that ``work`` cuts.

    Raises:
        Transient: ten seconds passed without a commit.
    """
    started = time.monotonic()
    kill_at = started + KILL_AFTER_SECONDS
    with db.client.start_session(causal_consistency=True) as session:
        while True:
            tx = Transaction(db=db, session=session)
            cause: Exception
            try:
                with begin(session):
                    value = work(tx)
            except Again as again:
                cause = again
            except PyMongoError as error:
                if not retryable(error):
                    raise
                cause = error
            else:
                committed = Committed(value=value, outbox=tuple(tx.outbox), at=now())
                settle(tx, at=committed.at)
                return committed
            if time.monotonic() - started > GIVE_UP_AFTER_SECONDS:
                raise Transient(
                    "The database did not answer in time; nothing may have been done. Ask again."
                ) from cause
            if time.monotonic() > kill_at:
                _kill_leased(db, {*tx.cut_sessions, *([job_id] if job_id else [])})
                kill_at = time.monotonic() + KILL_AFTER_SECONDS
            time.sleep(random.uniform(*RETRY_JITTER_SECONDS))


def _kill_leased(db: Database, job_ids: set[str]) -> None:
    """Kill the sessions of the leased parts of these jobs. Best effort: a failure is only logged.

    If no server answers, :func:`transact` tries again, and gives up after its time.
    """
    this = {"job_id": {"$in": list(job_ids)}, "status": {"$in": OUT}, "lsid": {"$ne": None}}
    try:
        db.kill_sessions([part["lsid"] for part in db.parts.find(this, {"lsid": 1})] if job_ids else [])
    except PyMongoError as error:
        _log.warning("sessions_not_found", extra={"error": type(error).__name__})


def now() -> datetime:
    """Return the present time of this machine, cut to whole milliseconds, as the server stores it."""
    return stored(datetime.now(UTC))


def stored(at: datetime) -> datetime:
    """Return ``at`` as the server returns it after storing it: cut to whole milliseconds."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
