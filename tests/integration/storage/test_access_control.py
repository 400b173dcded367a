"""Ending another account's session on a server with access control: without the owner's digest nothing happens."""

import dataclasses
import time
from collections.abc import Iterator

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from collect.jobs.states import State, Verb
from collect.storage import indexes
from collect.storage.database import Database, connect
from integration.storage.conftest import empty
from integration.storage.hands import Hand, do, make, run_until_rest, state_of, take_hold
from stack import mongodb
from stack.children import Child
from stack.ports import free_ports
from stack.server import ServerMissing
from support.servers import MONGODB_WHEEL, unavailable

BEFORE_THE_SERVER_GIVES_UP = 8.0
NAME = "guarded"
ROLES = ["readWriteAnyDatabase", "killer"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with access control and two accounts, gateway and worker; its address, without an account."""
    root = tmp_path_factory.mktemp("guarded")
    key = root / "key"
    key.write_text("one0member0only\n")
    key.chmod(0o600)
    ports = free_ports(mongodb.PORT_NAMES)
    try:
        server = mongodb.mongodb(root, ports, installed=MONGODB_WHEEL, cache_gigabytes=0.25)
    except ServerMissing as error:
        unavailable(error)
        raise
    command = (*server.command, "--keyFile", str(key))
    url = mongodb.mongodb_url(ports)
    child = Child(
        server=dataclasses.replace(server, command=command, ready=lambda: is_primary(url)), log_folder=root / "log"
    )
    child.start()
    try:
        make_accounts(url)
        yield f"127.0.0.1:{ports['mongodb']}"
    finally:
        child.kill()


def is_primary(url: str) -> bool:
    """Whether it takes writes; on the way there it makes the set, which is allowed as long as there is no account."""
    with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=1000) as nobody:
        try:
            if nobody.admin.command("hello").get("isWritablePrimary"):
                return True
            member = {"_id": 0, "host": url.split("/")[2]}
            nobody.admin.command("replSetInitiate", {"_id": mongodb.SET_NAME, "members": [member]})
        except PyMongoError:
            return False
    return False


def make_accounts(url: str) -> None:
    """The first account may be made by anybody on the machine; it makes the others."""
    with MongoClient[dict[str, object]](url) as nobody:
        nobody.admin.command("createUser", "root", pwd="root", roles=["root"])
    with MongoClient[dict[str, object]](url, username="root", password="root") as root:
        privileges = [{"resource": {"cluster": True}, "actions": ["killAnySession"]}]
        root.admin.command("createRole", "killer", privileges=privileges, roles=[])
        for name in ("gateway", "worker"):
            root.admin.command("createUser", name, pwd=name, roles=ROLES)


@pytest.fixture
def accounts(guarded: str) -> Iterator[tuple[Database, Database]]:
    """The database as the gateway and as the worker see it."""
    made = [
        connect(f"mongodb://{name}:{name}@{guarded}/?directConnection=true", database=NAME, app_name=name)
        for name in ("gateway", "worker")
    ]
    indexes.migrate(made[0])
    empty(made[0])
    yield made[0], made[1]
    for database in made:
        database.close()


def test_a_session_is_named_with_its_owners_digest(accounts: tuple[Database, Database]) -> None:
    gateway, worker = accounts
    hand = take_hold(gateway, make(gateway), client=worker)
    assert hand.part.lsid is not None
    assert len(hand.part.lsid["uid"]) == 32
    assert hand.part.lsid["uid"] == worker.user_digest != gateway.user_digest


def test_a_verb_ends_the_dead_transaction_of_another_account(accounts: tuple[Database, Database]) -> None:
    gateway, worker = accounts
    job = make(gateway)
    hand = take_hold(gateway, job, chunks=1, client=worker)
    hand.die_in_transaction()
    began = time.monotonic()
    do(gateway, job, Verb.TERMINATE)
    assert time.monotonic() - began < BEFORE_THE_SERVER_GIVES_UP
    run_until_rest(gateway)
    assert state_of(gateway, job) is State.TERMINATED
    assert gateway.rows.count_documents({}) == 0


def test_the_sessions_that_a_verb_has_cut_are_ended_after_it(accounts: tuple[Database, Database]) -> None:
    gateway, worker = accounts
    job = make(gateway)
    hand = take_hold(gateway, job, chunks=1, client=worker)
    hand.session.start_transaction()
    worker.rows.insert_one({"_id": "contested"}, session=hand.session)
    began = time.monotonic()
    do(gateway, job, Verb.STOP)
    gateway.rows.insert_one({"_id": "contested"})
    assert time.monotonic() - began < BEFORE_THE_SERVER_GIVES_UP


def test_whoever_takes_over_ends_the_transaction_of_another_account(accounts: tuple[Database, Database]) -> None:
    gateway, worker = accounts
    job = make(gateway)
    hand = take_hold(gateway, job, chunks=1, client=worker)
    message = hand.message
    assert message is not None
    hand.die_in_transaction()
    began = time.monotonic()
    heir = Hand(gateway, "heir")
    assert heir.claim(message, redelivered=True)
    heir.chunk()
    assert time.monotonic() - began < BEFORE_THE_SERVER_GIVES_UP
