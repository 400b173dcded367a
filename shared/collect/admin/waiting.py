"""Commands that may be given before the servers are there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import click
from pika.exceptions import AMQPError
from pymongo.errors import InvalidURI, PyMongoError

T = TypeVar("T")

RETRY_SECONDS = 2.0

wait_option = click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Try for so long until the servers answer.",
)


def until_there(act: Callable[[], T], *, seconds: float) -> T:
    """What ``act`` returns, which may be done again and again. Raises what it raised last, after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except InvalidURI:
            raise
        except (PyMongoError, AMQPError, OSError) as error:
            if time.monotonic() + RETRY_SECONDS > deadline:
                raise
            click.echo(f"Waiting: {type(error).__name__}", err=True)
        time.sleep(RETRY_SECONDS)
