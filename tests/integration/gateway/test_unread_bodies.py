"""Answers that are given before the body was read: they arrive whole, and no request after them is lost."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from collect.jobs.limits import ROLES
from collect.storage import api_keys, organisations
from collect.testing.system import LOOPBACK, Service, System, eventually
from integration.gateway.calls import UNKNOWN_ID

KILOBYTE, MEGABYTE = 1024, 1024 * 1024
LARGE = 3 * MEGABYTE
MOST_FILE_BYTES = 2 * MEGABYTE
TIMES = 50
SECONDS = 30.0


class Gateway:
    """A gateway of one worker, and keys."""

    def __init__(self, system: System, service: Service) -> None:
        self.system = system
        self.service = service
        roles: dict[str, str] = {
            role: api_keys.create(system.db, org_id="labs", name=role, role=role).secret for role in ROLES[:3]
        }
        few = api_keys.create(system.db, org_id="few", name="few", role="operator").secret
        self.keys: dict[str, str] = {**roles, "few": few}

    def headers(self, key: str | None, **more: str) -> dict[str, str]:
        authorization = {} if key is None else {"Authorization": f"Bearer {self.keys.get(key, key)}"}
        return {**authorization, **{name.replace("_", "-"): value for name, value in more.items()}}

    def open(self, head: str, key: str | None = "operator", **headers: str) -> socket.socket:
        """A connection on which the head of a request has been sent."""
        connection = socket.create_connection((LOOPBACK, self.system.port), timeout=SECONDS)
        lines = [f"{head} HTTP/1.1", "Host: x", *(f"{n}: {v}" for n, v in self.headers(key, **headers).items())]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return connection

    def holds(self, connection: socket.socket) -> bool:
        """Whether the gateway has its end of the connection open still."""
        ports = f":{self.system.port:04X}", f":{connection.getsockname()[1]:04X}"
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ends = [line for line in lines if line[1].endswith(ports[0]) and line[2].endswith(ports[1])]
        return any(line[9] != "0" for line in ends)  # the inode


@pytest.fixture(scope="module")
def gateway(
    mongodb_url: str, redis_url: str, amqp_url: str, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    system = System(
        mongodb_url=mongodb_url, database=database_name, amqp_url=amqp_url, redis_url=redis_url,
        folder=tmp_path_factory.mktemp("gateway"),
    )  # fmt: skip
    try:
        system.prepare("labs", "few")
        many = {"max_upload_bytes": MOST_FILE_BYTES, "requests_per_minute": 1_000_000}
        organisations.patch(system.db, org_id="labs", limits=many)
        organisations.patch(system.db, org_id="few", limits={"requests_per_minute": 1})
        service = system.gateway(COLLECT_GATEWAY_WORKERS="1", COLLECT_SILENT_SECONDS="2")
        yield Gateway(system, service)
    finally:
        system.close()


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A request that is answered before its body was read to its end."""

    status: int
    path: str = "/v1/jobs"
    method: str = "POST"
    key: str | None = "operator"
    size: int = LARGE
    begin: bytes = b""
    chunked: bool = False
    headers: dict[str, str] = field(default_factory=lambda: {"Content_Type": "application/json"})

    @property
    def body(self) -> bytes:
        return self.begin + b"x" * (self.size - len(self.begin))

    def sent(self) -> Any:
        """The body, in pieces of which nobody knows the number when it is chunked."""
        body = self.body
        return (body[at : at + 64 * KILOBYTE] for at in range(0, len(body), 64 * KILOBYTE)) if self.chunked else body


MULTIPART = {"Content_Type": "multipart/form-data; boundary=cut"}
CSV = {"Content_Type": "text/csv"}
PART = b'--cut\r\nContent-Disposition: form-data; name="nothing"\r\n\r\n'
REFUSALS = {
    "no key": Refused(status=401, key=None),
    "no key, a little": Refused(status=401, key=None, size=300),
    "no key, some": Refused(status=401, key=None, size=60 * KILOBYTE),
    "no key, a bit more": Refused(status=401, key=None, size=70 * KILOBYTE),
    "no key, chunked": Refused(status=401, key=None, chunked=True),
    "no key, chunked, a little": Refused(status=401, key=None, size=300, chunked=True),
    "a wrong key": Refused(status=401, key="ck_nobody_nothing", path="/v1/files?name=a.csv", headers=CSV),
    "a role that may not": Refused(status=403, key="viewer"),
    "an unknown path": Refused(status=404, path="/v1/nothing"),
    "an unknown job": Refused(status=404, method="GET", path=f"/v1/jobs/{UNKNOWN_ID}"),
    "a method that is not allowed": Refused(status=405, method="PUT"),
    "json that is too large": Refused(status=413),
    "chunked json that is too large": Refused(status=413, chunked=True),
    "a file that is too large": Refused(status=413, path="/v1/files?name=a.csv", headers=CSV),
    "a chunked file that is too large": Refused(status=413, path="/v1/files?name=a.csv", headers=CSV, chunked=True),
    "parts that are too large": Refused(status=413, size=4 * MEGABYTE, headers=MULTIPART),
    "another content type": Refused(status=415, size=200 * KILOBYTE, headers={"Content_Type": "text/plain"}),
    "a file without a name": Refused(status=422, path="/v1/files", size=MEGABYTE, headers=CSV),
    "a parameter that is not known": Refused(status=422, path="/v1/jobs?nothing=1", size=MEGABYTE),
    "a part that is not taken": Refused(status=422, size=MEGABYTE, begin=PART, headers=MULTIPART),
    "parts that cannot be told apart": Refused(status=400, size=MEGABYTE, headers=MULTIPART),
    "a body with a call that takes none": Refused(status=200, method="GET", size=MEGABYTE),
    "a deletion with a body": Refused(status=404, method="DELETE", path="/v1/keys/nobody", key="admin"),
    "too many requests": Refused(status=429, key="few"),
}


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS.keys())
def test_no_request_of_a_session_is_lost_after_one_that_was_refused(gateway: Gateway, refused: Refused) -> None:
    with requests.Session() as session:
        for _ in range(TIMES):
            answer = session.request(
                refused.method, gateway.system.url + refused.path, data=refused.sent(),
                headers=gateway.headers(refused.key, **refused.headers), timeout=SECONDS,
            )  # fmt: skip
            if refused.status == 429 and answer.status_code == 413:
                continue  # the first of a minute is let through
            assert answer.status_code == refused.status, answer.text
            answer.json()
            following = session.get(f"{gateway.system.url}/v1/jobs", headers=gateway.headers("viewer"), timeout=SECONDS)
            assert following.status_code == 200


@pytest.mark.parametrize("bytes_", [300, 60 * KILOBYTE])
def test_a_little_that_was_not_read_leaves_the_connection_open(gateway: Gateway, bytes_: int) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, gateway.system.port, timeout=SECONDS)
    connection.connect()
    sock = connection.sock
    for _ in range(3):
        connection.request("POST", "/v1/jobs", body=b"x" * bytes_, headers=gateway.headers(None))
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (401, "keep-alive")
        answer.read()
        assert connection.sock is sock
    connection.close()


def read_answer(connection: socket.socket) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    body: dict[str, Any] = json.loads(answer.read())
    return answer, body


@pytest.mark.parametrize(
    ("head", "key", "headers", "status"),
    [
        ("POST /v1/jobs", None, {}, 401),
        ("POST /v1/files?name=a.csv", "operator", {}, 413),
        ("POST /v1/jobs", "operator", {"Content_Type": "multipart/form-data; boundary=b"}, 413),
        ("PUT /v1/nothing", "operator", {}, 404),
    ],
)
def test_an_answer_arrives_whole_at_a_client_that_only_sends(
    gateway: Gateway, head: str, key: str | None, headers: dict[str, str], status: int
) -> None:
    size = 48 * MEGABYTE
    connection = gateway.open(head, key, Content_Length=str(size), **headers)
    for _ in range(size // MEGABYTE):
        connection.sendall(b"x" * MEGABYTE)
    answer, body = read_answer(connection)
    assert (answer.status, body["status"], answer.getheader("Connection")) == (status, status, "close")
    assert connection.recv(1) == b""
    connection.close()


def test_a_client_may_go_on_sending_after_its_answer(gateway: Gateway) -> None:
    connection = gateway.open("POST /v1/jobs", None, Content_Length=str(MEGABYTE))
    answer, _ = read_answer(connection)
    assert (answer.status, answer.getheader("Connection")) == (401, "close")
    for _ in range(MEGABYTE // KILOBYTE):
        connection.sendall(b"x" * KILOBYTE)
    connection.close()


def test_a_client_that_does_not_close_keeps_nobody_waiting(gateway: Gateway) -> None:
    held = []
    for _ in range(6):
        connection = gateway.open("POST /v1/jobs", None, Content_Length=str(MEGABYTE))
        read_answer(connection)
        held.append(connection)
    began = time.monotonic()
    for _ in range(5):
        assert requests.get(f"{gateway.system.url}/healthz", timeout=SECONDS).status_code == 200
    assert time.monotonic() - began < 1.5, "each connection that ends kept the whole worker waiting"
    for connection in held:
        connection.close()


def test_a_client_that_does_not_close_is_closed(gateway: Gateway) -> None:
    connection = gateway.open("POST /v1/jobs", None, Content_Length=str(MEGABYTE))
    read_answer(connection)
    assert gateway.holds(connection)
    eventually(lambda: not gateway.holds(connection), seconds=20, what="the gateway has closed it")
    connection.close()


@pytest.mark.parametrize(
    ("head", "key", "status"), [("POST /v1/files?name=a.csv", "operator", 413), ("POST /v1/jobs", None, 401)]
)
def test_a_client_that_asks_first_is_refused_without_being_told_to_go_on(
    gateway: Gateway, head: str, key: str | None, status: int
) -> None:
    connection = gateway.open(head, key, Content_Length=str(LARGE), Expect="100-continue")
    answer, _ = read_answer(connection)
    assert (answer.status, answer.getheader("Connection")) == (status, "close")
    connection.close()


def test_a_client_that_asks_first_is_told_to_go_on_once(gateway: Gateway) -> None:
    connection = gateway.open("POST /v1/files?name=a.csv", Content_Length="4", Expect="100-continue")
    assert connection.recv(64 * KILOBYTE) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"a\n1\n")
    answer, _ = read_answer(connection)
    assert (answer.status, answer.getheader("Connection")) == (201, "keep-alive")
    connection.sendall(
        f"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.keys['viewer']}\r\n\r\n".encode()
    )
    assert read_answer(connection)[0].status == 200
    connection.close()


@pytest.mark.parametrize(
    "broken",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}xx0\r\n\r\n",
        b"2\r\n{}\r\n0\r\nnot a trailer\r\n\r\n",
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/files?name=a.csv"])
def test_a_chunked_body_that_is_not_written_as_one_is_400_and_ends_the_connection(
    gateway: Gateway, broken: bytes, path: str
) -> None:
    connection = gateway.open(f"POST {path}", Content_Type="application/json", Transfer_Encoding="chunked")
    connection.sendall(broken)
    answer, body = read_answer(connection)
    assert (answer.status, body["code"], answer.getheader("Connection")) == (400, "broken_off", "close")
    connection.close()


def test_a_body_that_comes_too_slowly_is_408_and_ends_the_connection(gateway: Gateway) -> None:
    connection = gateway.open("POST /v1/jobs", Content_Type="application/json", Content_Length="100")
    connection.sendall(b"{")
    answer, body = read_answer(connection)
    assert (answer.status, body["code"], answer.getheader("Connection")) == (408, "request_timeout", "close")
    connection.close()


def test_a_client_that_sends_no_body_is_refused_without_waiting_for_it(gateway: Gateway) -> None:
    began = time.monotonic()
    connection = gateway.open("POST /v1/jobs", None, Content_Length="100")
    answer, _ = read_answer(connection)
    assert (answer.status, answer.getheader("Connection")) == (401, "close")
    assert time.monotonic() - began < 2.0
    connection.close()
