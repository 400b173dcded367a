"""Those who send slowly, and those who wait, keep nobody else from being answered."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from werkzeug.test import TestResponse

from collect.storage.object_store import GridFsBlobs
from collect.testing.system import LOOPBACK, Service, System
from integration.gateway.calls import TIMEOUT_SECONDS, Api, OverHttp
from integration.gateway.conftest import made_keys
from integration.gateway.described import DESCRIPTION
from integration.gateway.test_codes import SLOW
from support import exported
from support.waiting import eventually

POLLS = 4
THREADS = 8
POLLERS = 40
SILENT_SECONDS = 1.0
LEAST_BYTES_PER_SECOND = 10_000
BETWEEN_SECONDS = 0.1


class Crowded:
    """A gateway of two processes with few threads, little patience, and room for few who wait."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.service: Service = system.gateway(
            workers=2,
            COLLECT_GATEWAY_THREADS=str(THREADS),
            COLLECT_MAX_POLLS=str(POLLS),
            COLLECT_SILENT_SECONDS=str(SILENT_SECONDS),
            COLLECT_LEAST_BYTES_PER_SECOND=str(LEAST_BYTES_PER_SECOND),
        )
        self.keys = made_keys(system.db)

    def open(self, head: str) -> socket.socket:
        """A connection on which a request has been begun, without the end of its head."""
        raw = socket.create_connection((LOOPBACK, self.system.port), timeout=TIMEOUT_SECONDS)
        raw.sendall(f"{head}\r\nHost: x\r\nAuthorization: Bearer {self.keys['operator']}\r\n".encode())
        return raw


@pytest.fixture(scope="module")
def crowded(
    mongodb_url: str, redis_url: str, amqp_url: str, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crowded]:
    system = System(
        mongodb_url=mongodb_url,
        database=database_name,
        amqp_url=amqp_url,
        redis_url=redis_url,
        folder=tmp_path_factory.mktemp("gateway"),
    )
    try:
        system.prepare("labs", "other")
        yield Crowded(system)
    finally:
        system.close()


@pytest.fixture
def caller(api: Api, crowded: Crowded) -> Api:
    """The same stores, through the crowded gateway."""
    crowded.keys = api.keys
    api.client = OverHttp(crowded.system.url)
    return api


def trickle(raw: socket.socket, piece: bytes, *, most: int) -> bytes:
    """Send ``piece`` again and again, slowly; the first of what is answered, empty when the connection was closed."""
    raw.settimeout(BETWEEN_SECONDS)
    for _ in range(most):
        try:
            raw.sendall(piece)
            return raw.recv(65536)
        except TimeoutError:
            continue
        except ConnectionError:
            return b""
    raise AssertionError("it was never let go")


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/files?name=a.csv HTTP/1.1\r\nContent-Length: 1000000",
        "POST /v1/files?name=a.csv HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 99999",
        "POST /v1/jobs HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100000",
    ],
    ids=["file", "multipart", "json"],
)
def test_a_body_that_trickles_is_408(crowded: Crowded, caller: Api, head: str) -> None:
    with crowded.open(head) as raw:
        raw.sendall(b"\r\n")
        answer = trickle(raw, b" ", most=600)
    assert answer.startswith(b"HTTP/1.1 408")
    assert caller.db["blobs.files"].count_documents({}) == 0


def test_every_call_with_a_body_is_408_when_it_stops_coming(crowded: Crowded, caller: Api) -> None:
    job = caller.job()["id"]
    crowded.keys["operator"] = caller.keys["admin"]
    calls = [(method, path) for method, path in DESCRIPTION.calls if SLOW in DESCRIPTION.codes(method, path)]
    assert calls
    for method, path in calls:
        where = path.format(job_id=job, name="baseline")
        query = "?name=a.csv" if path == "/v1/files" else ""
        head = f"{method.upper()} {where}{query} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100"
        with crowded.open(head) as raw:
            raw.sendall(b"\r\n{")
            assert raw.recv(65536).startswith(b"HTTP/1.1 408"), (method, path)


def test_a_chunked_body_that_trickles_without_end_is_408(crowded: Crowded, caller: Api) -> None:
    with crowded.open("POST /v1/files?name=a.csv HTTP/1.1\r\nTransfer-Encoding: chunked") as raw:
        raw.sendall(b"\r\n")
        assert trickle(raw, b"1\r\nx\r\n", most=600).startswith(b"HTTP/1.1 408")
    assert caller.db["blobs.files"].count_documents({}) == 0


def test_a_head_that_trickles_is_let_go(crowded: Crowded) -> None:
    with crowded.open("GET /v1/jobs HTTP/1.1") as raw:
        assert trickle(raw, b"X", most=600) == b""


def test_a_body_that_keeps_the_pace_may_take_longer_than_that(crowded: Crowded, caller: Api) -> None:
    pieces = 30
    with crowded.open(f"POST /v1/files?name=a.csv HTTP/1.1\r\nContent-Length: {pieces * 5_000}") as raw:
        raw.sendall(b"\r\n")
        raw.settimeout(BETWEEN_SECONDS)
        for _ in range(pieces - 1):
            raw.sendall(b"x" * 5_000)
            with pytest.raises(TimeoutError):
                raw.recv(1)
        raw.settimeout(TIMEOUT_SECONDS)
        raw.sendall(b"x" * 5_000)
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert answer.status == 201
        assert json.loads(answer.read())["bytes"] == pieces * 5_000


@contextmanager
def downloading(crowded: Crowded, job_id: str) -> Iterator[socket.socket]:
    """A connection on which a result has been asked for. What nobody takes is held by neither side's system."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1_000)
        raw.settimeout(TIMEOUT_SECONDS)
        raw.connect((LOOPBACK, crowded.system.port))
        head = f"GET /v1/jobs/{job_id}/result HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        raw.sendall(f"{head}Authorization: Bearer {crowded.keys['operator']}\r\n\r\n".encode())
        yield raw


def exported_bytes(caller: Api) -> tuple[str, bytes]:
    """A result of two large pieces, and whose it is."""
    lines = b"".join(b"r-%07d,44\n" % n for n in range(45_000))
    return exported.succeeded(caller.db, GridFsBlobs(db=caller.db), [[lines]]).id, exported.HEADER + lines


def test_a_download_that_is_taken_slowly_and_steadily_arrives_whole(crowded: Crowded, caller: Api) -> None:
    job_id, whole = exported_bytes(caller)
    found, nothing = bytearray(), threading.Event()
    with downloading(crowded, job_id) as raw:
        while piece := raw.recv(10_000):
            found += piece
            nothing.wait(BETWEEN_SECONDS)
    assert bytes(found).partition(b"\r\n\r\n")[2] == whole


def test_more_who_take_nothing_than_there_are_threads_keep_nobody_out_for_long(crowded: Crowded, caller: Api) -> None:
    job_id, _ = exported_bytes(caller)
    with ExitStack() as stack:
        for _ in range(3 * THREADS):
            stack.enter_context(downloading(crowded, job_id))
        assert caller.get("/v1/organisation").status_code == 200


def test_more_who_trickle_than_there_are_threads_keep_nobody_out_for_long(crowded: Crowded, caller: Api) -> None:
    slow = [crowded.open("POST /v1/files?name=a.csv HTTP/1.1") for _ in range(3 * THREADS)]
    try:
        assert caller.get("/v1/organisation").status_code == 200
    finally:
        for raw in slow:
            raw.close()


def test_forty_who_wait_leave_room_for_a_verb(crowded: Crowded, caller: Api) -> None:
    """Those for whom there is no room are answered at once, as the job is, and told when to ask again."""
    job = caller.job()["id"]
    answers: list[TestResponse] = []

    def poll(_n: int) -> None:
        answers.append(caller.get(f"/v1/jobs/{job}?wait_for=paused&timeout_seconds=60", key="viewer"))

    with ThreadPoolExecutor(POLLERS) as threads:
        polls = list(threads.map(lambda n: threads.submit(poll, n), range(POLLERS)))
        eventually(lambda: len(answers) >= POLLERS - 2 * POLLS, seconds=60, what="the rest is answered")
        turned_away = list(answers)
        assert caller.verb(job, "pause").get_json()["state"] == "paused"
        for waiting in polls:
            waiting.result(timeout=TIMEOUT_SECONDS)
    assert {answer.status_code for answer in answers} == {200}
    assert {(answer.get_json()["state"], answer.headers.get("Retry-After")) for answer in turned_away} == {
        ("queued", "1")
    }
    waited = [answer for answer in answers if answer.get_json()["state"] == "paused"]
    assert waited, "some had room"
    assert all("Retry-After" not in answer.headers for answer in waited)


def test_a_verb_that_nobody_can_wait_for_is_in_effect_all_the_same(crowded: Crowded, caller: Api) -> None:
    job = caller.job()["id"]
    with ThreadPoolExecutor(POLLERS) as threads:
        polls = [
            threads.submit(caller.get, f"/v1/jobs/{job}?wait_for=stopped&timeout_seconds=60") for _ in range(POLLERS)
        ]
        eventually(lambda: sum(poll.done() for poll in polls) >= POLLERS - 2 * POLLS, seconds=60, what="it is full")
        assert caller.verb(job, "pause", "?wait_seconds=30").get_json()["state"] == "paused"
        assert caller.verb(job, "stop", "?wait_seconds=30").get_json()["state"] == "stopped"
        assert {poll.result(timeout=TIMEOUT_SECONDS).status_code for poll in polls} == {200}


def test_metrics_are_those_of_all_processes_whichever_is_asked(crowded: Crowded, caller: Api) -> None:
    line = 'collect_request_seconds_count{method="GET",route="/v1/queues",status="200"}'

    def counted() -> set[float]:
        texts = [caller.get("/metrics", key=None).text for _ in range(8)]
        return {float(found.split()[-1]) for text in texts for found in text.splitlines() if found.startswith(line)}

    for _ in range(20):
        assert caller.get("/v1/queues").status_code == 200
    assert counted() == {20.0}
    assert "pid=" not in caller.get("/metrics", key=None).text, "a series for each process that ever was"


def test_every_line_of_the_log_is_json_and_none_holds_a_key(crowded: Crowded, caller: Api) -> None:
    with crowded.open("NONSENSE") as raw:
        raw.sendall(b"\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 400")
    with crowded.open("GET /v1/jobs HTTP/1.1") as raw:
        raw.sendall(f"Bad Header {caller.keys['operator']}\r\n\r\n".encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 400")
    text = crowded.service.log.read_text()
    assert all(json.loads(line)["service"] == "gateway" for line in text.splitlines())
    assert caller.keys["operator"] not in text
