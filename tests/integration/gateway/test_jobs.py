"""Asking for jobs, controlling them, finding them: the examples of the API, one by one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collect.jobs.states import State
from integration.gateway.calls import CSV, UNKNOWN_ID, Api, fields, form, problem, upload


def test_a_job_is_accepted_with_its_place_and_its_version(api: Api) -> None:
    answer = api.post("/v1/jobs", upload(api.file(), reason="round 3", priority="high"))
    assert answer.status_code == 202
    job = answer.get_json()
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert (job["state"], job["kind"], job["org_id"], job["priority"]) == ("queued", "upload", "labs", "high")
    assert job["created_at"].endswith("Z")
    assert len(job["created_at"]) == len("2026-01-01T00:00:00.000Z")
    assert job["allowed_verbs"] == ["pause", "stop", "terminate"]
    assert job["progress"]["total"] is None


def test_a_job_comes_in_one_call_with_its_file(api: Api) -> None:
    job = '{"kind":"upload","params":{"dataset":"baseline"}}'
    answer = api.call("POST", "/v1/jobs", **form(file=CSV, job=job))
    assert answer.status_code == 202, answer.text
    assert api.stored(answer.get_json()["id"]).file is not None


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ({"file": CSV}, 422),
        ({"job": '{"kind":"upload","params":{"dataset":"baseline"}}'}, 422),
        ({"file": CSV, "job": "{"}, 400),
        ({"file": CSV, "job": '{"kind":"upload","params":{"dataset":"baseline","file_id":"x"}}'}, 422),
        ({"file": CSV, "job": '{"kind":"upload","params":{"dataset":"baseline","mode":"merge"}}'}, 422),
    ],
)
def test_a_multipart_body_that_is_wrong_makes_nothing(api: Api, parts: dict[str, Any], status: int) -> None:
    problem(api.call("POST", "/v1/jobs", **form(**parts)), status)
    assert api.db.jobs.count_documents({}) == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "surveys"}, "kind"),
        ({"state": "running"}, "state"),
        ({"org_id": "other"}, "org_id"),
        ({"params": {"dataset": "baseline", "file_id": "x", "epoch": 3}}, "params.epoch"),
        ({"params": {"dataset": "$where", "file_id": "x"}}, "params.dataset"),
        ({"params": {"dataset": {"$gt": ""}, "file_id": "x"}}, "params.dataset"),
        ({"start_at": "2026-01-01T00:00:00"}, "start_at"),
        ({"time_limit_seconds": -1}, "time_limit_seconds"),
    ],
)
def test_what_is_wrong_with_a_job_is_named_by_its_field(api: Api, change: dict[str, Any], field: str) -> None:
    body = {**upload(api.file()), **change}
    assert fields(problem(api.post("/v1/jobs", body), 422)) == [field]
    assert api.db.jobs.count_documents({}) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"\xff", b'{"kind": NaN}', b'{"a": 1e400}', b'{"kind":"upload","kind":"upload"}', b'{"a":"\\ud800"}',
        b"[" * 100_000, b'{"a":' * 5_000,
    ],
)  # fmt: skip
def test_what_cannot_be_parsed_is_400(api: Api, body: bytes) -> None:
    answer = api.call("POST", "/v1/jobs", data=body, headers={"Content-Type": "application/json"})
    problem(answer, 400, "malformed_json")


def test_json_that_is_too_long_is_refused_unread(api: Api) -> None:
    answer = api.call("POST", "/v1/jobs", data=b" " * 2_000_000, headers={"Content-Type": "application/json"})
    problem(answer, 413, "too_large")


def test_a_file_or_dataset_that_is_not_there_is_404(api: Api) -> None:
    problem(api.post("/v1/jobs", upload(UNKNOWN_ID)), 404)
    problem(api.post("/v1/jobs", upload(api.file(), params={"dataset": "nothing"})), 404)


def test_a_second_upload_is_told_who_holds_the_dataset(api: Api) -> None:
    first = api.job()["id"]
    found = problem(api.post("/v1/jobs", upload(api.file())), 409, "dataset_held")
    assert found["holder"] == first
    assert api.get("/v1/datasets/baseline").get_json()["locked_by"] == first


def test_a_second_upload_can_wait_behind_the_first(api: Api) -> None:
    first = api.job()["id"]
    second = api.job(params={"on_conflict": "queue"})
    assert second["waiting_for"] == first
    assert api.get(f"/v1/jobs/{second['id']}").get_json()["waiting_for"] == first
    api.verb(first, "stop")
    assert api.get(f"/v1/jobs/{second['id']}").get_json()["waiting_for"] is None


def test_a_second_upload_can_take_the_place_of_the_first(api: Api) -> None:
    first = api.job()["id"]
    second = api.job(params={"on_conflict": "supersede", "supersedes": first})
    assert api.stored(first).state is State.TERMINATED
    assert api.get(f"/v1/jobs/{second['id']}").get_json()["waiting_for"] is None
    found = problem(api.post("/v1/jobs", upload(api.file(), params={"supersedes": first})), 422)
    assert fields(found) == ["params"]


def test_the_same_request_is_done_once_and_answered_alike(api: Api) -> None:
    body = upload(api.file())
    key = {"Idempotency-Key": "one"}
    first = api.post("/v1/jobs", body, headers=key)
    again = api.post("/v1/jobs", body, headers=key)
    assert again.get_json() == first.get_json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Location"] == first.headers["Location"]
    assert api.db.jobs.count_documents({}) == 1
    problem(api.post("/v1/jobs", {**body, "reason": "another"}, headers=key), 422, "idempotency_key_reused")


def test_a_refusal_is_not_kept(api: Api) -> None:
    first = api.job()["id"]
    body, key = upload(api.file()), {"Idempotency-Key": "two"}
    problem(api.post("/v1/jobs", body, headers=key), 409)
    api.verb(first, "stop")
    assert api.post("/v1/jobs", body, headers=key).status_code == 202


def test_while_the_first_is_under_way_the_second_waits(api: Api) -> None:
    body, key = upload(api.file()), {"Idempotency-Key": "three"}
    api.post("/v1/jobs", body, headers=key)
    later = datetime.now(UTC) + timedelta(seconds=60)
    api.db.idempotency.update_many({}, {"$set": {"status": "running", "answer": None, "locked_until": later}})
    answer = api.post("/v1/jobs", body, headers=key)
    problem(answer, 409, "request_in_progress")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_idempotency_key_has_a_length(api: Api, key: str) -> None:
    problem(api.post("/v1/jobs", upload(api.file()), headers={"Idempotency-Key": key}), 400)


def test_pause_is_in_effect_when_it_is_answered(api: Api) -> None:
    job = api.job()["id"]
    answer = api.verb(job, "pause")
    body = answer.get_json()
    assert (answer.status_code, body["state"]) == (202, "paused")
    action = body["last_action"]
    assert action["verb"] == "pause"
    assert action["latency_ms"] >= 0
    assert action["slots_free_at"] == action["effective_at"]
    assert api.db.parts.count_documents({"job_id": job, "status": {"$in": ["queued", "leased"]}}) == 0


def test_tickets_and_pokes_leave_at_once(inside: Api) -> None:
    job = inside.job()["id"]
    assert inside.sender.tickets
    inside.verb(job, "pause")
    assert inside.sender.pokes == [job]
    for other in ("%23", "*", UNKNOWN_ID):
        problem(inside.verb(other, "pause"), 404)
    assert inside.sender.pokes == [job]


def test_a_verb_that_has_happened_is_answered_alike_and_writes_nothing(api: Api) -> None:
    job = api.job()["id"]
    first = api.verb(job, "pause")
    again = api.verb(job, "pause")
    assert again.status_code == 202
    assert again.headers["ETag"] == first.headers["ETag"]
    assert len(api.get(f"/v1/jobs/{job}/audit").get_json()["items"]) == 2
    until = "2030-01-01T00:00:00Z"
    assert api.verb(job, "pause", body={"until": until}).get_json()["until"] == "2030-01-01T00:00:00.000Z"
    assert api.verb(job, "pause").get_json()["until"] is None


def test_a_verb_that_is_not_allowed_says_what_is(api: Api) -> None:
    job = api.job()["id"]
    found = problem(api.verb(job, "resume"), 409, "verb_not_allowed")
    assert (found["state"], found["allowed_verbs"]) == ("queued", ["pause", "stop", "terminate"])
    problem(api.verb(job, "undo", "?validate_only=true"), 409)
    problem(api.verb(job, "restart"), 409)


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "force": True}, {"reason": {"$gt": ""}}])
def test_a_verb_needs_a_reason_and_nothing_else(api: Api, body: dict[str, Any]) -> None:
    job = api.job()["id"]
    problem(api.post(f"/v1/jobs/{job}/pause", body), 422)
    assert api.stored(job).state is State.QUEUED


def test_a_verb_on_an_older_look_is_refused(api: Api) -> None:
    job = api.job()["id"]
    seen = api.get(f"/v1/jobs/{job}").headers["ETag"]
    api.verb(job, "pause")
    problem(api.verb(job, "terminate", headers={"If-Match": seen}), 412, "precondition_failed")
    now = api.get(f"/v1/jobs/{job}").headers["ETag"]
    assert api.verb(job, "terminate", headers={"If-Match": now}).status_code == 202
    problem(api.verb(job, "terminate", headers={"If-Match": "no tag"}), 400)


@pytest.mark.parametrize("job_id", ["%23", "*", "a.b", "x" * 7_000, "%2e%2e%2f", "%00", UNKNOWN_ID])
def test_an_id_that_is_none_is_404(api: Api, job_id: str) -> None:
    problem(api.get(f"/v1/jobs/{job_id}"), 404)
    problem(api.verb(job_id, "pause"), 404)


def test_waiting_ends_when_the_state_is_there_or_the_time_is_up(api: Api) -> None:
    job = api.job()["id"]
    api.verb(job, "pause")
    assert api.get(f"/v1/jobs/{job}?wait_for=rest").get_json()["state"] == "paused"
    assert api.get(f"/v1/jobs/{job}?wait_for=final&timeout_seconds=0.1").get_json()["state"] == "paused"
    assert api.verb(job, "terminate", "?wait_seconds=5").get_json()["state"] == "terminated"
    problem(api.get(f"/v1/jobs/{job}?wait_for=tomorrow"), 422)


def test_what_is_patched_changes_and_the_rest_stays(api: Api) -> None:
    job = api.job()["id"]
    body = {"priority": "low", "max_rows_per_second": 100, "max_rejected": {"rows": 3}}
    changed = api.call("PATCH", f"/v1/jobs/{job}", json=body).get_json()
    assert {name: changed[name] for name in body} == body
    lifted = api.call("PATCH", f"/v1/jobs/{job}", json={"max_rows_per_second": None}).get_json()
    assert (lifted["max_rows_per_second"], lifted["priority"]) == (None, "low")
    refused: list[dict[str, Any]] = [
        {"state": "failed"},
        {"max_rows_per_second": 0},
        {"priority": None},
        {"max_rejected": {}},
    ]
    for wrong in refused:
        problem(api.call("PATCH", f"/v1/jobs/{job}", json=wrong), 422)


def test_a_restart_is_a_new_job_with_the_parents_params(api: Api) -> None:
    parent = api.job(params={"mode": "upsert", "on_conflict": "queue"})["id"]
    api.verb(parent, "stop")
    other = api.file(CSV + b"r-4,Pune,5\n")
    answer = api.verb(parent, "restart", body={"file_id": other, "params": {"max_rejected": {"rows": 9}}})
    child = answer.get_json()
    assert (answer.status_code, child["parent_id"], child["state"]) == (202, parent, "queued")
    assert child["params"]["mode"] == "upsert"
    assert child["params"]["file_id"] == other
    assert child["max_rejected"] == {"rows": 9}
    assert "on_conflict" not in child["params"]


def test_a_restart_takes_a_corrected_file_in_one_call(api: Api) -> None:
    parent = api.job()["id"]
    api.verb(parent, "terminate")
    sent = form(file=CSV, reason="corrected", params='{"mode":"upsert"}')
    answer = api.call("POST", f"/v1/jobs/{parent}/restart", **sent)
    assert answer.status_code == 202, answer.text
    assert answer.get_json()["params"]["mode"] == "upsert"


def test_jobs_are_listed_newest_first_and_in_pages(api: Api) -> None:
    ids = [api.job(params={"on_conflict": "queue"})["id"] for _ in range(5)]
    first = api.get("/v1/jobs?limit=2").get_json()
    second = api.get(f"/v1/jobs?limit=2&cursor={first['next_cursor']}").get_json()
    third = api.get(f"/v1/jobs?limit=2&cursor={second['next_cursor']}").get_json()
    found = [job["id"] for page in (first, second, third) for job in page["items"]]
    assert found == ids[::-1]
    assert third["next_cursor"] is None


def test_jobs_are_found_by_what_they_are(api: Api) -> None:
    one = api.job()["id"]
    two = api.job(params={"on_conflict": "queue"})["id"]
    api.verb(two, "stop")

    def found(query: str) -> list[str]:
        return [job["id"] for job in api.get(f"/v1/jobs?{query}").get_json()["items"]]

    assert found("state=stopped") == [two]
    assert found("state=stopped&state=queued") == [two, one]
    assert found("state=stopped,queued") == [two, one]
    assert found("kind=export") == []
    assert found("created_by=labs operator") == [two, one]
    assert found("q=baseline.csv") == [two, one]
    assert found("q=.*") == []
    assert found("until=2020-01-01T00:00:00Z") == []
    assert found("since=2020-01-01T00:00:00Z") == [two, one]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=0", 422), ("limit=201", 422), ("limit=-1", 422), ("limit=x", 422), ("cursor=x", 400),
        ("cursor=LTE%3D", 400), ("cursor=e30%3D", 400), ("state=gone", 422), ("since=yesterday", 422),
        ("since=2026-01-01T00:00:00", 422), ("order=up", 422), ("cursor=" + "x" * 400, 400),
    ],
)  # fmt: skip
def test_a_list_refuses_what_it_does_not_know(api: Api, query: str, status: int) -> None:
    problem(api.get(f"/v1/jobs?{query}"), status)


def test_the_audit_has_every_move_with_its_number(api: Api) -> None:
    job = api.job(reason="because")["id"]
    api.verb(job, "pause")
    api.verb(job, "resume")
    items = api.get(f"/v1/jobs/{job}/audit").get_json()["items"]
    assert [(item["seq"], item["verb"], item["from"], item["to"]) for item in items] == [
        (1, "create", None, "queued"), (2, "pause", "queued", "paused"), (3, "resume", "paused", "queued"),
    ]  # fmt: skip
    assert items[1]["latency_ms"] >= 0
    assert items[0]["reason"] == "because"
    page = api.get(f"/v1/jobs/{job}/audit?limit=2").get_json()
    rest = api.get(f"/v1/jobs/{job}/audit?limit=2&cursor={page['next_cursor']}").get_json()
    assert page["items"] + rest["items"] == items


def test_the_rows_that_a_paused_job_never_reached_are_the_file(api: Api) -> None:
    job = api.job()["id"]
    problem(api.get(f"/v1/jobs/{job}/unprocessed?format=csv"), 409)
    api.verb(job, "pause")
    answer = api.get(f"/v1/jobs/{job}/unprocessed?format=csv")
    assert answer.data == CSV
    assert answer.mimetype == "text/csv"


def test_rejects_of_a_job_without_any_are_a_header(api: Api) -> None:
    job = api.job()["id"]
    assert api.get(f"/v1/jobs/{job}/rejects").get_json() == {
        "items": [],
        "next_cursor": None,
        "rejected": 0,
        "stored": 0,
    }
    header = b"respondent_id,district,age,row,code,field,message\n"
    assert api.get(f"/v1/jobs/{job}/rejects?format=csv").data == header


def test_a_preview_says_what_would_be_and_makes_nothing(api: Api) -> None:
    holder = api.job()["id"]
    seen = api.post("/v1/jobs?validate_only=true", upload(api.file()))
    body = seen.get_json()
    assert (seen.status_code, body["ok"], body["total_rows"]) == (200, True, 3)
    assert body["conflict"] == {"holder": holder}
    assert [column["mapped_to"] for column in body["columns"]] == ["respondent_id", "district", "age"]
    assert body["rejects"]["estimate"] == 1
    assert body["rejects"]["items"][0]["row"] == 3
    assert api.db.jobs.count_documents({}) == 1
    problem(api.post("/v1/jobs?validate_only=true", upload(UNKNOWN_ID)), 404)
    unknown = api.file(b"respondent_id,nothing\nr-1,x\n")
    wrong = api.post("/v1/jobs?validate_only=true", upload(unknown)).get_json()
    assert (wrong["ok"], wrong["errors"][0]["code"]) == (False, "unknown_column")


def test_a_job_that_must_be_confirmed_waits_for_it(api: Api) -> None:
    job = api.job(confirm="always")
    assert job["state"] == "awaiting_confirmation"
    assert api.get("/v1/datasets/baseline").get_json()["locked_by"] is None
    assert api.verb(job["id"], "confirm").get_json()["state"] == "queued"
    assert api.verb(job["id"], "confirm").status_code == 202


def test_a_job_with_a_time_to_start_holds_nothing_before(api: Api) -> None:
    job = api.job(start_at="2030-01-01T00:00:00Z")
    assert (job["state"], job["start_at"]) == ("queued", "2030-01-01T00:00:00.000Z")
    assert api.db.parts.count_documents({"status": "queued"}) == 0
