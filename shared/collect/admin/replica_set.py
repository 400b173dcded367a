"""Make one MongoDB server a replica set of one, with a first account: for a server that was started empty.

A set of more members is its operator's to make.
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


class NotMade(click.ClickException):
    """The server is not what was asked for."""


@click.command("replica-set")
@click.option("--host", help="Under which name and port the member is known; default: that of MONGODB_URL.")
@click.option("--create-admin", is_flag=True, help="Also make the account that MONGODB_URL names, if there is none.")
@click.option("--stay", is_flag=True, help="Then wait for SIGTERM: for a container beside the server.")
@click.option("--seconds", default=300.0, show_default=True, help="How long to wait for the server.")
@json_option
@pass_admin
def replica_set(admin: Admin, host: str | None, create_admin: bool, stay: bool, seconds: float) -> None:
    """Make the one server that MONGODB_URL names a replica set of one, and wait until it takes writes.

    Harmless when repeated. The first account can only be made from the server's own machine (or pod), and only as
    long as there is none: so MONGODB_URL then names the server by 127.0.0.1.
    """
    # As the first process of a container nothing would end it otherwise.
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
    """Raises NotMade, with the last reason, when the server does not take writes in time."""
    deadline = time.monotonic() + seconds
    told: str | None = None
    while (lacking := _advance(url, member, create_admin=create_admin)) is not None:
        if time.monotonic() > deadline:
            raise NotMade(f"The server did not become a replica set within {seconds:g} s: {lacking}")
        if lacking != told:
            click.echo(f"Waiting for the server: {lacking}", err=True)
            told = lacking
        time.sleep(POLL_SECONDS)


def _advance(url: str, member: str, *, create_admin: bool) -> str | None:
    """Make what can be made now: the set, or, when it has a primary, the account. Returns what is still lacking."""
    try:
        with _client(_without_account(url)) as anybody:
            hello = anybody.admin.command("hello")
            if hello.get("isreplicaset"):  # so says a server that is to be a member and was never told of what
                anybody.admin.command("replSetInitiate", {"_id": SET_NAME, "members": [{"_id": 0, "host": member}]})
                return "it elects itself"
            if not hello.get("setName") and hello.get("isWritablePrimary"):
                return "it was not started with --replSet"
            if not hello.get("isWritablePrimary"):
                return "it is not the primary yet"
            if create_admin and not _can_log_in(url):
                account = parse_uri(url)
                anybody.admin.command("createUser", account["username"], pwd=account["password"], roles=["root"])
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
