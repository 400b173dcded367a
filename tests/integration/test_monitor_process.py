"""The monitor as a process: `python -m monitor`, its pages, its signals, and what it does unasked."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from collect.admin.check import check
from collect.jobs.model import Job
from collect.messaging.messages import Heartbeat, SlotReport
from collect.messaging.outbox import OutboxSender
from collect.messaging.publisher import Publisher
from collect.storage import workers
from collect.storage.database import Database, connect
from stack.children import Child
from stack.ports import free_ports
from support import protocol_driver
from support.waiting import eventually

STOP_SECONDS = 5


@pytest.fixture
def db(mongodb_url: str, database_name: str) -> Iterator[Database]:
    db = connect(mongodb_url, database=database_name, app_name="test")
    protocol_driver.prepare(db)
    yield db
    db.close()


class Running:
    """A monitor, where it answers, and what it has logged."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    def page(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=15) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        return self.page("/readyz")[0] == 200

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def events(self) -> list[str]:
        found = []
        for line in self.log().splitlines():
            with suppress(ValueError):
                found.append(json.loads(line)["event"])
        return found

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=STOP_SECONDS)


@contextmanager
def monitor(environment: dict[str, str], log: Path) -> Iterator[Running]:
    port = free_ports(("monitor",))["monitor"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "monitor"],
            env={**os.environ, **environment, "MONITOR_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = Running(process, port, log)
    try:
        eventually(running.is_ready, seconds=30, what="the monitor to be ready")
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()


@pytest.fixture
def environment(mongodb_url: str, database_name: str, amqp_url: str, redis_url: str) -> dict[str, str]:
    return {
        "MONGODB_URL": mongodb_url,
        "MONGODB_DATABASE": database_name,
        "AMQP_URL": amqp_url,
        "REDIS_URL": redis_url,
        "COLLECT_LEASE_SECONDS": "2",
        "COLLECT_MONITOR_TICK_SECONDS": "0.1",
        "COLLECT_RELAY_AFTER_SECONDS": "0.2",
    }


def test_it_takes_in_heartbeats_relays_reaps_and_ends_at_once_when_told(
    db: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    with monitor(environment, tmp_path / "log") as running:
        publisher = Publisher(environment["AMQP_URL"])
        sender = OutboxSender(publisher, delete=lambda _ids: None)
        sender.heartbeat(
            Heartbeat(worker_id="w", kind="upload", version="1", slots=[SlotReport()], at=datetime.now(UTC))
        )
        eventually(lambda: workers.slots(db) == {"upload": 1}, what="the heartbeat to arrive")
        sender.close(timeout_seconds=5)
        job = protocol_driver.make_job(db)
        eventually(lambda: db.outbox.count_documents({}) == 0, what="the outbox to be emptied")
        with protocol_driver.holding(db, job, 0, lease_seconds=0.1):
            eventually(lambda: protocol_driver.read_part(db, job, 0).losses == 1, what="the part to be freed")
        status, text = running.page("/metrics")
        assert status == 200
        assert 'collect_parts_reaped_total{kind="upload"} 1.0' in text
        assert running.page("/healthz")[0] == 200
        assert running.page("/nothing")[0] == 404
        assert running.stop() == 0
        assert {"reaper_watches", "part_reaped", "relayed", "monitor_ended"} <= set(running.events())
    assert check(db, patience_seconds=0.0) == []


def test_two_monitors_side_by_side_do_no_harm(db: Database, environment: dict[str, str], tmp_path: Path) -> None:
    with monitor(environment, tmp_path / "one") as one, monitor(environment, tmp_path / "two") as two:
        jobs = [protocol_driver.make_job(db, dataset=f"d{n}") for n in range(8)]
        for job in jobs:
            with protocol_driver.holding(db, job, 0, lease_seconds=0.1):
                eventually(partial(_losses, db, job), what="the part to be freed")
        eventually(lambda: db.outbox.count_documents({}) == 0, what="the outbox to be emptied")
        assert {protocol_driver.read_part(db, job, 0).losses for job in jobs} == {1}
        assert one.stop() == two.stop() == 0
    assert check(db, patience_seconds=0.0) == []


def _losses(db: Database, job: Job) -> int:
    return protocol_driver.read_part(db, job, 0).losses


def test_while_the_broker_is_away_it_waits_and_then_goes_on(
    db: Database, environment: dict[str, str], tmp_path: Path, own_broker: Child
) -> None:
    with monitor(environment, tmp_path / "log") as running:
        own_broker.kill()
        eventually(lambda: running.page("/readyz")[0] == 503, what="it to say that it is not ready")
        assert running.page("/healthz")[0] == 200
        protocol_driver.make_job(db, dataset="while-away")
        eventually(lambda: "act_postponed" in running.events(), seconds=30, what="an act to be postponed")
        own_broker.start()
        eventually(running.is_ready, seconds=30, what="it to be ready again")
        eventually(lambda: db.outbox.count_documents({}) == 0, seconds=30, what="the outbox to be emptied")
        assert running.stop() == 0


def test_a_server_that_is_away_does_not_keep_it_from_ending(
    environment: dict[str, str], tmp_path: Path, own_mongodb: Child
) -> None:
    with monitor(environment, tmp_path / "log") as running:
        own_mongodb.kill()
        eventually(lambda: "act_postponed" in running.events(), seconds=30, what="an act to be postponed")
        assert running.stop() == 0


def test_an_error_in_the_programme_ends_the_process(db: Database, environment: dict[str, str], tmp_path: Path) -> None:
    with monitor(environment, tmp_path / "log") as running:
        db.jobs.insert_one({"_id": "not-a-job", "state": "running"})
        assert running.process.wait(timeout=10) == 1
        db.jobs.delete_one({"_id": "not-a-job"})
        assert "thread_crashed" in running.events()
