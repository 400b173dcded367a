"""Requests that are wrong in ways that people and attackers find: a clear refusal each time, and nothing half made."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collect.errors import InProgress
from collect.jobs.states import State
from collect.storage import idempotency
from collect.storage.database import transact
from collect.storage.idempotency import Answer, Claim
from gateway.http import rate_limit
from gateway.http.rate_limit import RateLimiter
from integration.gateway.calls import CSV, TEMPLATE, TEMPLATE_COLUMNS, Api, fields, form, problem, upload
from integration.gateway.conftest import Running

JSON = {"Content-Type": "application/json"}
JOB = '{"kind":"upload","params":{"dataset":"baseline"}}'


def blobs_of(api: Api) -> int:
    return api.db["blobs.files"].count_documents({})


@pytest.mark.parametrize("body", [b'{"reason": ["\\ud800"]}', b'{"reason": "\\ud800x"}'])
def test_text_that_no_store_can_hold_is_400(api: Api, body: bytes) -> None:
    problem(api.call("POST", "/v1/jobs", data=body, headers=JSON), 400, "malformed_json")


@pytest.mark.parametrize("number", [b"9" * 30, b"-" + b"9" * 30, str(2**63).encode(), str(2**70).encode()])
def test_a_whole_number_that_no_store_can_hold_is_422(api: Api, number: bytes) -> None:
    found = problem(api.call("POST", "/v1/jobs", data=b'{"n": ' + number + b"}", headers=JSON), 422, "invalid_input")
    assert "more than 64 bits" in found["detail"]


@pytest.mark.parametrize("body", [b'"{\\"reason\\": \\"x\\"}"', b"[]", b"1", b"null", b"true"])
def test_json_that_is_no_object_is_422(api: Api, body: bytes) -> None:
    job = api.job()["id"]
    problem(api.call("POST", f"/v1/jobs/{job}/pause", data=body, headers=JSON), 422)
    assert api.stored(job).state is State.QUEUED


def test_another_content_type_is_415(api: Api) -> None:
    job = api.job()["id"]
    for type_ in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        answer = api.call("POST", f"/v1/jobs/{job}/pause", data=b'{"reason":"x"}', headers={"Content-Type": type_})
        problem(answer, 415, "unsupported_media_type")


def test_no_body_at_all_names_what_is_missing(api: Api) -> None:
    job = api.job()["id"]
    assert fields(problem(api.call("POST", f"/v1/jobs/{job}/pause"), 422)) == ["reason"]
    assert set(fields(problem(api.call("POST", "/v1/jobs"), 422))) == {"kind", "params"}


@pytest.mark.parametrize("header", ["$set", "a.b", "_id", "__proto__", "", "$where"])
def test_a_header_may_be_called_whatever_it_likes(api: Api, header: str) -> None:
    job = api.job(params={"column_map": {header: "age"}})
    assert job["params"]["column_map"] == {header: "age"}
    assert api.get(f"/v1/jobs/{job['id']}").get_json()["params"]["column_map"] == {header: "age"}


@pytest.mark.parametrize(
    "params",
    [
        {"column_map": {"a\0b": "age"}},
        {"encoding": "klingon"},
        {"max_rejected": {"rows": 1, "percent": 2}},
        {"max_rejected": {"rows": -1}},
        {"max_rejected": {"percent": 101}},
        {"delimiter": "ab"},
    ],
)
def test_params_that_cannot_be_are_refused_at_once(api: Api, params: dict[str, Any]) -> None:
    found = problem(api.post("/v1/jobs", upload(api.file(), params=params)), 422)
    assert all(name.startswith("params.") for name in fields(found))


@pytest.mark.parametrize("bound", [10**18, "x", True, {"$gt": 1}, [1]])
def test_a_range_of_a_template_is_refused_or_stored(api: Api, bound: Any) -> None:
    columns = [*TEMPLATE_COLUMNS, {"name": "size", "type": "number", "minimum": bound}]
    answer = api.call("PUT", "/v1/datasets/sizes", json={**TEMPLATE, "columns": columns}, key="admin")
    assert answer.status_code in {201, 422}, answer.text


@pytest.mark.parametrize("value", ["\ud800", 'a"b', {"$gt": ""}, [1], True, 1.5, -1, 2**60])
def test_a_forged_cursor_is_400_wherever_it_is_sent(api: Api, value: Any) -> None:
    job = api.job()["id"]
    cursor = base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
    for path in (f"/v1/jobs/{job}/audit", f"/v1/jobs/{job}/parts", f"/v1/jobs/{job}/rejects"):
        problem(api.get(f"{path}?cursor={cursor}"), 400, "bad_cursor")
    if not isinstance(value, str) or not value.isascii():
        problem(api.get(f"/v1/datasets/baseline/rows?cursor={cursor}"), 400, "bad_cursor")


def test_a_cursor_into_another_organisation_leads_nowhere(api: Api) -> None:
    for org_id in ("labs", "other"):
        api.db.rows.insert_one({"_id": f"{org_id}|baseline|r", "org_id": org_id, "dataset": "baseline", "values": {}})
    cursor = base64.urlsafe_b64encode(b'"other|baseline|"').decode()
    assert api.get(f"/v1/datasets/baseline/rows?cursor={cursor}").get_json()["items"] == []


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "2999-01-01T00:00:00%2B05:30"])
def test_a_time_to_come_has_no_jobs_yet(api: Api, at: str) -> None:
    job = api.job()["id"]
    assert api.get(f"/v1/jobs?since={at}").get_json()["items"] == []
    assert [one["id"] for one in api.get(f"/v1/jobs?until={at}").get_json()["items"]] == [job]


@pytest.mark.parametrize(
    "at", ["2026-01-01", "2026-01-01T00:00:00", "1700000000", "0000-00-00T00:00:00Z", "2026-02-31T00:00:00Z",
           "10000-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:00", "9999-12-31T23:59:59-23:00"],
)  # fmt: skip
def test_a_time_that_is_none_is_refused_wherever_it_is_asked(api: Api, at: str) -> None:
    problem(api.get(f"/v1/jobs?since={at}"), 422)
    problem(api.get(f"/v1/jobs?until={at}"), 422)
    problem(api.verb(api.job()["id"], "pause", body={"until": at.replace("%2B", "+")}), 422)


@pytest.mark.parametrize("bound", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_a_bound_outside_the_calendar_is_refused(api: Api, bound: str) -> None:
    columns = [*TEMPLATE_COLUMNS, {"name": "seen_at", "type": "datetime", "minimum": bound}]
    problem(api.call("PUT", "/v1/datasets/times", json={**TEMPLATE, "columns": columns}, key="admin"), 422)


@pytest.mark.parametrize("field", ["state", "org_id", "epoch", "_id", "created_by", "audit_seq", "$set"])
def test_nobody_writes_what_is_not_theirs_to_write(api: Api, field: str) -> None:
    job = api.job()["id"]
    before = api.db.jobs.find_one({"_id": job})
    assert fields(problem(api.call("PATCH", f"/v1/jobs/{job}", json={field: "x"}), 422)) == [field]
    for verb in ("pause", "resume", "stop", "confirm", "terminate", "undo", "restart"):
        assert fields(problem(api.verb(job, verb, body={field: "x"}), 422)) == [field]
    problem(api.call("PATCH", "/v1/organisation", json={"limits": {field: 1}}, key="admin"), 422)
    problem(api.post("/v1/keys", {"name": "x", "role": "viewer", field: "other"}, key="admin"), 422)
    assert api.db.jobs.find_one({"_id": job}) == before


def test_dates_in_the_wrong_order_are_refused(api: Api) -> None:
    problem(api.get("/v1/jobs?since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z"), 422)


def test_a_double_slash_is_another_path(api: Api) -> None:
    problem(api.get("/v1//jobs"), 404)


def test_a_range_that_is_not_there_says_how_long_the_file_is(api: Api) -> None:
    answer = api.get(f"/v1/files/{api.file()}/content", headers={"Range": "bytes=9999-"})
    problem(answer, 416)
    assert answer.headers["Content-Range"] == f"bytes */{len(CSV)}"


@pytest.mark.parametrize(
    "parts",
    [
        {"file": CSV, "job": JOB, "more": "x"},
        {"file": CSV, "job": JOB, "second": b"x"},
        {"file": CSV, "job": JOB.replace("baseline", "nothing")},
        {"file": CSV, "job": '{"kind":"export","params":{}}'},
        {"file": CSV, "job": "{"},
    ],
)
def test_a_request_that_is_refused_leaves_no_bytes(api: Api, parts: dict[str, Any]) -> None:
    assert api.call("POST", "/v1/jobs", **form(**parts)).status_code in {400, 404, 422}
    assert (api.db.files.count_documents({}), blobs_of(api)) == (0, 0)


def test_a_held_dataset_leaves_no_bytes_either(api: Api) -> None:
    api.job()
    problem(api.call("POST", "/v1/jobs", **form(file=CSV, job=JOB)), 409, "dataset_held")
    assert blobs_of(api) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"--b",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nrespondent_id\r\n',
        b"no boundary here at all",
    ],
)
def test_multipart_that_breaks_off_is_400_and_leaves_nothing(api: Api, body: bytes) -> None:
    answer = api.call("POST", "/v1/files", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    problem(answer, 400)
    assert blobs_of(api) == 0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"../../etc/passwd", "passwd"), (b"..\\\\..\\\\boot.ini", "boot.ini"), (b"/etc/cron.d/x", "x"), (b"..", None),
        (b"a\x00b.csv", None), (b"n" * 4096, None), (b"a\tb.csv", None), (b"\xff\xfe.csv", None),
    ],
)  # fmt: skip
def test_the_name_of_a_part_is_only_a_name(api: Api, name: bytes, shown: str | None) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\n'
    answer = api.call(
        "POST",
        "/v1/files",
        data=head + CSV + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    if shown is not None:
        assert answer.get_json()["name"] == shown
    elif answer.status_code != 201:
        assert answer.status_code in {400, 422}, answer.text
        assert blobs_of(api) == 0
    else:
        assert answer.get_json()["name"].isprintable()


def test_a_part_without_a_name_is_refused(api: Api) -> None:
    body = b"--b\r\nContent-Disposition: nonsense\r\n\r\nx\r\n--b--\r\n"
    answer = api.call("POST", "/v1/files", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    problem(answer, 422, "unexpected_part")


@pytest.mark.parametrize("type_", ["multipart/form-data", 'multipart/form-data; boundary=""'])
def test_multipart_without_a_boundary_is_refused(api: Api, type_: str) -> None:
    answer = api.call("POST", "/v1/files", data=b"x", headers={"Content-Type": type_})
    assert answer.status_code in {400, 422}


def test_ten_thousand_parts_are_refused(api: Api) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert api.call("POST", "/v1/files", data=part * 10_000 + b"--b--\r\n", headers=headers).status_code in {413, 422}


def test_a_part_that_is_too_long_is_413(api: Api) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="job"\r\n\r\n' + b" " * 2_000_000 + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    problem(api.call("POST", "/v1/jobs", data=body, headers=headers), 413)


def test_a_file_sent_along_is_kept_once_under_its_key(api: Api) -> None:
    key = {"Idempotency-Key": "with a file"}
    first = api.call("POST", "/v1/jobs", headers=key, **form(file=CSV, job=JOB))
    again = api.call("POST", "/v1/jobs", headers=key, **form(file=CSV, job=JOB))
    assert (again.status_code, again.get_json()) == (202, first.get_json())
    assert (api.db.files.count_documents({}), blobs_of(api), api.db.jobs.count_documents({})) == (1, 1, 1)
    problem(api.call("POST", "/v1/jobs", headers=key, **form(file=CSV + b"x", job=JOB)), 422, "idempotency_key_reused")
    assert blobs_of(api) == 1


def test_a_restart_with_a_file_is_kept_once_under_its_key(api: Api) -> None:
    parent, key = api.job()["id"], {"Idempotency-Key": "again"}
    api.verb(parent, "stop")
    path = f"/v1/jobs/{parent}/restart"
    first = api.call("POST", path, headers=key, **form(file=CSV, reason="corrected"))
    again = api.call("POST", path, headers=key, **form(file=CSV, reason="corrected"))
    assert first.status_code == 202, first.text
    assert (again.headers.get("Idempotency-Replayed"), again.get_json()) == ("true", first.get_json())
    assert api.db.jobs.count_documents({}) == 2


def test_a_replay_is_answered_though_the_parent_has_moved_on(api: Api) -> None:
    parent, key = api.job()["id"], {"Idempotency-Key": "again"}
    api.verb(parent, "stop")
    first = api.verb(parent, "restart", headers=key)
    api.db.jobs.update_one({"_id": parent}, {"$set": {"state": "undoing"}})
    assert api.verb(parent, "restart", headers=key).get_json() == first.get_json()


def test_a_request_that_was_overtaken_makes_nothing(api: Api) -> None:
    """Its gateway was away for longer than a claim lasts, and the caller's next try has the key now."""
    first = idempotency.begin(api.db, record_id="labs|key|x", fingerprint="f")
    api.db.idempotency.update_many({}, {"$set": {"locked_until": datetime.now(UTC) - timedelta(seconds=1)}})
    second = idempotency.begin(api.db, record_id="labs|key|x", fingerprint="f")
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    answer = Answer(status=202, body={}, headers={})
    with pytest.raises(InProgress):
        transact(api.db, lambda tx: idempotency.complete(tx, claim=first, answer=answer))
    idempotency.abandon(api.db, claim=first)
    transact(api.db, lambda tx: idempotency.complete(tx, claim=second, answer=answer))
    assert isinstance(idempotency.begin(api.db, record_id="labs|key|x", fingerprint="f"), Answer)


def test_restart_looks_at_the_version_and_waits_like_every_verb(api: Api) -> None:
    parent = api.job()["id"]
    seen = api.get(f"/v1/jobs/{parent}").headers["ETag"]
    api.verb(parent, "stop")
    problem(api.verb(parent, "restart", headers={"If-Match": seen}), 412)
    child = api.verb(parent, "restart", "?wait_seconds=0.1")
    assert (child.status_code, child.get_json()["state"]) == (202, "queued")
    assert child.headers["Location"] == f"/v1/jobs/{child.get_json()['id']}"


def test_a_preview_is_refused_as_the_job_would_be(api: Api) -> None:
    done = api.job()["id"]
    api.verb(done, "stop")
    past = datetime.now(UTC) - timedelta(days=1)
    api.db.jobs.update_one({"_id": done}, {"$set": {"undo_until": past}})
    body = upload(api.file(), params={"on_conflict": "supersede", "supersedes": done})
    for path in ("/v1/jobs", "/v1/jobs?validate_only=true"):
        assert problem(api.post(path, body), 409, "verb_not_allowed")["state"] == "stopped"


def test_a_preview_of_superseding_leaves_the_other_job_alone(api: Api) -> None:
    holder = api.job()["id"]
    before = api.db.jobs.find_one({"_id": holder}), list(api.db.parts.find()), list(api.db.locks.find())
    body = upload(api.file(), params={"on_conflict": "supersede"})
    seen = api.post("/v1/jobs?validate_only=true", body)
    assert seen.get_json()["conflict"] == {"holder": holder}
    assert before == (api.db.jobs.find_one({"_id": holder}), list(api.db.parts.find()), list(api.db.locks.find()))


def test_a_preview_with_its_file_keeps_the_file_for_the_start(api: Api) -> None:
    seen = api.call("POST", "/v1/jobs?validate_only=true", **form(file=CSV, job=JOB)).get_json()
    assert seen["ok"] is True
    assert api.job(file_id=seen["file"]["id"])["state"] == "queued"
    assert api.db.files.count_documents({}) == 1


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a workbook", b"\x1f\x8b cut off"])
def test_a_file_that_cannot_be_read_is_said_before_the_download_begins(api: Api, data: bytes) -> None:
    job = api.job(file_id=api.file(data))["id"]
    api.verb(job, "stop")
    for path in ("unprocessed?format=csv", "rejects?format=csv"):
        problem(api.get(f"/v1/jobs/{job}/{path}"), 409, "unreadable_file")


def test_rejects_of_a_file_without_header_are_called_as_the_template_has_them(api: Api) -> None:
    job = api.job(file_id=api.file(b"r-1;Pune;31\n"), params={"has_header": False, "delimiter": ";"})["id"]
    header = b"respondent_id;district;age;row;code;field;message\n"
    assert api.get(f"/v1/jobs/{job}/rejects?format=csv").data == header


def test_redis_away_holds_nobody_up(inside: Api, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = RateLimiter(redis=rate_limit.connect("redis://127.0.0.1:1"))
    monkeypatch.setitem(vars(running.app.extensions["collect"]), "limiter", nobody)
    for _ in range(3):
        answer = inside.get("/v1/organisation")
        assert answer.status_code == 200
        assert "RateLimit" not in answer.headers
