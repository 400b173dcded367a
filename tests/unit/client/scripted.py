"""A gateway that answers from a script, without a socket."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter

from collect.client.transport import Patience, Transport

AT = "2017-08-01T10:00:00.000Z"
ACTOR = {"id": "01kk", "name": "nightly"}
FILE = {"id": "01kf", "name": "b.csv", "bytes": 5, "sha256": "00", "created_at": AT, "expires_at": AT}

Answer = Callable[[requests.PreparedRequest], requests.Response]


class Scripted(BaseAdapter):
    """Plays the answers in order, each to one request, and keeps the requests and the bodies that it has read."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self._answers = list(answers)
        self.requests: list[requests.PreparedRequest] = []
        self.bodies: list[bytes] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        self.bodies.append(b"".join(_pieces(request.body)))
        response = answer(request)
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        assert self._answers == [], "not every answer was asked for"


def _pieces(body: Any) -> Iterator[bytes]:
    if body is None:
        return
    if isinstance(body, str | bytes):
        yield body if isinstance(body, bytes) else body.encode()
        return
    while piece := body.read(16 * 1024):
        yield piece


def answering(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    def answer(_: requests.PreparedRequest) -> requests.Response:
        response = requests.Response()
        response.status_code = status
        response.raw = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        response.headers.update(headers or {})
        return response

    return answer


def failing(error: Exception) -> Answer:
    def answer(_: requests.PreparedRequest) -> requests.Response:
        raise error

    return answer


class Time:
    """A stopwatch that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def transport(adapter: Scripted, time: Time | None = None, *, retry_seconds: float = 30.0) -> Transport:
    clock = time or Time()
    return Transport(
        url="http://gateway.test/",
        api_key="ck_1_secret",
        patience=Patience(retry_seconds=retry_seconds),
        adapter=adapter,
        sleep=clock.sleep,
        monotonic=clock.monotonic,
    )


def problem(status: int, code: str = "some_code", **more: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": "No", "status": status, "code": code, "detail": "Why not.", **more}


def job(**changes: Any) -> dict[str, Any]:
    return {
        "id": "01kj",
        "org_id": "labs",
        "kind": "upload",
        "params": {},
        "state": "running",
        "status": "Running.",
        "created_at": AT,
        "created_by": ACTOR,
        "progress": {"total": 100, "done": 42, "succeeded": 41, "rejected": 1, "at": AT},
        "allowed_verbs": ["pause"],
        **changes,
    }
