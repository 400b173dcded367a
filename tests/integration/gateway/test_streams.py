"""The gateway as a process of its own: bodies that break off, slow ones, its log, its metrics, its settings."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from collect.storage import api_keys
from collect.testing.system import Service, System
from support.waiting import eventually


class Gateway:
    """A running gateway and a key."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.service: Service = system.gateway()
        self.url = system.url
        key = api_keys.create(system.db, org_id="labs", name="process", role="operator").secret
        self.headers = {"Authorization": f"Bearer {key}"}

    def raw(self, head: str, *pieces: bytes) -> socket.socket:
        """A connection on which the head of a request, and then ``pieces``, have been sent."""
        place = urlsplit(self.url)
        connection = socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=20)
        lines = [head, "Host: gateway", *(f"{name}: {value}" for name, value in self.headers.items())]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        for piece in pieces:
            connection.sendall(piece)
        return connection


def answered(connection: socket.socket) -> bytes:
    """The status line and whatever came with it; nothing when the connection was only closed."""
    with connection:
        try:
            return connection.recv(65536)
        except ConnectionResetError:
            return b""


@pytest.fixture(scope="module")
def gateway(
    mongodb_url: str, redis_url: str, amqp_url: str, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    system = System(
        mongodb_url=mongodb_url,
        database=database_name,
        amqp_url=amqp_url,
        redis_url=redis_url,
        folder=tmp_path_factory.mktemp("gateway"),
    )
    try:
        system.prepare("labs")
        yield Gateway(system)
    finally:
        system.close()


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(gateway: Gateway) -> None:
    for type_ in ("text/csv", "multipart/form-data; boundary=b"):
        head = f"POST /v1/files?name=a.csv HTTP/1.1\r\nContent-Type: {type_}\r\nContent-Length: {10**12}"
        assert answered(gateway.raw(head)).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 1000000", b"x" * 1000),
        ("Transfer-Encoding: chunked", b"100000\r\n" + b"x" * 1000),
        ("Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked", b"100000\r\n" + b"x" * 1000),
    ],
)
def test_a_file_that_breaks_off_leaves_nothing(gateway: Gateway, head: str, body: bytes) -> None:
    db = gateway.system.db
    before = db.files.count_documents({})
    connection = gateway.raw(f"POST /v1/files?name=a.csv HTTP/1.1\r\n{head}", body)
    connection.shutdown(socket.SHUT_WR)
    assert not answered(connection).startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    assert db.files.count_documents({}) == before
    eventually(lambda: db["blobs.files"].count_documents({}) == before, what="no bytes are left")


def test_slow_senders_do_not_keep_others_waiting(gateway: Gateway) -> None:
    head = "POST /v1/files?name=a.csv HTTP/1.1\r\nContent-Length: 1000"
    slow = [gateway.raw(head, b"x") for _ in range(8)]
    try:
        answer = requests.get(f"{gateway.url}/v1/jobs", headers=gateway.headers, timeout=10)
        assert answer.status_code == 200
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize("path", ["/v1/jobs/" + "x" * 10_000, "/v1/jobs/%00", "/v1/jobs/..%2f..%2fetc"])
def test_an_id_of_any_kind_is_refused(gateway: Gateway, path: str) -> None:
    connection = gateway.raw(f"GET {path} HTTP/1.1")
    assert answered(connection).startswith((b"HTTP/1.1 404", b"HTTP/1.1 400", b"HTTP/1.1 414"))


def test_the_log_is_json_with_the_requests_id(gateway: Gateway) -> None:
    headers = {**gateway.headers, "X-Request-Id": "find-me"}
    requests.get(f"{gateway.url}/v1/jobs", headers=headers, timeout=10)
    line = eventually(
        lambda: next((line for line in gateway.service.log.read_text().splitlines() if "find-me" in line), None),
        what="the request is in the log",
    )
    assert line is not None
    assert '"event": "request"' in line
    assert '"org_id": "labs"' in line
    assert gateway.headers["Authorization"] not in gateway.service.log.read_text()


def test_requests_are_counted_by_route(gateway: Gateway) -> None:
    requests.get(f"{gateway.url}/v1/jobs", headers=gateway.headers, timeout=10)
    text = requests.get(f"{gateway.url}/metrics", timeout=10).text
    assert 'collect_request_seconds_count{method="GET",route="/v1/jobs",status="200"}' in text


def test_missing_settings_are_all_said_at_once(gateway: Gateway, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    ended = subprocess.run(
        [sys.executable, "-c", "import gateway.server.wsgi"],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    for name in (b"MONGODB_URL", b"AMQP_URL", b"REDIS_URL"):
        assert name in ended.stderr
