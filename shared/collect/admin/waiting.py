"""The option --wait, for commands that may run before the servers are ready."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar
from urllib.error import HTTPError

import click
from pika.exceptions import AMQPError
from pymongo.errors import InvalidURI, OperationFailure, PyMongoError

T = TypeVar("T")

RETRY_SECONDS = 2.0
SHOWN_CHARACTERS = 300
_REFUSALS = (400, 401, 403, 404)
_UNAUTHORIZED = 13
"""MongoDB's error for a missing right. An unknown account (18) may still be created, so the command waits."""


class ServerUnavailable(click.ClickException):
    """A server does not answer, or refuses. The message names it and has its error."""


class Waiting:
    """The time that a command has for all servers together."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def until_there(self, act: Callable[[], T], *, what: str) -> T:
        """Call ``act``, which must be idempotent, until it succeeds, and return its value. Prints what it waits for.

        ``what``: the server's name for messages.

        Raises:
            ServerUnavailable: the time is over, or the server refuses for a reason that waiting does not change.
        """
        printed: str | None = None
        while True:
            try:
                return act()
            except (PyMongoError, AMQPError, OSError) as error:
                lacking = f"{what}: {in_a_line(error)}"
                if _stays(error) or time.monotonic() + RETRY_SECONDS > self._deadline:
                    raise ServerUnavailable(lacking) from error
            if lacking != printed:
                click.echo(f"Waiting for {lacking}", err=True)
                printed = lacking
            time.sleep(RETRY_SECONDS)


wait_option = click.option(
    "--wait",
    "waiting",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    callback=lambda _context, _option, seconds: Waiting(seconds),
    help="Longest time to wait for the servers.",
)


def in_a_line(error: Exception) -> str:
    """Return the error's type and message in one line, without what differs between attempts."""
    text = f"{type(error).__name__}: {error}" if str(error) else repr(error)
    return text.split(", full error")[0].split(", Timeout:")[0].splitlines()[0][:SHOWN_CHARACTERS]


def _stays(error: Exception) -> bool:
    match error:
        case HTTPError():
            return error.code in _REFUSALS
        case OperationFailure():
            return error.code == _UNAUTHORIZED
        case _:
            return isinstance(error, InvalidURI)
