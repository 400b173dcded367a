"""The whole system as `docker compose up` brings it up, with what its file says of it.

There is one project for the module; the last test ends it. Instead of Jaeger a receiver says which spans have come.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from collect.client import CollectClient
from collect.demo.baseline import NAME, Survey, save_csv
from collect.testing.system import eventually, free_port
from images.conftest import SERVICES, docker, inspected
from stack import compose, demo_env, rabbitmq
from stack.telling import StackError
from support.servers import ROOT

FILE = ROOT / "docker-compose.yml"
SERVERS = {"RABBITMQ_IMAGE": "rabbitmq", "REDIS_IMAGE": "redis", "MONGO_IMAGE": "mongo"}
DRAIN_SECONDS = 10
READY_SECONDS = 180
# More than the lease of a killed worker, which the monitor lets run out.
JOB_SECONDS = 120
COMMAND_SECONDS = 240
ROWS = 2_000
SLOWLY = 50.0
COLLECTOR = "http://jaeger:4318"
# Says who has sent spans, a line each.
RECEIVER = """
import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    jobs = [each.value.string_value for each in span.attributes if each.key == "collect.job.id"]
                    print("SPAN", self.path, named["service.name"], *jobs, flush=True)
        self.answer()

    def answer(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("0.0.0.0", 4318), Handler).serve_forever()
"""


class Project:
    """A project of Compose under a name of its own, on ports of its own."""

    def __init__(self, *, command: tuple[str, ...], version: str, folder: Path) -> None:
        self.name = f"collect-test-{secrets.token_hex(4)}"
        self.ports = {name: free_port() for name in ("COLLECT_PORT", "RABBITMQ_CONSOLE_PORT", "JAEGER_PORT")}
        self.url = f"http://127.0.0.1:{self.ports['COLLECT_PORT']}"
        more = folder / "receiver.yml"
        more.write_text(json.dumps({"services": {"jaeger": receiver(version)}}), encoding="utf-8")
        self._command = [*command, "--project-name", self.name, "--file", str(FILE), "--file", str(more)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "OTEL_"))}
        self._environment = {**clean, **{name: str(port) for name, port in self.ports.items()}, "VERSION": version}
        self._mine = ("--filter", f"label=com.docker.compose.project={self.name}")
        self.keys: dict[str, str] = {}

    def run(self, *arguments: str, **environment: str) -> str:
        """What the command writes to its output."""
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=ROOT,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def up(self, *options: str, **environment: str) -> None:
        self.run("up", "--detach", "--no-build", *options, **environment)

    def toolbox(self, *command: str) -> str:
        return self.run("run", "--rm", "toolbox", "collect-admin", *command)

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """Those of the services, or all, as the engine sees them."""
        ids = docker("ps", "--all", "--quiet", *self._mine).split()
        seen = json.loads(docker("inspect", *ids)) if ids else []
        return [each for each in seen if not services or service_of(each) in services]

    def is_healthy(self) -> bool:
        """True if all that stays up is healthy, and the rest has ended well."""
        seen = self.containers()
        return {*SERVICES, *SERVERS.values()} <= {service_of(each) for each in seen} and all(map(is_well, seen))

    def consumers(self, queue: str) -> int:
        management = f"http://collect:collect@127.0.0.1:{self.ports['RABBITMQ_CONSOLE_PORT']}"
        found: Any = rabbitmq.call(management, "GET", f"/api/queues/%2F/{queue}")
        return int(found.get("consumers", 0))

    def endings(self, *, since: float) -> dict[str, tuple[int, float]]:
        """Of each service that was told to end since then: its exit code, and the seconds after the signal."""
        span = ("--since", f"{since:.9f}", "--until", f"{time.time():.9f}")
        kinds = ("--filter", "event=kill", "--filter", "event=die")
        told: dict[str, int] = {}
        found: dict[str, tuple[int, float]] = {}
        for line in docker("events", *span, *self._mine, *kinds, "--format", "{{json .}}").splitlines():
            event = json.loads(line)
            attributes = event["Actor"]["Attributes"]
            service = attributes["com.docker.compose.service"]
            if event["Action"] == "kill":
                told.setdefault(service, event["timeNano"])
            else:
                found[service] = (int(attributes["exitCode"]), (event["timeNano"] - told[service]) / 1e9)
        return found

    def left(self) -> dict[str, list[str]]:
        """What the engine still has of the project."""
        return {
            "containers": docker("ps", "--all", "--quiet", *self._mine).split(),
            "networks": docker("network", "ls", "--quiet", *self._mine).split(),
            "volumes": docker("volume", "ls", "--quiet", *self._mine).split(),
        }


def service_of(container: dict[str, Any]) -> str:
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def is_well(container: dict[str, Any]) -> bool:
    state = container["State"]
    if "Health" in state:
        return bool(state["Running"] and state["Health"]["Status"] == "healthy")
    return (state["Status"], state["ExitCode"]) == ("exited", 0)


def receiver(version: str) -> dict[str, Any]:
    """Instead of Jaeger, at its name and port."""
    asks = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:4318', timeout=3)"
    return {
        "image": f"{os.environ.get('REGISTRY', 'collect-jobs')}/monitor:{version}",
        # Compose puts the environment in where it finds a dollar.
        "command": ["python", "-c", RECEIVER.replace("$", "$$")],
        "healthcheck": {"test": ["CMD", "python", "-c", asks]},
    }


def images_missing() -> list[str]:
    """The servers' images that are not on this machine."""
    given = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    missing = []
    for variable, service in SERVERS.items():
        default = given[service]["image"].removeprefix(f"${{{variable}:-").removesuffix("}")
        image = os.environ.get(variable) or default
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode:
            missing.append(f"{image} ({variable} names another)")
    return missing


@pytest.fixture(scope="module")
def project(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The system is up and seeded."""
    try:
        command = compose.find(os.environ)
    except StackError as error:
        pytest.skip(str(error))
    if missing := images_missing():
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    project = Project(command=command, version=version, folder=tmp_path_factory.mktemp("compose"))
    try:
        project.up()
        eventually(project.is_healthy, seconds=READY_SECONDS, what="all is healthy")
        project.keys = demo_env.parse(project.toolbox("seed", "demo", "--env"))
        yield project
    finally:
        project.run("--profile", "observability", "down", "--volumes", "--remove-orphans", "--timeout", "1")


@pytest.fixture
def client(project: Project) -> Iterator[CollectClient]:
    with CollectClient(url=project.url, api_key=project.keys["COLLECT_API_KEY"]) as client:
        yield client


def start(client: CollectClient, path: Path, *, first: int, rows: int, max_rows_per_second: float | None = None) -> str:
    """Start an upload; the job's id."""
    save_csv(Survey(rows=rows, first=first), path)
    params = {"file_id": client.files.upload(path).id, "dataset": NAME}
    return client.jobs.create("upload", params, reason="Test", max_rows_per_second=max_rows_per_second).id


def in_mid_job(client: CollectClient, path: Path, *, first: int) -> str:
    """The id of an upload that has written rows, and would go on for a while."""
    job = start(client, path, first=first, rows=ROWS, max_rows_per_second=SLOWLY)
    eventually(lambda: client.jobs.get(job).progress.succeeded, seconds=60, what="rows are written")
    return job


def finish(client: CollectClient, job: str) -> None:
    """The job goes on to its end, and has written each row once."""
    client.jobs.patch(job, max_rows_per_second=None)
    done = client.jobs.wait(job, timeout_seconds=JOB_SECONDS)
    assert (done.state.value, done.progress.succeeded) == ("succeeded", ROWS), done.status


def row_count(client: CollectClient) -> int:
    return client.datasets.get(NAME).row_count or 0


def test_it_comes_up_and_an_upload_from_a_shell_succeeds(project: Project, tmp_path: Path) -> None:
    save_csv(Survey(rows=ROWS), tmp_path / "baseline.csv")
    command = [
        *(str(Path(sys.executable).parent / "collect"), "jobs", "create", "upload", str(tmp_path / "baseline.csv")),
        *("--dataset", NAME, "--reason", "round 1", "--wait"),
    ]
    environment = {**os.environ, **project.keys, "COLLECT_URL": project.url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_self_test_passes_in_the_toolbox(project: Project) -> None:
    project.toolbox("selftest", "--rows", str(ROWS))


def test_three_export_workers_are_three_consumers(project: Project) -> None:
    project.up("--scale", "export-worker=3")
    eventually(project.is_healthy, seconds=READY_SECONDS, what="all is healthy")
    assert len(project.containers("export-worker")) == 3
    # The console counts every few seconds.
    eventually(lambda: project.consumers("jobs.export") == 3, seconds=30, what="three consume the queue")


def test_what_a_killed_worker_had_goes_on_with_another(project: Project, client: CollectClient, tmp_path: Path) -> None:
    project.up("--scale", "upload-worker=2")
    eventually(project.is_healthy, seconds=READY_SECONDS, what="all is healthy")
    job = in_mid_job(client, tmp_path / "killed.csv", first=ROWS + 1)
    owner = eventually(
        lambda: next((part.worker for part in client.jobs.parts(job) if part.worker), None),
        seconds=30,
        what="somebody has a part",
    )
    (killed,) = [each["Id"] for each in project.containers("upload-worker") if each["Config"]["Hostname"] in owner]
    docker("kill", killed)
    finish(client, job)
    assert not inspected(killed)["State"]["Running"]


def test_stopped_in_mid_job_it_ends_in_time_and_goes_on_where_it_was(
    project: Project, client: CollectClient, tmp_path: Path
) -> None:
    project.up()
    eventually(project.is_healthy, seconds=READY_SECONDS, what="all is healthy")
    before = row_count(client)
    job = in_mid_job(client, tmp_path / "stopped.csv", first=2 * ROWS + 1)
    began = time.time()
    project.run("stop", *SERVICES)
    endings = project.endings(since=began)
    project.run("stop", "--timeout", "10")
    project.up()
    eventually(project.is_healthy, seconds=READY_SECONDS, what="all is healthy")
    finish(client, job)
    assert sorted(endings) == sorted(SERVICES)
    assert {service: code for service, (code, _) in endings.items()} == dict.fromkeys(SERVICES, 0)
    assert max(seconds for _, seconds in endings.values()) < DRAIN_SECONDS, endings
    assert row_count(client) == before + ROWS
    project.toolbox("check", "--wait", "30")


def test_spans_arrive_at_the_collector_that_is_named(project: Project, client: CollectClient, tmp_path: Path) -> None:
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}
    described = yaml.safe_load(project.run("--profile", "observability", "config", **named))["services"]
    assert {described[each]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] for each in SERVICES} == {COLLECTOR}
    project.run("--profile", "observability", "up", "--detach", "--no-build", **named)
    eventually(project.is_healthy, seconds=READY_SECONDS, what="all is healthy")
    job = start(client, tmp_path / "traced.csv", first=3 * ROWS + 1, rows=ROWS)
    finish(client, job)
    (jaeger,) = project.containers("jaeger")
    wanted = {"SPAN /v1/traces gateway", f"SPAN /v1/traces upload-worker {job}"}
    eventually(lambda: wanted <= {*docker("logs", jaeger["Id"]).splitlines()}, seconds=30, what="spans of both")


def test_taken_down_nothing_of_it_is_left(project: Project) -> None:
    assert all(project.left().values())
    project.run("--profile", "observability", "down", "--volumes", "--timeout", "10")
    assert project.left() == {"containers": [], "networks": [], "volumes": []}
