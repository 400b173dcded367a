"""Each service starts before its servers are there: it lives, says for what it waits, and becomes ready by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests

from collect.client.api import CollectClient
from collect.testing.system import Service, System, eventually, free_port
from faults.proxy import Proxy
from support.servers import ROOT
from support.system_under_test import REST_SECONDS, Plant

SERVICES = {
    path.parent.name: path.name for path in sorted(ROOT.glob("services/*/*")) if (path / "__main__.py").exists()
}
WAITS_FOR = {"mongodb", "rabbitmq"}
PASSWORD = "hunter2"
PROBE_SECONDS = 5
"""What the chart's probes wait."""
UNLIKE = ("gateway", "upload-worker", "monitor")
"""Workers differ by their tasks only."""


@pytest.fixture
def proxies(shared: Plant, mongodb_url: str, redis_url: str) -> Iterator[dict[str, Proxy]]:
    """In front of each server, by the setting that names it."""
    with Proxy(mongodb_url) as mongodb, Proxy(shared.amqp_url) as rabbitmq, Proxy(redis_url) as redis:
        yield {"MONGODB_URL": mongodb, "AMQP_URL": rabbitmq, "REDIS_URL": redis}


def status(port: int, page: str, *, seconds: float = 30) -> int | None:
    """What it answers; nothing if it does not within that time."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def started(plant: System, service: str, port: int, urls: dict[str, str]) -> Service:
    """The service, with its probes on ``port``."""
    match service:
        case "gateway":
            return plant.gateway(workers=1, port=port, wait=False, **urls)
        case "monitor":
            return plant.monitor(**urls, MONITOR_PORT=str(port))
        case _:
            kind = service.removesuffix("-worker")
            return plant.worker(kind=kind, slots=1, wait=False, **urls, COLLECT_METRICS_PORT=str(port))


@pytest.mark.parametrize("service", UNLIKE)
def test_f27_a_service_that_is_there_before_its_servers_waits_for_them(
    shared: Plant, proxies: dict[str, Proxy], service: str
) -> None:
    for proxy in proxies.values():
        proxy.refuse()
    port = free_port()
    urls = {name: proxy.url for name, proxy in proxies.items()}
    running = started(shared, service, port, urls)
    eventually(lambda: status(port, "/healthz") == 200, seconds=REST_SECONDS, what="it lives")
    assert status(port, "/readyz") == 503
    eventually(lambda: "not_ready" in running.log.read_text(), seconds=REST_SECONDS, what="it says what is missing")
    for proxy in proxies.values():
        proxy.flow()
    eventually(lambda: status(port, "/readyz") == 200, seconds=REST_SECONDS, what="it is ready")
    assert running.process.poll() is None
    assert running.stop() == 0


@pytest.mark.parametrize("service", UNLIKE)
def test_a_database_that_no_name_server_knows_yet_is_waited_for(shared: Plant, service: str) -> None:
    port = free_port()
    urls = {"MONGODB_URL": "mongodb+srv://user:password@nowhere.invalid/"}
    running = started(shared, service, port, urls)
    eventually(lambda: status(port, "/healthz") == 200, seconds=REST_SECONDS, what="it lives")
    assert status(port, "/readyz") == 503
    eventually(lambda: "not_ready" in running.log.read_text(), seconds=REST_SECONDS, what="it says what is missing")
    assert running.process.poll() is None
    assert running.stop() == 0
    assert "password" not in running.log.read_text()


def test_f15_a_gateway_whose_broker_says_nothing_passes_its_probes_while_verbs_go_on(
    shared: Plant, proxies: dict[str, Proxy]
) -> None:
    port = free_port()
    started(shared, "gateway", port, {"AMQP_URL": proxies["AMQP_URL"].url})
    ready = f"http://127.0.0.1:{port}/readyz"
    eventually(
        lambda: status(port, "/readyz") == 200 and requests.get(ready, timeout=30).json()["rabbitmq"],
        seconds=REST_SECONDS,
        what="it knows its broker",
    )
    client = CollectClient(url=f"http://127.0.0.1:{port}", api_key=shared.token)
    job = shared.upload(shared.file(rows=10))
    proxies["AMQP_URL"].hold()
    for _ in range(3):
        client.jobs.pause(job, reason="a message that hangs")
        assert status(port, "/readyz", seconds=PROBE_SECONDS) == 200
        client.jobs.resume(job, reason="another one")
        assert status(port, "/readyz", seconds=PROBE_SECONDS) == 200
    eventually(
        lambda: requests.get(ready, timeout=30).json()["rabbitmq"] is False, seconds=REST_SECONDS, what="it says so"
    )
    proxies["AMQP_URL"].flow()
    eventually(lambda: requests.get(ready, timeout=30).json()["rabbitmq"], seconds=REST_SECONDS, what="it is back")


@pytest.mark.parametrize("service", SERVICES)
def test_settings_that_are_missing_are_all_named_at_once(service: str, tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    ended = subprocess.run(
        [sys.executable, "-m", SERVICES[service]], env=bare, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 78
    needed = {"MONGODB_URL", "AMQP_URL"} | ({"REDIS_URL"} if service == "gateway" else set())
    assert {line.split(":")[0].strip() for line in ended.stderr.splitlines()[1:]} == needed
    assert "Traceback" not in ended.stderr


def test_a_migration_that_is_told_to_wait_waits_for_the_servers(shared: Plant, proxies: dict[str, Proxy]) -> None:
    for proxy in proxies.values():
        proxy.refuse()
    urls = {name: proxy.url for name, proxy in proxies.items()}
    environment = {**os.environ, **urls, "MONGODB_DATABASE": shared.db.db.name, "RABBITMQ_MANAGEMENT_URL": ""}
    command = (sys.executable, "-c", "from collect.admin.cli import main; main()", "migrate")
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    waiting = subprocess.Popen([*command, "--wait", "100"], env=environment, stderr=subprocess.PIPE, text=True)
    assert waiting.stderr is not None
    assert waiting.stderr.readline().startswith("Waiting for MongoDB: ")
    for proxy in proxies.values():
        proxy.flow()
    waiting.communicate(timeout=100)
    assert waiting.returncode == 0


def test_a_migration_that_the_broker_does_not_let_in_says_so_at_once_however_long_it_may_wait(
    shared: Plant, mongodb_url: str, management_url: str
) -> None:
    stranger = urlsplit(management_url)._replace(
        netloc=f"nobody:{PASSWORD}@{urlsplit(management_url).netloc.rpartition('@')[2]}"
    )
    environment = {
        **os.environ,
        "MONGODB_URL": mongodb_url,
        "AMQP_URL": shared.amqp_url,
        "MONGODB_DATABASE": shared.db.db.name,
        "RABBITMQ_MANAGEMENT_URL": urlunsplit(stranger),
    }
    command = (sys.executable, "-c", "from collect.admin.cli import main; main()", "migrate", "--wait", "1000")
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "RabbitMQ's management API: HTTPError: HTTP Error 401" in refused.stderr
    assert PASSWORD not in refused.stderr
