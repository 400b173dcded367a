"""The gateway on a Unix socket, as behind a proxy on the same machine."""

import http.client
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collect.testing.system import READY_SECONDS, Service, eventually

TIMEOUT_SECONDS = 60


@pytest.fixture
def path(mongodb_url: str, redis_url: str, amqp_url: str, database_name: str, tmp_path: Path) -> Iterator[Path]:
    """Where it listens."""
    path = tmp_path / "gateway"
    environment = {
        **os.environ,
        "MONGODB_URL": mongodb_url,
        "MONGODB_DATABASE": database_name,
        "AMQP_URL": amqp_url,
        "REDIS_URL": redis_url,
        "COLLECT_BIND": f"unix:{path}",
        "COLLECT_GATEWAY_WORKERS": "1",
    }
    command = [sys.executable, "-m", "gateway"]
    service = Service(name="gateway", command=command, environment=environment, log=tmp_path / "log")
    try:
        eventually(path.exists, seconds=READY_SECONDS, what="it listens")
        yield path
    finally:
        service.stop()


def test_it_answers_there_too(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(TIMEOUT_SECONDS)
        raw.connect(str(path))
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert answer.status == 200
        answer.close()
