"""The whole system on servers with access control: each service with accounts of its own, and least rights."""

import dataclasses
import json
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker, ProbableAuthenticationError
from pika.spec import ACCESS_REFUSED
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from collect.admin import accounts, broker_accounts
from collect.admin.sending import send
from collect.demo import responses, survey, teams
from collect.jobs.states import State
from collect.messaging import topology
from collect.storage.database import connect
from collect.testing.system import Service, eventually
from faults.conftest import opened
from faults.mongod import Mongod
from stack import mongodb
from support.servers import Servers
from support.system_under_test import ORG, REST_SECONDS, Plant

ROWS = 20_000
TEAMS = 1_000
SECRET = "secret"
UNAUTHORIZED = 13
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

    guarded: str
    urls: dict[str, dict[str, str]]
    """Service → setting → where it is, with the service's account."""

    def open(self) -> None:
        """Make the accounts first. Nobody has declared anything on the broker then."""
        folder = self.folder / "accounts"
        self.urls = {service: self._urls(service, password=SECRET) for service in accounts.ROLE_OF}
        made = make_accounts(self, folder)
        assert set(made) == set(accounts.ROLE_OF)
        super().open()

    def gateway(self, **settings: Any) -> Service:
        return super().gateway(**{**self.urls["gateway"], **settings})

    def worker(self, *, kind: str = "upload", **settings: Any) -> Service:
        return super().worker(kind=kind, **{**self.urls[f"{kind}-worker"], **settings})

    def monitor(self, **settings: str) -> Service:
        return super().monitor(**{**self.urls["monitor"], **settings})

    def _urls(self, service: str, *, password: str) -> dict[str, str]:
        broker = urlsplit(self.amqp_url)
        place = broker.netloc.rpartition("@")[2]
        return {
            "MONGODB_URL": account(self.guarded, service),
            "AMQP_URL": broker._replace(netloc=f"{service}:{password}@{place}").geturl(),
        }


def make_accounts(plant: Guarded, folder: Path) -> dict[str, Any]:
    """What `collect-admin accounts` has made of the plant's URLs."""
    for service, urls in plant.urls.items():
        (folder / service).mkdir(parents=True, exist_ok=True)
        for name, url in urls.items():
            (folder / service / name).write_text(url)
    environment = {
        **os.environ,
        "MONGODB_URL": plant.guarded,
        "MONGODB_DATABASE": plant.db.db.name,
        "AMQP_URL": plant.amqp_url,
        "RABBITMQ_MANAGEMENT_URL": plant.management_url or "",
    }
    done = subprocess.run(
        [*ADMIN, "accounts", "--json", str(folder)], env=environment, check=True, capture_output=True, text=True
    )
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@pytest.fixture(scope="module")
def standing_plant(
    servers: Servers, guarded: str, redis_url: str, management_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    name = f"guarded_{secrets.token_hex(4)}"
    Guarded.guarded = guarded
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
    shared.client.jobs.correct(job, rows=[{"row": 100, "values": {"gender": "nothing"}}], reason="not corrected")
    shared.succeeded(job, rows=ROWS, rejected=ROWS // 100)
    shared.client.jobs.undo(job, reason="not wanted")
    shared.until_state(job, State.UNDONE)
    assert shared.snapshot() == []
    nobody_was_refused(shared, worker)


def test_exports_go_their_whole_way_with_least_rights(shared: Plant) -> None:
    made = responses.Batch(org_id=ORG, rows=ROWS, first=responses.prepare(shared.db, org_id=ORG))
    send(shared.db.responses, responses.blocks(made), report=lambda _: None)
    worker = shared.worker(kind="export")
    whole = export(shared)
    shared.until_state(whole, State.SUCCEEDED)
    assert told(shared, whole, "manifest")["rows"] == ROWS
    shared.client.jobs.undo(whole, reason="not wanted")
    shared.until_state(whole, State.UNDONE)
    slow = export(shared, rows_per_second=4_000)
    eventually(lambda: shared.db.ledger.find_one({"job_id": slow}), seconds=REST_SECONDS, what="a chunk is written")
    shared.client.jobs.stop(slow, reason="the wrong date")
    shared.until_state(slow, State.STOPPED)
    assert told(shared, slow, "manifest")["complete"] is False
    shared.sound()
    nobody_was_refused(shared, worker)


def test_teams_and_corrections_go_their_whole_way_with_least_rights(shared: Plant, tmp_path: Path) -> None:
    responses.prepare(shared.db, org_id=ORG)
    path = tmp_path / "teams.csv"
    teams.save_csv(teams.Roster(teams=TEAMS, shift={"manager_phone": 1}), path)
    worker = shared.worker(kind="teams")
    params = {"file_id": shared.client.files.upload(path).id, "column_shift": {"manager_phone": -1}}
    job = shared.client.jobs.create("teams", params, reason="a test").id
    shared.until_state(job, State.SUCCEEDED)
    assert shared.client.jobs.get(job).progress.rejected == 1
    corrected = [{"row": TEAMS, "values": {"manager_phone": "9000000000"}}]
    shared.client.jobs.correct(job, rows=corrected, reason="asked by phone")
    shared.until_state(job, State.SUCCEEDED)
    assert shared.db.teams.count_documents({"values.managers": "+919000000000"}) == 1
    shared.sound()
    shared.client.jobs.undo(job, reason="not wanted")
    shared.until_state(job, State.UNDONE)
    assert [shared.db[name].count_documents({}) for name in ("teams", "members")] == [0, 0]
    nobody_was_refused(shared, worker)


def export(plant: Plant, *, rows_per_second: float | None = None) -> str:
    """Start an export of all responses; the job's id."""
    params = {"form_id": survey.FORM_ID, "from_date": "2015-08-01"}
    return plant.client.jobs.create("export", params, reason="a test", max_rows_per_second=rows_per_second).id


def told(plant: Plant, job: str, what: str) -> dict[str, Any]:
    """What the gateway says of a job."""
    asked = urllib.request.Request(
        f"{plant.url}/v1/jobs/{job}/{what}", headers={"Authorization": f"Bearer {plant.token}"}
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


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


@pytest.mark.parametrize("user", list(accounts.ROLE_OF))
def test_an_account_may_do_no_more_than_its_service(shared: Plant, guarded: str, user: str) -> None:
    mine = connect(account(guarded, user), database=shared.db.db.name, app_name="test")
    try:
        rights = accounts.RIGHTS[accounts.ROLE_OF[user]]
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
    assert all(role in shown for role in accounts.ROLE_OF.values())
    assert shown.count("killAnySession") == len(accounts.RIGHTS)


def test_making_the_accounts_again_changes_a_password_and_nothing_else(shared: Plant, tmp_path: Path) -> None:
    assert isinstance(shared, Guarded)
    before = shared.urls["upload-worker"]
    shared.urls["upload-worker"] = shared._urls("upload-worker", password="another")
    try:
        make_accounts(shared, tmp_path)
        with pytest.raises(ProbableAuthenticationError):
            pika.BlockingConnection(pika.URLParameters(before["AMQP_URL"]))
        worker = shared.worker()
        job = shared.upload(shared.file(rows=ROWS))
        shared.succeeded(job, rows=ROWS)
        nobody_was_refused(shared, worker)
    finally:
        shared.urls["upload-worker"] = before
        make_accounts(shared, tmp_path)


@pytest.mark.parametrize("service", list(broker_accounts.RIGHTS))
def test_on_the_broker_too_an_account_may_do_no_more_than_its_service(shared: Plant, service: str) -> None:
    assert isinstance(shared, Guarded)
    url = shared.urls[service]["AMQP_URL"]
    own = {"monitor": topology.HEARTBEAT_QUEUE}.get(service, f"jobs.{service.removesuffix('-worker')}")
    for queue in topology.QUEUES:
        on_the_broker(url, lambda at, queue=queue: at.basic_get(queue.name), allowed=queue.name == own)
        on_the_broker(url, lambda at, queue=queue: at.queue_purge(queue.name), allowed=queue.name == own)
        on_the_broker(
            url,
            lambda at, queue=queue: at.queue_declare(queue.name, durable=True, arguments=queue.arguments),
            allowed=service == "monitor",
        )
    for routing_key in ("upload.1", "teams.1"):
        allowed = not service.endswith("-worker") or routing_key.startswith(service.removesuffix("-worker"))
        on_the_broker(url, lambda at, key=routing_key: at.basic_publish(topology.CONTROL, key, b"{}"), allowed=allowed)


def test_a_queue_that_was_deleted_comes_back_through_the_monitor(shared: Plant) -> None:
    worker = shared.worker()
    with pika.BlockingConnection(pika.URLParameters(shared.amqp_url)) as connection:
        connection.channel().queue_delete("jobs.upload")
    job = shared.upload(shared.file(rows=ROWS))
    shared.succeeded(job, rows=ROWS)
    nobody_was_refused(shared, worker)


@pytest.mark.parametrize("queue", ["jobs.upload", "dead"])
def test_a_queue_that_was_deleted_while_nothing_happens_comes_back_as_well(shared: Plant, queue: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(shared.amqp_url)) as connection:
        connection.channel().queue_delete(queue)
        eventually(lambda: is_there(connection, queue), seconds=REST_SECONDS, what=f"{queue} is there again")


def is_there(connection: pika.BlockingConnection, queue: str) -> bool:
    try:
        connection.channel().queue_declare(queue, passive=True)
    except ChannelClosedByBroker:
        return False
    return True


def test_no_account_is_made_for_two_services_or_of_the_operators(shared: Plant, tmp_path: Path) -> None:
    assert isinstance(shared, Guarded)
    before = shared.urls["upload-worker"]
    try:
        for other in (shared.urls["monitor"]["MONGODB_URL"], shared.guarded):
            shared.urls["upload-worker"] = {**before, "MONGODB_URL": other}
            with pytest.raises(subprocess.CalledProcessError) as refused:
                make_accounts(shared, tmp_path)
            assert "its own account on MongoDB" in refused.value.stderr
    finally:
        shared.urls["upload-worker"] = before


def on_the_broker(url: str, act: Any, *, allowed: bool) -> None:
    """Whether the account may do it; with confirms, so that a publish that is refused is known."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        if allowed:
            act(channel)
            return
        with pytest.raises(ChannelClosedByBroker) as refused:
            act(channel)
        assert refused.value.reply_code == ACCESS_REFUSED


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
