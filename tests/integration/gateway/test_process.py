"""The gateway as a process of its own: large, slow and endless bodies, and its end."""

import http.client
import json
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from collect.admin import demo
from collect.storage import organisations
from collect.testing.system import LOOPBACK, Service, System, eventually
from support.protocol_driver import make_job

MEGABYTE = 1024 * 1024
FILE_MEGABYTES = 60
MOST_RSS_MEGABYTES = 400
SILENT_SECONDS = 1.0
TIMEOUT_SECONDS = 60


class Gateway:
    """One gateway process of one worker, and how to talk to it below HTTP clients."""

    def __init__(self, system: System, service: Service, keys: dict[str, str]) -> None:
        self.system = system
        self.service = service
        self.key = keys["COLLECT_API_KEY"]

    def rss_megabytes(self) -> float:
        """The most memory that a worker has ever had."""
        lines = [Path(f"/proc/{pid}/status").read_text() for pid in self.service.children()]
        found = [line for text in lines for line in text.splitlines() if line.startswith("VmHWM:")]
        return max(int(line.split()[1]) for line in found) / 1024

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(LOOPBACK, self.system.port, timeout=TIMEOUT_SECONDS)

    def headers(self, **more: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.key}",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }

    def open(self, head: str) -> socket.socket:
        """A connection on which a request has been begun."""
        raw = socket.create_connection((LOOPBACK, self.system.port), timeout=TIMEOUT_SECONDS)
        raw.sendall(f"{head}\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\n".encode())
        return raw

    def answers(self) -> bool:
        connection = self.connect()
        connection.request("GET", "/v1/organisation", headers=self.headers())
        status = connection.getresponse().status
        connection.close()
        return status == 200


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
    system.prepare("labs", "other")
    keys = demo.seed(system.db, known={})
    yield Gateway(system, system.gateway(COLLECT_SILENT_SECONDS=str(SILENT_SECONDS)), keys)
    system.close()


def pieces() -> Iterator[bytes]:
    for _ in range(FILE_MEGABYTES):
        yield b"x" * MEGABYTE


def multipart() -> Iterator[bytes]:
    yield b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    yield from pieces()
    yield b"\r\n--cut--\r\n"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (pieces, {"Content_Length": str(FILE_MEGABYTES * MEGABYTE)}),
        (pieces, {}),
        (multipart, {"Content_Type": "multipart/form-data; boundary=cut"}),
    ],
    ids=["with its length", "chunked", "multipart"],
)
def test_a_large_file_is_received_and_sent_in_flat_memory(
    gateway: Gateway, body: Callable[[], Iterator[bytes]], headers: dict[str, str]
) -> None:
    connection = gateway.connect()
    chunked = "Content_Length" not in headers
    connection.request(
        "POST", "/v1/files?name=a.csv", body=body(), headers=gateway.headers(**headers), encode_chunked=chunked
    )
    file = json.loads(connection.getresponse().read())
    assert file["bytes"] == FILE_MEGABYTES * MEGABYTE
    connection.request("GET", f"/v1/files/{file['id']}/content", headers=gateway.headers())
    answer, size = connection.getresponse(), 0
    while piece := answer.read(MEGABYTE):
        size += len(piece)
    assert size == file["bytes"]
    assert gateway.rss_megabytes() < MOST_RSS_MEGABYTES
    connection.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/files?name=a.csv", "application/octet-stream"),
        ("/v1/jobs", "application/json"),
        ("/v1/jobs", "multipart/form-data; boundary=cut"),
    ],
)
def test_a_body_that_is_too_large_is_refused_before_a_byte_of_it_comes(gateway: Gateway, path: str, kind: str) -> None:
    raw = gateway.open(f"POST {path} HTTP/1.1")
    raw.sendall(f"Content-Type: {kind}\r\nContent-Length: {2**44}\r\n\r\n".encode())
    answer = http.client.HTTPResponse(raw)
    answer.begin()
    assert answer.status == 413
    assert json.loads(answer.read())["code"] == "too_large"
    answer.close()
    raw.close()


def test_a_body_without_an_end_is_refused_at_the_limit(gateway: Gateway) -> None:
    limit = 3 * MEGABYTE
    organisations.patch(gateway.system.db, org_id="labs", limits={"max_upload_bytes": limit})
    try:
        raw = gateway.open("POST /v1/files?name=a.csv HTTP/1.1")
        raw.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(1_000):  # what comes after the answer is dropped, so that the answer is not lost
            raw.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert (answer.status, answer.getheader("Connection")) == (413, "close")
        answer.close()
        raw.close()
    finally:
        organisations.patch(gateway.system.db, org_id="labs", limits={"max_upload_bytes": 10 * 1024**3})
    assert gateway.answers()
    eventually(
        lambda: (
            not set(gateway.system.db["blobs.chunks"].distinct("files_id"))
            - set(gateway.system.db["blobs.files"].distinct("_id"))
        ),
        seconds=20,
        what="nothing is left of it",
    )


@pytest.mark.parametrize("path", ["/v1/files?name=a.csv", "/v1/jobs"])
def test_whoever_sends_nothing_for_too_long_is_let_go(gateway: Gateway, path: str) -> None:
    raw = gateway.open(f"POST {path} HTTP/1.1")
    raw.sendall(b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    answer = http.client.HTTPResponse(raw)
    answer.begin()
    assert answer.status == 408
    assert json.loads(answer.read())["code"] == "request_timeout"
    answer.close()
    raw.close()
    assert gateway.system.db.files.count_documents({"bytes": 1}) == 0


def test_a_client_that_goes_away_while_it_sends_leaves_nothing(gateway: Gateway) -> None:
    before = gateway.system.db["blobs.files"].count_documents({})
    raw = gateway.open("POST /v1/files?name=a.csv HTTP/1.1")
    raw.sendall(b"Content-Length: 5000000\r\n\r\n" + b"x" * 2_000_000)
    raw.close()
    assert gateway.answers()
    eventually(
        lambda: len(gateway.system.db["blobs.chunks"].distinct("files_id")) == before, seconds=20, what="it is gone"
    )
    assert gateway.system.db["blobs.files"].count_documents({}) == before


def test_a_gateway_that_is_asked_to_end_answers_those_who_wait(gateway: Gateway) -> None:
    job = make_job(gateway.system.db)
    connection = gateway.connect()

    def wait() -> dict[str, Any]:
        path = f"/v1/jobs/{job.id}?wait_for=final&timeout_seconds=60"
        connection.request("GET", path, headers=gateway.headers(X_Request_Id=f"poll-{secrets.token_hex(4)}"))
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return found

    with ThreadPoolExecutor(1) as threads:
        before = _queries(gateway)
        waiting = threads.submit(wait)
        eventually(lambda: _queries(gateway) > before + 20, seconds=20, what="it asks for the job time and again")
        gateway.service.send(signal.SIGTERM)
        assert waiting.result(timeout=TIMEOUT_SECONDS)["state"] == "queued"
    assert gateway.service.stop() == 0


def _queries(gateway: Gateway) -> int:
    return int(gateway.system.db.db.command("serverStatus")["opcounters"]["query"])
