"""Every status that the description says of a call is really answered by it; `Api.call` looks at the answers' shape."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.test import TestResponse

from collect.storage import organisations
from collect.storage.object_store import GridFsBlobs
from integration.gateway import corrected
from integration.gateway.calls import CSV, TEMPLATE, UNKNOWN_ID, Api, upload
from integration.gateway.described import DESCRIPTION
from integration.gateway.test_access import CORRECTED, ROUTES
from integration.storage.failpoints import failing
from support import exported
from support.team_jobs import team

WHY = {"reason": "a test"}
KEY = {"Idempotency-Key": "twice"}
OPERATION_FAILED = 96
SLOW = 408
"""Answered after a while: test_crowds.py has it, for every call with a body."""

CASES = [
    (method.upper(), path, code)
    for method, path in DESCRIPTION.calls
    for code in sorted(DESCRIPTION.codes(method, path))
]


def filled(path: str, **ids: str) -> str:
    names = {"job_id": UNKNOWN_ID, "file_id": UNKNOWN_ID, "key_id": UNKNOWN_ID, "name": "baseline", **ids}
    return path.format(**names)


def body_of(method: str, path: str) -> Any:
    route = ROUTES.get((method, path.replace("{", "<").replace("}", ">")))
    return route.body if route else None


def paused(api: Api) -> str:
    job = str(api.job()["id"])
    api.verb(job, "pause")
    return job


def stopped(api: Api) -> str:
    job = str(api.job()["id"])
    api.verb(job, "stop")
    return job


def terminated(api: Api) -> str:
    job = str(api.job()["id"])
    api.verb(job, "terminate")
    return job


def waiting(api: Api) -> str:
    return str(api.job(confirm="always")["id"])


def queued(api: Api) -> str:
    return str(api.job()["id"])


ALLOWED: dict[str, Callable[[Api], str]] = {
    "pause": queued, "resume": paused, "stop": queued, "confirm": waiting, "terminate": queued, "undo": stopped,
    "restart": stopped,
}  # fmt: skip
REFUSED: dict[str, Callable[[Api], str]] = {
    "pause": stopped, "resume": queued, "stop": terminated, "confirm": stopped, "terminate": stopped, "undo": queued,
    "restart": queued,
}  # fmt: skip


def anywhere(api: Api, method: str, path: str, code: int) -> TestResponse | None:
    """What any call answers alike."""
    path, body = filled(path), body_of(method, path)
    match code:
        case 400:
            return api.call(method, path, key="platform", json=body)
        case 401:
            return api.call(method, path, key=None, json=body)
        case 403:
            return api.call(method, path, key="viewer", json=body)
        case 404:
            return api.call(method, path, key="platform", headers={"X-Organisation": "nobody"}, json=body)
        case 413:
            return api.call(method, path, key="admin", headers={"Content-Length": str(2**44)})
        case 415:
            return api.call(method, path, key="admin", data=b"x", headers={"Content-Type": "text/plain"})
        case 422:
            return api.call(method, f"{path}?nothing=1", key="admin", json=body)
        case 429:
            organisations.patch(api.db, org_id="labs", limits={"requests_per_minute": 1})
            answers = [api.call(method, path, key="admin", json=body) for _ in range(4)]  # the minute may turn
            return next((answer for answer in answers if answer.status_code == 429), answers[-1])
        case 503:
            command = "ping" if path == "/readyz" else "find"
            with failing(api.db, command, app_name="gateway", times=1, errorCode=OPERATION_FAILED):
                return api.call(method, path, key="admin", json=body)
    return None


def under_way(api: Api, method: str, path: str, **options: Any) -> TestResponse:
    """The same request again, while the first is answered."""
    assert api.call(method, path, headers=KEY, key="admin", **options).status_code < 300
    api.db.idempotency.update_many({}, {"$set": {"status": "running", "answer": None}})
    return api.call(method, path, headers=KEY, key="admin", **options)


def verb(api: Api, path: str, code: int) -> TestResponse:
    name = path.rsplit("/", 1)[-1]
    match code:
        case 409:
            return api.verb(REFUSED[name](api), name)
        case 412:
            return api.verb(ALLOWED[name](api), name, headers={"If-Match": '"99"'})
        case 200:
            return api.verb(ALLOWED[name](api), name, "?validate_only=true")
    return api.verb(ALLOWED[name](api), name)


def corrections(api: Api, code: int) -> TestResponse:
    job = corrected.succeeded(api).job_id
    if code == 409:
        api.verb(job, "undo")
    headers = {"If-Match": '"99"'} if code == 412 else {}
    query = "?validate_only=true" if code == 200 else ""
    return api.post(f"/v1/jobs/{job}/corrections{query}", CORRECTED, headers=headers)


def put_dataset(api: Api, code: int) -> TestResponse:
    if code == 409:
        api.job()
    name = "fresh" if code == 201 else "baseline"
    return api.call("PUT", f"/v1/datasets/{name}", json=TEMPLATE, key="admin")


def post_job(api: Api, code: int) -> TestResponse:
    if code == 409:
        api.job()
    return api.post("/v1/jobs?validate_only=true" if code == 200 else "/v1/jobs", upload(api.file()))


def content(api: Api, code: int) -> TestResponse:
    return api.get(f"/v1/files/{api.file()}/content", headers=of_download(code, hashlib.sha256(CSV).hexdigest()))


def of_download(code: int, sha256: str) -> dict[str, str]:
    """Return the headers with which a download answers the code."""
    asked = {
        206: {"Range": "bytes=1-2"},
        304: {"If-None-Match": f'"{sha256}"', "Range": "bytes=1-2"},
        412: {"If-Match": '"another"', "Range": "bytes=1-2"},
        416: {"Range": "bytes=999999-"},
    }
    return asked.get(code, {})


def result(api: Api, path: str, code: int) -> TestResponse:
    blobs = GridFsBlobs(db=api.db)
    if code == 409:
        return api.get(filled(path, job_id=queued(api)))
    job = exported.succeeded(api.db, blobs)
    if code == 410:
        api.db.jobs.update_one({"_id": job.id}, {"$set": {"result.expired_at": datetime.now(UTC)}})
    sha256 = str((job.result or {}).get("sha256"))
    return api.get(filled(path, job_id=job.id), headers=of_download(code, sha256))


def lines_of(api: Api, path: str, code: int) -> TestResponse:
    file_id = api.file(b"PK\x03\x04 a workbook" if code == 409 else CSV)
    job = str(api.job(file_id=file_id)["id"])
    api.verb(job, "stop")
    return api.get(f"{filled(path, job_id=job)}?format=csv")


def particular(api: Api, method: str, path: str, code: int) -> TestResponse:
    """What only this call answers."""
    match (method, path):
        case ("POST", "/v1/jobs/{job_id}/corrections"):
            return corrections(api, code)
        case ("POST", _) if path.startswith("/v1/jobs/"):
            return verb(api, path, code)
        case ("PUT", "/v1/datasets/{name}"):
            return put_dataset(api, code)
        case ("POST", "/v1/jobs"):
            return post_job(api, code)
        case ("POST", "/v1/files"):
            options: dict[str, Any] = {"data": CSV}
            path = "/v1/files?name=a.csv"
            return under_way(api, method, path, **options) if code == 409 else api.call(method, path, **options)
        case ("POST", "/v1/keys"):
            body = {"name": "new", "role": "viewer"}
            again = code == 409
            return under_way(api, method, path, json=body) if again else api.post(path, body, key="admin")
        case ("GET", "/v1/files/{file_id}/content"):
            return content(api, code)
        case ("GET", "/v1/teams/{name}"):
            team(api.db, "baseline")
        case ("GET", "/v1/jobs/{job_id}/rejects" | "/v1/jobs/{job_id}/unprocessed"):
            return lines_of(api, path, code)
        case ("GET", "/v1/jobs/{job_id}/result" | "/v1/jobs/{job_id}/manifest"):
            return result(api, path, code)
    ids = {"job_id": queued(api), "file_id": api.file(), "key_id": api.keys["viewer"].split("_")[1]}
    return api.call(method, filled(path, **ids), json=body_of(method, path), key="admin")


@pytest.mark.parametrize(("method", "path", "code"), [case for case in CASES if case[2] != SLOW])
def test_a_status_that_is_described_is_answered(api: Api, method: str, path: str, code: int) -> None:
    answer = anywhere(api, method, path, code) or particular(api, method, path, code)
    assert answer.status_code == code, answer.text
