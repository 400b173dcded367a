"""The errors of the client, by what the caller should do about them.

ClientError
├── ApiError                 the gateway answered with a problem
│   ├── InvalidRequest       correct the request (400, 413, 422); ``errors`` names the fields
│   ├── NotAuthenticated     use a valid key (401)
│   ├── NotPermitted         use a key of another role (403)
│   ├── Missing              it does not exist for this organisation (404), or not any more (410)
│   ├── Refused              look at the present state, then decide (409); ``state``, ``allowed_verbs``, ``holder``
│   │   └── MovedOn          the job has changed since the caller read it (412)
│   ├── TooMany              try again later (429); all allowed tries were used
│   └── ServerFailed         the gateway or a server behind it failed (5xx)
├── Unreachable              no answer, or one that broke off; all allowed tries were used
├── BadAnswer                the answer is not from this API: check the address
├── Damaged                  the checksum of a download is wrong
└── WaitedInVain             the job did not reach the state that was waited for
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from collect.errors import CollectError, FieldError


class ProblemField(BaseModel):
    """An error of one field of a request."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    field: str = ""
    code: str = ""
    message: str = ""


class Problem(BaseModel):
    """The body of an error (``application/problem+json``)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = "about:blank"
    title: str = ""
    status: int
    code: str = "error"
    detail: str = ""
    request_id: str | None = None
    errors: list[ProblemField] = Field(default_factory=list)
    state: str | None = None
    allowed_verbs: list[str] = Field(default_factory=list)
    holder: str | None = None


class ClientError(CollectError):
    """The base class of the errors that this client raises."""

    code = "client_error"


class ApiError(ClientError):
    """The gateway answered with an error. ``problem``: the body of that answer."""

    def __init__(self, problem: Problem) -> None:
        errors = tuple(FieldError(e.field, e.code, e.message) for e in problem.errors)
        super().__init__(problem.detail or problem.title, code=problem.code, errors=errors)
        self.problem = problem
        self.retry_after_seconds: float | None = None

    @property
    def status(self) -> int:
        return self.problem.status

    @property
    def request_id(self) -> str | None:
        """The id by which the request is found in the gateway's logs and traces."""
        return self.problem.request_id


class InvalidRequest(ApiError):
    """The request is invalid (400, 413, 422). Another try would not help."""


class NotAuthenticated(ApiError):
    """The key is missing or not valid (401)."""


class NotPermitted(ApiError):
    """The key's role does not allow the request (403)."""


class Missing(ApiError):
    """The thing does not exist, belongs to another organisation (404), or has been deleted after its time (410)."""


class Refused(ApiError):
    """The present state does not allow the request (409)."""

    @property
    def state(self) -> str | None:
        """The job's state, when a verb was refused."""
        return self.problem.state

    @property
    def allowed_verbs(self) -> list[str]:
        return self.problem.allowed_verbs

    @property
    def holder(self) -> str | None:
        """The job that holds the dataset, when that is the reason."""
        return self.problem.holder


class MovedOn(Refused):
    """``If-Match`` named an older version of the job (412)."""


class TooMany(ApiError):
    """A limit of the organisation or the key is reached (429)."""


class ServerFailed(ApiError):
    """The gateway, or a server behind it, failed (5xx). The request is not the cause."""


class Unreachable(ClientError):
    """There was no answer, or it broke off. It is unknown whether the request was done. It is safe to repeat it."""

    code = "unreachable"


class BadAnswer(ClientError):
    """The answer does not come from this API."""

    code = "bad_answer"


class Damaged(ClientError):
    """The checksum of a download is not the one that the gateway gave."""

    code = "damaged"


class WaitedInVain(ClientError):
    """The job did not reach the state that was waited for: the time is over, or it has ended in another state.

    The job itself goes on when the time is over.
    """

    code = "waited_in_vain"


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: NotAuthenticated,
    403: NotPermitted,
    404: Missing,
    409: Refused,
    410: Missing,
    412: MovedOn,
    429: TooMany,
}


def from_answer(status: int, body: Any) -> ApiError:
    """Return the error of an answer with a 4xx or 5xx status. Its body need not be a problem."""
    fields = body if isinstance(body, dict) else {"detail": f"The server answered {status}."}
    problem = Problem.model_validate({**fields, "status": status})
    if status >= 500:
        return ServerFailed(problem)
    return _BY_STATUS.get(status, InvalidRequest)(problem)
