"""What can go wrong, classed by what the caller should do about it.

CollectError
├── InvalidInput            mend the request (400 when it cannot be parsed, else 422)
│   └── TaskRefused         the job cannot run as it is: it fails, with this as its reason
├── Unauthorised            show a key (401)
├── Forbidden               ask somebody with another role (403)
├── NotFound                there is nothing here for you (404)
├── Conflict                look at the state of things, then decide (409)
│   ├── IllegalTransition   the verb is not allowed in this state
│   ├── DatasetHeld         another job holds the dataset
│   └── InProgress          the same request is under way
├── Gone                    it was here, and will not be again (410)
├── PreconditionFailed      look again: it has moved on (412)
├── TooLarge                send less (413)
├── LimitReached            come back later (429)
├── Transient               try again (503)
│   ├── TooNew              leave it to a newer release
│   ├── StoreFull           make room, or mend what it refuses, then try again
│   ├── TransactionTooBig   write less at once, or try again
│   ├── Overtaken           look again: an earlier try has come through
│   └── ResultDamaged       put back what is missing from the store, then try again
└── Poison                  set the message aside

StopSignal (BaseException)  so that no ``except Exception`` in a task can swallow it
├── Fenced                  the right to write is gone: drop everything, say nothing
├── Abandoned               the broker has given the delivery away: stop, neither publish nor ack
└── Drained                 the worker is going away: finish the chunk, release
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with one field, for a person to mend."""

    field: str
    code: str
    message: str


class CollectError(Exception):
    """The root. ``code`` is stable and documented; ``detail`` is for people and names what to do."""

    code = "error"

    def __init__(self, detail: str, *, code: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = tuple(errors)


class InvalidInput(CollectError):
    """What was sent is wrong; sending it again will not help."""

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
    """A task found that the job cannot run, whatever is tried. ``where`` names the row, column or object."""

    code = "refused"

    def __init__(self, detail: str, *, code: str, where: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.where = where


class ChunkTooBig(CollectError):
    """A chunk of ``rows`` is more than a transaction can hold: smaller ones will do. ``where`` names its first row."""

    code = "chunk_too_big"

    def __init__(self, detail: str, *, where: str, rows: int) -> None:
        super().__init__(detail)
        self.where = where
        self.rows = rows


class Unauthorised(CollectError):
    """No key, or one that is not valid."""

    code = "unauthorised"


class Forbidden(CollectError):
    """The key is valid, its role is not enough."""

    code = "forbidden"


class NotFound(CollectError):
    """It does not exist, or it belongs to another organisation: the answer is the same."""

    code = "not_found"


class Conflict(CollectError):
    """The request is right, the state of things is in its way."""

    code = "conflict"


class IllegalTransition(Conflict):
    """The table of moves has no such move from this state."""

    code = "verb_not_allowed"

    def __init__(self, detail: str, *, state: str, allowed_verbs: Sequence[str]) -> None:
        super().__init__(detail)
        self.state = state
        self.allowed_verbs = tuple(allowed_verbs)


class DatasetHeld(Conflict):
    """Another job is at the head of the lock."""

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
    """It was kept for its time, which is over."""

    code = "gone"


class PreconditionFailed(CollectError):
    """``If-Match`` names a version that is not the present one."""

    code = "precondition_failed"


class TooLarge(CollectError):
    """The body or the file is over its limit."""

    code = "too_large"


class LimitReached(CollectError):
    """Too much at once for this organisation or key."""

    code = "limit_reached"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Transient(CollectError):
    """A server did not answer in time, or answered that it cannot now."""

    code = "unavailable"


class TooNew(Transient):
    """A newer release has written this, in a form that this one cannot read."""

    code = "too_new"


class StoreFull(Transient):
    """The file store has no room left, or refuses what is asked of it."""

    code = "store_full"


class TransactionTooBig(Transient):
    """The database cannot hold the transaction beside all else that it has not written down yet."""

    code = "transaction_too_big"


class Overtaken(Transient):
    """An earlier try, whose outcome was unknown, has come through meanwhile."""


class ResultDamaged(Transient):
    """An object of a result is not in the store as it was written."""

    code = "result_damaged"


class Poison(CollectError):
    """A message that nobody will ever be able to handle."""

    code = "poison"


class StopSignal(BaseException):
    """Root of the signals that end a slice."""


class Fenced(StopSignal):
    """The part carries another epoch: nothing of this slice may be written any more."""


class Abandoned(StopSignal):
    """The connection on which the delivery came is gone, and the delivery with it."""


class Drained(StopSignal):
    """The worker has been asked to go away."""
