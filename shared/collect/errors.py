"""The errors of the package, classed by what the caller should do.

CollectError
├── InvalidInput            correct the request (400 if it cannot be parsed, else 422)
│   └── TaskRefused         correct the file or the params: the job fails, with this as its reason
├── ChunkTooBig             make smaller chunks
├── Unauthorised            send a valid key (401)
├── Forbidden               ask a person whose key has another role (403)
├── NotFound                check the id: the organisation has nothing with it (404)
├── Conflict                read the present state, then decide (409)
│   ├── IllegalTransition   use a verb that this state allows
│   ├── DatasetHeld         wait until the other job gives up the lock
│   └── InProgress          wait: the same request is being answered
├── Gone                    do not ask again: it was deleted, and does not come back (410)
├── PreconditionFailed      read the job again: it has changed (412)
├── TooLarge                send less (413)
├── LimitReached            ask again later (429)
├── Transient               try again (503)
│   ├── TooNew              leave it to a newer release
│   ├── StoreFull           make room in the store, or change what it refuses, then try again
│   ├── TransactionTooBig   write less in one transaction, or try again
│   ├── Overtaken           read the part again: an earlier commit has arrived late
│   └── ResultDamaged       put the missing object back into the store, then try again
└── Poison                  move the message to the dead letters

StopSignal (BaseException)  no ``except Exception`` in a task can catch it
├── Fenced                  stop at once: the right to write is gone; write and report nothing
├── Abandoned               stop: the broker will deliver the message again; neither publish nor ack
└── Drained                 finish the chunk and release the part: the worker is shutting down
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One error in one field: a stable ``code`` for programs and a ``message`` for people."""

    field: str
    code: str
    message: str


class CollectError(Exception):
    """The root of all errors of the package.

    ``code`` is for programs; it is stable and documented. ``detail`` is for people and names what to do.
    """

    code = "error"

    def __init__(self, detail: str, *, code: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = tuple(errors)


class InvalidInput(CollectError):
    """The request is wrong. Sending it again does not help. ``malformed``: it could not be parsed (400, not 422)."""

    code = "invalid_input"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        malformed: bool = False,
    ) -> None:
        super().__init__(detail, code=code, errors=errors)
        self.malformed = malformed


class TaskRefused(InvalidInput):
    """A task found that its job cannot run, and that a retry cannot help. ``where``: the row, column or object."""

    code = "refused"

    def __init__(self, detail: str, *, code: str, where: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.where = where


class ChunkTooBig(CollectError):
    """A chunk of ``rows`` rows is too big for one transaction. Smaller chunks may fit. ``where``: its first row."""

    code = "chunk_too_big"

    def __init__(self, detail: str, *, where: str, rows: int) -> None:
        super().__init__(detail)
        self.where = where
        self.rows = rows


class Unauthorised(CollectError):
    """The request has no key, or its key is not valid."""

    code = "unauthorised"


class Forbidden(CollectError):
    """The key is valid, but its role does not allow the request."""

    code = "forbidden"


class NotFound(CollectError):
    """The object does not exist or belongs to another organisation. The answer does not show which."""

    code = "not_found"


class Conflict(CollectError):
    """The request is valid, but the present state does not allow it."""

    code = "conflict"


class IllegalTransition(Conflict):
    """The table of moves has no such move from the job's state. ``allowed_verbs``: the verbs that it has."""

    code = "verb_not_allowed"

    def __init__(self, detail: str, *, state: str, allowed_verbs: Sequence[str]) -> None:
        super().__init__(detail)
        self.state = state
        self.allowed_verbs = tuple(allowed_verbs)


class DatasetHeld(Conflict):
    """Another job holds the lock, or the place behind the job to be superseded. ``holder``: the id of that job."""

    code = "dataset_held"

    def __init__(self, detail: str, *, holder: str) -> None:
        super().__init__(detail)
        self.holder = holder


class InProgress(Conflict):
    """The same request, with the same idempotency key, has not been answered yet."""

    code = "request_in_progress"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Gone(CollectError):
    """The object was deleted because the time for which it was kept is over."""

    code = "gone"


class PreconditionFailed(CollectError):
    """The request's ``If-Match`` names a version that is not the present one."""

    code = "precondition_failed"


class TooLarge(CollectError):
    """The body or the file is over its limit."""

    code = "too_large"


class LimitReached(CollectError):
    """The organisation or the key has too many requests or jobs at once."""

    code = "limit_reached"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Transient(CollectError):
    """A server did not answer in time, or answered that it cannot do it now."""

    code = "unavailable"


class TooNew(Transient):
    """A newer release wrote the data, in a format that this release cannot read."""

    code = "too_new"


class StoreFull(Transient):
    """The file store has no room left, or refuses the operation."""

    code = "store_full"


class TransactionTooBig(Transient):
    """The transaction does not fit into the database's cache, beside all other changes that are not on disk yet."""

    code = "transaction_too_big"


class Overtaken(Transient):
    """An earlier commit, whose outcome was unknown, has arrived late."""


class ResultDamaged(Transient):
    """An object of a result is missing from the store, or is not the one that was written."""

    code = "result_damaged"


class Poison(CollectError):
    """A message that cannot be handled, however often it is delivered."""

    code = "poison"


class StopSignal(BaseException):
    """The root of the signals that end a slice."""


class Fenced(StopSignal):
    """The part has another epoch, or is no longer leased. This slice may write nothing more."""


class Abandoned(StopSignal):
    """The connection to the broker that delivered the message is lost, so the delivery is no longer this worker's."""


class Drained(StopSignal):
    """The worker has been asked to shut down."""
