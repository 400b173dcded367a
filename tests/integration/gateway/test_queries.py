"""What stands behind the question mark, and what names a version."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from integration.gateway.calls import UNKNOWN_ID, Api, fields, problem, upload
from integration.gateway.test_access import CALLS, ROUTES, filled


@pytest.mark.parametrize(("method", "rule"), CALLS)
def test_a_parameter_that_no_route_knows_is_refused(api: Api, method: str, rule: str) -> None:
    answer = api.call(method, f"{filled(rule)}?nothing=1", key="admin", json=ROUTES[method, rule].body)
    assert fields(problem(answer, 422, "invalid_input")) == ["nothing"]


def test_what_looks_after_the_process_takes_any_query(api: Api) -> None:
    assert api.get("/healthz?probe=1", key=None).status_code == 200


@pytest.mark.parametrize(
    "query", ["q=%00", "kind=%00", "created_by=%00", "q=" + "x" * 201, "state[$gt]=", "q[$regex]=."]
)
def test_a_filter_is_a_plain_text(api: Api, query: str) -> None:
    api.job()
    answer = api.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422 or answer.get_json()["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?state=bogus", "state"), ("?state=queued,bogus", "state"), ("?limit=0", "limit"),
        ("?since=yesterday", "since"),
        ("?since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z", "until"),
        ("/{job}?wait_for=tomorrow", "wait_for"), ("/{job}?timeout_seconds=-1", "timeout_seconds"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(api: Api, query: str, field: str) -> None:
    job = api.job()["id"]
    answer = problem(api.get("/v1/jobs" + query.format(job=job)), 422)
    assert fields(answer) == [field]
    assert "Value error" not in str(answer), "that is pydantic's word"


def test_a_priority_that_is_null_is_named(api: Api) -> None:
    job = api.job()["id"]
    assert fields(problem(api.call("PATCH", f"/v1/jobs/{job}", json={"priority": None}), 422)) == ["priority"]


@pytest.mark.parametrize("q", [".", "(", "[", "\\", "*", "$", "^", "a|b", "(?i)x", "{1,99999}", "-", "/"])
def test_a_word_that_is_looked_for_means_just_itself(api: Api, q: str) -> None:
    api.job(reason="plain")
    found = api.get(f"/v1/jobs?q={quote(q, safe='')}")
    assert found.status_code == 200
    assert len(found.get_json()["items"]) == int(q in "baseline.csv labs operator baseline")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs",
        "/v1/jobs/{job}/audit",
        "/v1/jobs/{job}/rejects",
        "/v1/jobs/{job}/parts",
        "/v1/jobs/{job}/conflicts",
        "/v1/datasets/baseline/rows",
        "/v1/teams",
        "/v1/keys",
    ],
)
@pytest.mark.parametrize("value", ["\ud800", -1, 2**53, 2**70, 1.5, True, None, [], {"$gt": ""}])
def test_a_cursor_that_was_not_given_out_is_400(api: Api, path: str, value: Any) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
    job = api.job()["id"]
    problem(api.get(f"{path.format(job=job)}?cursor={cursor}", key="admin"), 400, "bad_cursor")


@pytest.mark.parametrize("cursor", ["", "x", "%ff", "%00", "x" * 4_000, "W1" * 100])
def test_a_cursor_that_is_none_is_400(api: Api, cursor: str) -> None:
    problem(api.get(f"/v1/jobs?cursor={cursor}"), 400, "bad_cursor")


@pytest.mark.parametrize("tag", ['"abc"', '"0"', '"99"', '"-1"', '""', '"' + "9" * 40 + '"', 'W/"7"'])
@pytest.mark.parametrize("verb", ["pause", "resume", "stop", "confirm", "terminate", "undo", "restart"])
def test_any_other_version_is_412(api: Api, verb: str, tag: str) -> None:
    job = api.job()["id"]
    problem(api.verb(job, verb, headers={"If-Match": tag}), 412, "precondition_failed")
    assert api.stored(job).audit_seq == 1


@pytest.mark.parametrize("tag", ["", "abc", '"1', '1"2"', '"1", "2"'])
def test_what_is_no_version_is_400(api: Api, tag: str) -> None:
    problem(api.verb(api.job()["id"], "pause", headers={"If-Match": tag}), 400, "bad_etag")


def test_a_version_is_looked_at_after_existence(api: Api) -> None:
    problem(api.verb(UNKNOWN_ID, "pause", headers={"If-Match": '"abc"'}), 404)
    assert api.verb(api.job()["id"], "pause", headers={"If-Match": "*"}).status_code == 202


@pytest.mark.parametrize("reason", ["", " ", "\t\n"])
def test_a_reason_says_something(api: Api, reason: str) -> None:
    problem(api.post(f"/v1/jobs/{api.job()['id']}/pause", {"reason": reason}), 422)


@pytest.mark.parametrize(
    "change",
    [
        {"max_rows_per_second": "5"}, {"max_rows_per_second": True}, {"max_rejected": {"rows": True}},
        {"max_rejected": {"rows": "5"}}, {"max_rejected": {"rows": 1.5}}, {"max_rejected": {"percent": "5"}},
        {"max_rejected": {"rows": 1, "percent": 1}}, {"max_rejected": {"percent": 101}},
    ],
)  # fmt: skip
def test_a_number_is_a_number(api: Api, change: dict[str, Any]) -> None:
    problem(api.call("PATCH", f"/v1/jobs/{api.job()['id']}", json=change), 422)
    if "max_rejected" not in change:
        problem(api.post("/v1/jobs", upload(api.file(), **change)), 422)
    problem(api.post("/v1/jobs", upload(api.file(), params={"max_rejected": change.get("max_rejected", True)})), 422)
