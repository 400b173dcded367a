"""`collect-admin replica-set` on a server that was started empty."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from collect.testing.system import Service, eventually
from stack import mongodb
from stack.children import Child
from stack.ports import free_ports
from stack.server import ServerMissing
from support.servers import MONGODB_WHEEL, unavailable

COMMAND = (sys.executable, "-c", "from collect.admin.cli import main; main()", "replica-set")


@pytest.fixture(params=["without accounts", "with accounts"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A server that listens and is told nothing; where access is controlled, with the account it is to have."""
    ports = free_ports(mongodb.PORT_NAMES)
    key = tmp_path / "key"
    key.write_text("one0member0only\n")
    key.chmod(0o600)
    guarded = request.param == "with accounts"
    try:
        server = mongodb.mongodb(tmp_path, ports, installed=MONGODB_WHEEL, cache_gigabytes=0.25)
    except ServerMissing as error:
        unavailable(error)
        raise
    command = (*server.command, *(("--keyFile", str(key)) if guarded else ()))
    child = Child(server=dataclasses.replace(server, command=command, ready=lambda: True), log_folder=tmp_path / "log")
    child.start()
    try:
        login = "operator:it%27s%20a%20secret@" if guarded else ""
        yield f"mongodb://{login}127.0.0.1:{ports['mongodb']}/?authSource=admin"
    finally:
        child.kill()


def replica_set(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MONGODB_URL": url}
    command = (*COMMAND, "--create-admin", *options) if "@" in url else (*COMMAND, *options)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_it_is_made_with_its_first_account_and_making_it_again_changes_nothing(url: str) -> None:
    for _ in range(2):
        done = replica_set(url)
        assert done.returncode == 0, done.stderr
        assert "takes writes" in done.stdout
    with MongoClient[dict[str, object]](url, directConnection=True) as operator:
        operator.anything.things.insert_one({})
        members = operator.admin.command("replSetGetConfig")["config"]["members"]
    assert [member["host"] for member in members] == [url.rpartition("@")[2].removeprefix("mongodb://").split("/")[0]]


def test_who_is_another_than_the_first_account_is_refused_in_time(url: str) -> None:
    if "@" not in url:
        pytest.skip("there are no accounts")
    assert replica_set(url).returncode == 0
    refused = replica_set(url.replace("operator:", "somebody:"), "--seconds", "2")
    assert refused.returncode == 1
    assert "did not become a replica set within 2 s" in refused.stderr
    with pytest.raises(OperationFailure), MongoClient[dict[str, object]](url.replace("secret", "guess")) as guess:
        guess.admin.command("ping")


def test_it_stays_until_it_is_told_to_go(url: str, tmp_path: Path) -> None:
    options = ("--create-admin", "--stay") if "@" in url else ("--stay",)
    environment = {**os.environ, "MONGODB_URL": url}
    staying = Service(name="set", command=[*COMMAND, *options], environment=environment, log=tmp_path / "set.log")
    eventually(lambda: "takes writes" in staying.log.read_text(), seconds=60, what="the set is made")
    assert staying.process.poll() is None
    staying.send(signal.SIGTERM)
    assert staying.process.wait(timeout=10) == 0
