"""Commands that may be given before the servers are there."""

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
"""MongoDB's, of an account that has not the right. One that is not known, 18, may be about to be made."""


class NotThere(click.ClickException):
    """A server does not do what was asked of it: which, and its own words."""


class Waiting:
    """The time that one command has for all servers together."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def until_there(self, act: Callable[[], T], *, what: str) -> T:
        """What ``act`` returns, which may be done again and again. Whenever something else is waited for, it says so.

        Raises:
            NotThere: the time is over, or ``what``, the server, refuses for a reason that time does not mend.
        """
        told: str | None = None
        while True:
            try:
                return act()
            except (PyMongoError, AMQPError, OSError) as error:
                lacking = f"{what}: {in_a_line(error)}"
                if _stays(error) or time.monotonic() + RETRY_SECONDS > self._deadline:
                    raise NotThere(lacking) from error
            if lacking != told:
                click.echo(f"Waiting for {lacking}", err=True)
                told = lacking
            time.sleep(RETRY_SECONDS)


wait_option = click.option(
    "--wait",
    "waiting",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    callback=lambda _context, _option, seconds: Waiting(seconds),
    help="Try for so long until the servers answer.",
)


def in_a_line(error: Exception) -> str:
    """What it is and what it says, without what differs from one attempt to the next."""
    said = f"{type(error).__name__}: {error}" if str(error) else repr(error)
    return said.split(", full error")[0].split(", Timeout:")[0].splitlines()[0][:SHOWN_CHARACTERS]


def _stays(error: Exception) -> bool:
    match error:
        case HTTPError():
            return error.code in _REFUSALS
        case OperationFailure():
            return error.code == _UNAUTHORIZED
        case _:
            return isinstance(error, InvalidURI)
