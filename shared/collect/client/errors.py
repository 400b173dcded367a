"""What a call to the API can end with, classed by what the caller should do about it.

ClientError
├── ApiError                 the gateway answered, with a problem
│   ├── InvalidRequest       mend the request (400, 413, 422); ``errors`` names the fields
│   ├── NotAuthenticated     show a valid key (401)
│   ├── NotPermitted         ask somebody with another role (403)
│   ├── Missing              there is nothing here for you (404), or no longer (410)
│   ├── Refused              look at the state of things, then decide (409); ``state``, ``allowed_verbs``, ``holder``
│   │   └── MovedOn          it has changed since you looked (412)
│   ├── TooMany              come back later (429); it was tried again for as long as allowed
│   └── ServerFailed         the gateway or a server behind it cannot now (5xx)
├── Unreachable              no answer, or one that broke off; it was tried again for as long as allowed
├── BadAnswer                an answer that is not of this API: is the address right?
├── Damaged                  what was fetched is not what the gateway says it is
└── WaitedInVain             the job was not where it was waited for
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from collect.errors import CollectError, FieldError


class ProblemField(BaseModel):
    """One thing that is wrong with one field of a request."""

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
    """The root of what this client raises."""

    code = "client_error"


class ApiError(ClientError):
    """The gateway's answer was a problem, which ``problem`` has in full."""

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
        """Found in the gateway's logs and traces."""
        return self.problem.request_id


class InvalidRequest(ApiError):
    """400, 413, 422: sending it again will not help."""


class NotAuthenticated(ApiError):
    """401: no key, or one that is not valid."""


class NotPermitted(ApiError):
    """403: the key's role is not enough."""


class Missing(ApiError):
    """404, 410: it does not exist, is another organisation's, or is kept no longer."""


class Refused(ApiError):
    """409: the state of things is in the way."""

    @property
    def state(self) -> str | None:
        """The job's state, when a verb was refused."""
        return self.problem.state

    @property
    def allowed_verbs(self) -> list[str]:
        return self.problem.allowed_verbs

    @property
    def holder(self) -> str | None:
        """The job that holds the dataset, when that is in the way."""
        return self.problem.holder


class MovedOn(Refused):
    """412: ``If-Match`` named an older version."""


class TooMany(ApiError):
    """429: a limit of the organisation or the key is reached."""


class ServerFailed(ApiError):
    """5xx: not the request's fault."""


class Unreachable(ClientError):
    """There was no answer, or it broke off. Whether something was done is not known; asking again is safe."""

    code = "unreachable"


class BadAnswer(ClientError):
    """Something answered that is not this API."""

    code = "bad_answer"


class Damaged(ClientError):
    """What was fetched is not what the gateway says it is."""

    code = "damaged"


class WaitedInVain(ClientError):
    """The job is not where it was waited for: the time is over and it goes on regardless, or it has ended elsewhere."""

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
    """The error of an answer with a 4xx or 5xx status, whatever its body is."""
    fields = body if isinstance(body, dict) else {"detail": f"The server answered {status}."}
    problem = Problem.model_validate({**fields, "status": status})
    if status >= 500:
        return ServerFailed(problem)
    return _BY_STATUS.get(status, InvalidRequest)(problem)
