"""The exit codes of the command. They are stable, since scripts decide by them."""

from __future__ import annotations

from enum import IntEnum

from collect.api.jobs import Job
from collect.client.api import NotConfigured
from collect.client.errors import (
    ApiError,
    ClientError,
    Damaged,
    InvalidRequest,
    Missing,
    NotAuthenticated,
    NotPermitted,
    Refused,
    ServerFailed,
    TooMany,
    Unreachable,
    WaitedInVain,
)
from collect.jobs.states import State


class Exit(IntEnum):
    """Exit codes of ``collect``."""

    OK = 0
    OTHERWISE = 1
    USAGE = 2
    REFUSED = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    UNAVAILABLE = 6
    INVALID = 7
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done; a job that was waited for ended as wished",
    Exit.OTHERWISE: "the job ended, or rests, otherwise than wished; a preview found errors; waiting was too long; "
    "a download was damaged",
    Exit.USAGE: "wrong usage of the command, or COLLECT_URL or COLLECT_API_KEY is missing",
    Exit.REFUSED: "refused as things are (409, 412): verb not allowed now, dataset held, job moved on",
    Exit.NOT_ALLOWED: "the key is not valid, or its role is not enough (401, 403)",
    Exit.NOT_FOUND: "there is no such job, file, form, dataset or team (404), or it is kept no longer (410)",
    Exit.UNAVAILABLE: "the gateway does not answer, or cannot now (429, 5xx); it was tried again for half a minute",
    Exit.INVALID: "the request or the file is wrong (400, 413, 422)",
    Exit.INTERRUPTED: "interrupted with Ctrl-C; a job that was started goes on",
}


def described() -> str:
    """Return the list of exit codes for ``--help``."""
    return "\b\nExit codes:\n" + "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())


def of_error(error: ClientError) -> Exit:
    """Return the exit code for an error of the client."""
    match error:
        case NotConfigured():
            return Exit.USAGE
        case NotAuthenticated() | NotPermitted():
            return Exit.NOT_ALLOWED
        case Missing():
            return Exit.NOT_FOUND
        case Refused():
            return Exit.REFUSED
        case InvalidRequest():
            return Exit.INVALID
        case TooMany() | ServerFailed() | Unreachable():
            return Exit.UNAVAILABLE
        case WaitedInVain() | Damaged():
            return Exit.OTHERWISE
        case ApiError():
            return Exit.UNAVAILABLE
        case _:
            return Exit.USAGE


WISHED: dict[str | None, frozenset[State]] = {
    None: frozenset({State.SUCCEEDED}),
    "pause": frozenset({State.PAUSED}),
    "stop": frozenset({State.STOPPED}),
    "terminate": frozenset({State.TERMINATED}),
    "undo": frozenset({State.UNDONE}),
}
"""Verb (``None``: no verb) → the states in which a job has ended as the user wished."""


def of_job(job: Job, *, verb: str | None = None) -> Exit:
    """Return ``OK`` if the job has succeeded or is in the state that ``verb`` leads to, else ``OTHERWISE``."""
    return Exit.OK if job.state in WISHED.get(verb, WISHED[None]) else Exit.OTHERWISE
