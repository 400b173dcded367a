"""The whole system on a MongoDB with access control: each service with an account of its own, and least rights."""

import dataclasses
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from collect.admin import accounts
from collect.jobs.states import State
from collect.storage.database import connect
from collect.testing.system import Service, eventually
from faults.conftest import opened
from faults.mongod import Mongod
from plant import REST_SECONDS, Plant
from servers import Servers
from stack import mongodb

ROWS = 20_000
SECRET = "secret"
UNAUTHORIZED = 13
ROLES = {"gateway": "collect-gateway", "worker": "collect-worker", "monitor": "collect-monitor"}
BEFORE_THE_SERVER_GIVES_UP = 8.0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that asks who one is; the address of its first account, which may do everything."""
    root = tmp_path_factory.mktemp("guarded")
    key = root / "key"
    key.write_text("one0member0only\n")
    key.chmod(0o600)
    mongod = Mongod(root)
    server = mongod.child.server
    mongod.child.server = dataclasses.replace(
        server, command=(*server.command, "--keyFile", str(key)), ready=lambda: is_primary(mongod.url)
    )
    mongod.child.start()
    try:
        with MongoClient[dict[str, object]](mongod.url) as nobody:
            nobody.admin.command("createUser", "root", pwd=SECRET, roles=["root"])
        yield account(mongod.url, "root")
    finally:
        mongod.child.kill()


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


def account(url: str, name: str) -> str:
    return url.replace("://root:secret@", "://").replace("://", f"://{name}:{SECRET}@").split("?")[0] + (
        "?directConnection=true&authSource=admin"
    )


class Guarded(Plant):
    """A plant whose services have accounts of their own; the test itself looks on as the operator."""

    accounts: dict[str, str]

    def gateway(self, **settings: Any) -> Service:
        return super().gateway(**{"MONGODB_URL": self.accounts["gateway"], **settings})

    def worker(self, **settings: Any) -> Service:
        return super().worker(**{"MONGODB_URL": self.accounts["worker"], **settings})

    def monitor(self, **settings: str) -> Service:
        return super().monitor(**{"MONGODB_URL": self.accounts["monitor"], **settings})


@pytest.fixture(scope="module")
def standing_plant(
    servers: Servers, guarded: str, redis_url: str, management_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    name = f"guarded_{secrets.token_hex(4)}"
    environment = {**os.environ, "MONGODB_URL": guarded, "MONGODB_DATABASE": name}
    subprocess.run([*ADMIN, "roles", "--apply"], env=environment, check=True, capture_output=True)
    with MongoClient[dict[str, object]](guarded) as root:
        for user, role in ROLES.items():
            root.admin.command("createUser", user, pwd=SECRET, roles=[role])
    Guarded.accounts = {user: account(guarded, user) for user in ROLES}
    with opened(
        servers, mongodb_url=guarded, redis_url=redis_url, management_url=management_url, folder=folder,
        kind=Guarded, name=name,
    ) as plant:  # fmt: skip
        yield plant


ADMIN = (sys.executable, "-c", "from collect.admin.cli import main; main()")


def test_a_job_goes_its_whole_way_with_least_rights(shared: Plant) -> None:
    worker = shared.worker()
    job = shared.upload(shared.file(rows=ROWS, rejects=100), max_rejected={"percent": 50}, rows_per_second=4_000)
    shared.until_written(job)
    assert shared.client.jobs.pause(job, reason="look").state == State.PAUSED
    assert shared.client.jobs.resume(job, reason="go on").state == State.QUEUED
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.succeeded(job, rows=ROWS, rejected=ROWS // 100)
    shared.client.jobs.undo(job, reason="not wanted")
    shared.until_state(job, State.UNDONE)
    assert shared.snapshot() == []
    nobody_was_refused(shared, worker)


def test_whoever_takes_over_ends_what_another_account_has_left_open(shared: Plant) -> None:
    dead = shared.marks / "dead"
    worker = shared.worker(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={ROWS // 2}:once={dead}")
    job = shared.upload(shared.file(rows=ROWS))
    eventually(dead.exists, seconds=REST_SECONDS, what="a transaction is open")
    before = killed_sessions(shared)
    terminated = shared.client.jobs.terminate(job, reason="it hangs")
    assert terminated.last_action is not None
    assert (terminated.last_action.latency_ms or 0) < BEFORE_THE_SERVER_GIVES_UP * 1000
    shared.until_state(job, State.TERMINATED)
    assert shared.snapshot() == []
    assert killed_sessions(shared) > before
    worker.kill()


def test_a_worker_killed_in_a_transaction_is_succeeded_at_once(shared: Plant) -> None:
    dead = shared.marks / "dead"
    worker = shared.worker(COLLECT_FAULT_POINTS=f"in_transaction:kill:row={ROWS // 2}:once={dead}")
    job = shared.upload(shared.file(rows=ROWS))
    shared.succeeded(job, rows=ROWS)
    assert dead.exists()
    nobody_was_refused(shared, worker)


@pytest.mark.parametrize("user", list(ROLES))
def test_an_account_may_do_no_more_than_its_service(shared: Plant, guarded: str, user: str) -> None:
    mine = connect(account(guarded, user), database=shared.db.db.name, app_name="test")
    try:
        rights = accounts.RIGHTS[ROLES[user]]
        for name in shared.db.db.list_collection_names():
            allowed = rights.get(name, ())
            may(mine[name].find_one, allowed="find" in allowed)
            may(lambda name=name: mine[name].delete_many({"_id": "nothing"}), allowed="remove" in allowed)
        may(lambda: mine.db.create_collection("more"), allowed=False)
        may(lambda: mine.db.drop_collection("rows"), allowed=False)
        may(lambda: mine.client.admin.command("usersInfo"), allowed=False)
        may(lambda: mine.client["another"]["rows"].find_one(), allowed=False)
    finally:
        mine.close()


def test_the_roles_are_shown_as_they_are_declared(tmp_path: Path) -> None:
    environment = {**os.environ, "MONGODB_URL": "mongodb://nobody", "MONGODB_DATABASE": "somewhere"}
    shown = subprocess.run([*ADMIN, "roles"], env=environment, check=True, capture_output=True, text=True).stdout
    assert all(role in shown for role in ROLES.values())
    assert shown.count("killAnySession") == len(ROLES)


def may(act: Any, *, allowed: bool) -> None:
    try:
        act()
    except OperationFailure as refused:
        if refused.code != UNAUTHORIZED:
            raise
        assert not allowed
    else:
        assert allowed


def nobody_was_refused(plant: Plant, worker: Service) -> None:
    """A right that is missing ends a process, or is in its log."""
    for service in (plant.gateway_service, plant.monitor_service, worker):
        assert service.process.poll() is None
        said = service.log.read_text()
        assert "not authorized" not in said
        assert "sessions_not_killed" not in said
        assert "OperationFailure" not in said


def killed_sessions(plant: Plant) -> int:
    status = plant.db.client.admin.command("serverStatus")
    return int(status["transactions"]["totalAborted"])
