"""`collect-admin replica-set`: makes a new MongoDB server a replica set of one, with a first account.

Larger sets are made by their operator.
"""

from __future__ import annotations

import signal
import time
from urllib.parse import urlsplit

import click
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from collect.admin.connection import Admin, json_option, pass_admin
from collect.admin.waiting import in_a_line
from collect.storage.database import Document

SET_NAME = "rs0"
POLL_SECONDS = 0.5
_NOT_KNOWN = (13, 18)
"""Unauthorized, AuthenticationFailed."""


class NotReady(click.ClickException):
    """The server did not become a replica set, or its account could not be created."""


@click.command("replica-set")
@click.option("--host", help="Name and port of the member. Default: those of MONGODB_URL.")
@click.option("--create-admin", is_flag=True, help="Also create the account of MONGODB_URL, if there is no account.")
@click.option("--stay", is_flag=True, help="Wait for SIGTERM at the end: for a container beside the server.")
@click.option("--seconds", default=300.0, show_default=True, help="How long to wait for the server.")
@json_option
@pass_admin
def replica_set(admin: Admin, host: str | None, create_admin: bool, stay: bool, seconds: float) -> None:
    """Make the server of MONGODB_URL a replica set of one, and wait until it takes writes.

    Safe to repeat. MongoDB lets the first account be created only from the server's own machine (or pod), and only
    while there is no account. So MONGODB_URL must name the server as 127.0.0.1 then.
    """
    # The first process of a container ignores SIGTERM unless it has a handler.
    signal.signal(signal.SIGTERM, lambda _number, _frame: _leave())
    url = admin.mongodb_url
    member = host or urlsplit(url).netloc.rpartition("@")[2]
    _wait(url, member, create_admin=create_admin, seconds=seconds)
    admin.answer({"primary": member}, [f"{member} is a replica set of one and takes writes."])
    if stay:
        signal.pause()


def _leave() -> None:
    raise SystemExit(0)


def _wait(url: str, member: str, *, create_admin: bool, seconds: float) -> None:
    """Wait until the server takes writes. Raises ``NotReady`` with the last reason when it does not in time."""
    deadline = time.monotonic() + seconds
    printed: str | None = None
    while (lacking := _advance(url, member, create_admin=create_admin)) is not None:
        if time.monotonic() > deadline:
            raise NotReady(f"The server did not become a replica set within {seconds:g} s: {lacking}")
        if lacking != printed:
            click.echo(f"Waiting for the server: {lacking}", err=True)
            printed = lacking
        time.sleep(POLL_SECONDS)


def _advance(url: str, member: str, *, create_admin: bool) -> str | None:
    """Create the set, or the account if the set has a primary. Return what is still lacking, ``None`` if nothing."""
    try:
        with _client(_without_account(url)) as anonymous:
            hello = anonymous.admin.command("hello")
            if hello.get("isreplicaset"):  # a server that was started with --replSet and has no configuration yet
                anonymous.admin.command("replSetInitiate", {"_id": SET_NAME, "members": [{"_id": 0, "host": member}]})
                return "it elects itself"
            if not hello.get("setName") and hello.get("isWritablePrimary"):
                return "it was not started with --replSet"
            if not hello.get("isWritablePrimary"):
                return "it is not the primary yet"
            if create_admin and not _can_log_in(url):
                account = parse_uri(url)
                anonymous.admin.command("createUser", account["username"], pwd=account["password"], roles=["root"])
        with _client(url) as operator:
            operator.admin.command("ping")
    except PyMongoError as error:
        return in_a_line(error)
    return None


def _can_log_in(url: str) -> bool:
    try:
        with _client(url) as client:
            client.admin.command("ping")
    except OperationFailure as error:
        if error.code in _NOT_KNOWN:
            return False
        raise
    return True


def _without_account(url: str) -> str:
    parts = urlsplit(url)
    options = [option for option in parts.query.split("&") if not option.lower().startswith("auth")]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="&".join(options)).geturl()


def _client(url: str) -> MongoClient[Document]:
    return MongoClient(url, directConnection=True, serverSelectionTimeoutMS=3_000)
