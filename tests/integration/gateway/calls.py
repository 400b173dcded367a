"""The gateway as somebody calls it: with a key, in JSON; over HTTP, or within this process."""

from __future__ import annotations

import http.client
import io
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, TestResponse

from collect.jobs.model import Job
from collect.storage import jobs
from collect.storage.database import Database
from integration.gateway.described import DESCRIPTION
from support.protocol_driver import Recorder

TEMPLATE_COLUMNS: list[dict[str, Any]] = [
    {"name": "respondent_id", "type": "string", "required": True},
    {"name": "district", "type": "string"},
    {"name": "age", "type": "integer", "minimum": 0, "maximum": 120},
]
TEMPLATE: dict[str, Any] = {"key": ["respondent_id"], "columns": TEMPLATE_COLUMNS}
CSV = b"respondent_id,district,age\nr-1,Pune,31\nr-2,Nashik,44\nr-3,Satara,not a number\n"
TIMEOUT_SECONDS = 60
SAFE = "/?#[]@!$&'()*+,;=:%~|\"<>{}^`"
"""What of a path goes out as it is; the rest no client sends without an escape."""
UNKNOWN_ID = "01k00000000000000000000000"


class Client(Protocol):
    """Sends one request and gives the answer: Flask's test client is one."""

    def open(self, path: str, *, method: str, headers: dict[str, str], **options: Any) -> TestResponse: ...


class OverHttp:
    """A client of a running gateway. Each request has a connection of its own."""

    def __init__(self, url: str) -> None:
        self.place = urlsplit(url).netloc

    def open(self, path: str, *, method: str, headers: dict[str, str], **options: Any) -> TestResponse:
        with closing(EnvironBuilder(method=method, headers=Headers(headers), **options)) as builder:
            request = builder.get_request()
            body = request.get_data()
            sent = {**headers, **({"Content-Type": request.content_type} if request.content_type else {})}
        query = f"?{request.query_string.decode()}" if request.query_string else ""
        connection = http.client.HTTPConnection(self.place, timeout=TIMEOUT_SECONDS)
        with suppress(BrokenPipeError, ConnectionResetError):  # who is refused early may still read why
            connection.request(method, quote(path, safe=SAFE) + query, body=body or None, headers=sent)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        status = f"{answer.status} {answer.reason}"
        return TestResponse([data], status, Headers(answer.getheaders()), request)


@dataclass(kw_only=True)
class Api:
    """A client that sends one key unless told otherwise; ``keys`` has one for each role, and those of others."""

    client: Client
    db: Database
    sender: Recorder
    keys: dict[str, str]
    as_: str = "operator"
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        """One request, whose answer is as it is described. ``key`` names whose (``None``: nobody's)."""
        key = options.pop("key", self.as_)
        headers = {**self.headers, **options.pop("headers", {})}
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {self.keys.get(key, key)}")
        answer = self.client.open(path, method=method, headers=headers, **options)
        DESCRIPTION.check(method, path, status=answer.status_code, headers=dict(answer.headers), body=answer.data)
        return answer

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.call("POST", path, json=json, **options)

    def file(self, data: bytes = CSV, name: str = "baseline.csv", **options: Any) -> str:
        """A file that has been sent; its id."""
        answer = self.call("POST", f"/v1/files?name={name}", data=data, **options)
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["id"])

    def job(self, *, key: str | None = None, file_id: str | None = None, **body: Any) -> dict[str, Any]:
        """A job that has been made; its body. ``params`` are added to those that it needs."""
        sent = upload(file_id or self.file(key=key or self.as_), **body)
        answer = self.post("/v1/jobs", sent, key=key or self.as_)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.get_json()
        return found

    def verb(self, job_id: str, verb: str, query: str = "", **options: Any) -> TestResponse:
        return self.post(f"/v1/jobs/{job_id}/{verb}{query}", {"reason": "a test", **options.pop("body", {})}, **options)

    def stored(self, job_id: str, *, org_id: str = "labs") -> Job:
        return jobs.get(self.db, org_id=org_id, job_id=job_id)


def upload(file_id: str, *, params: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    """The body of a new upload."""
    return {"kind": "upload", "params": {"file_id": file_id, "dataset": "baseline", **(params or {})}, **body}


def form(**parts: Any) -> dict[str, Any]:
    """A multipart body: bytes become files, text stays text."""
    files = {name: (io.BytesIO(value), f"{name}.csv") for name, value in parts.items() if isinstance(value, bytes)}
    return {"data": {**parts, **files}, "content_type": "multipart/form-data"}


def problem(answer: TestResponse, status: int, code: str | None = None) -> dict[str, Any]:
    """The answer's problem details, which it must be."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.get_json(force=True)
    assert {"type", "title", "status", "code", "detail", "request_id", "errors"} <= body.keys()
    assert body["status"] == status
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert code is None or body["code"] == code, body
    return body


def fields(body: dict[str, Any]) -> list[str]:
    """The fields that a problem names."""
    return [error["field"] for error in body["errors"]]
