"""Asking for exports: what they are made from, what is refused, what a preview says, and which wait to be confirmed."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collect.admin.sending import send
from collect.client import CollectClient
from collect.demo import responses, survey
from collect.demo.responses import Batch
from collect.exporting import formats
from collect.exporting.selection import select
from collect.jobs.export_formats import FORMATS
from collect.jobs.states import State
from collect.protocol import maintenance
from collect.storage import estimates, forms, usual_range
from collect.storage.object_store import GridFsBlobs
from integration.gateway.calls import CSV, Api, fields, form, problem
from integration.gateway.conftest import Running
from support import exported

ROWS = 2_000
FORM = survey.FORM_ID
WHOLE = {"from_date": "2015-08-01", "to_date": "2018-01-01"}
USUAL = {"from_date": "2017-08-01", "to_date": "2018-01-01"}


@pytest.fixture(autouse=True)
def seeded(api: Api) -> None:
    for org_id in ("labs", "other"):
        forms.ensure(api.db, survey.form(org_id))
    add(api, ROWS)


def add(api: Api, rows: int) -> None:
    first = responses.prepare(api.db, org_id="labs")
    send(api.db.responses, responses.blocks(Batch(org_id="labs", rows=rows, first=first)), report=lambda _: None)


def export(params: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    return {"kind": "export", "params": {"form_id": FORM, **(params or {})}, **body}


def asked(api: Api, params: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    answer = api.post("/v1/jobs", export(params, **body))
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def previewed(api: Api, params: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    answer = api.post("/v1/jobs?validate_only=true", export(params, **body))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def threshold(api: Api, rows: int) -> None:
    limits = {"limits": {"confirm_threshold_rows": rows}}
    assert api.call("PATCH", "/v1/organisation", json=limits, key="admin").status_code == 200


def test_an_export_has_no_file_no_lock_and_no_limit_of_rejects(api: Api) -> None:
    at = "2030-01-01T00:00:00.000Z"
    job = asked(api, USUAL, reason="weekly", priority="high", start_at=at, time_limit_seconds=60.0)
    assert (job["kind"], job["state"], job["priority"], job["start_at"]) == ("export", "queued", "high", at)
    assert job["params"] == {"form_id": FORM, **USUAL, "format": "csv", "formula_safe": True}
    assert (job["file"], job["max_rejected"], job["time_limit_seconds"]) == (None, None, 60)
    assert api.stored(job["id"]).lock is None


def test_its_work_goes_to_the_queue_of_exports(inside: Api) -> None:
    asked(inside, USUAL)
    assert [entry.routing_key for entry in inside.sender.entries if entry.exchange == "collect.jobs"] == ["export"]


def test_a_form_that_is_not_there_is_not_found(api: Api) -> None:
    problem(api.post("/v1/jobs", export({"form_id": "none"})), 404, "not_found")
    problem(api.post("/v1/jobs?validate_only=true", export({"form_id": "none"})), 404, "not_found")
    api.db["forms"].delete_one({"_id": f"labs:{FORM}"})
    problem(api.post("/v1/jobs", export()), 404)
    assert api.db.jobs.count_documents({}) == 0


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"from_date": "2018-01-01", "to_date": "2017-08-01"}, "params.from_date"),
        ({"from_date": "2099-01-01"}, "params.from_date"),
        ({"from_date": "2017-08-01T00:00:00"}, "params.from_date"),
        ({"from_date": "2017-02-29"}, "params.from_date"),
        ({"to_date": {"$gt": ""}}, "params.to_date"),
        ({"columns": ["age", "nonsense"]}, "params.columns"),
        ({"columns": []}, "params.columns"),
        ({"format": "xlsx"}, "params.format"),
        ({"formula_safe": "yes"}, "params.formula_safe"),
        ({"file_id": "01k"}, "params.file_id"),
        ({"filters": [{"field": "age", "op": "gt", "value": {"$gt": ""}}]}, "params.filters.0.value"),
        ({"filters": [{"field": "$where", "op": "eq", "value": "1"}]}, "params.filters.0.field"),
        ({"filters": [{"field": "age", "op": "regex", "value": ".*"}]}, "params.filters.0.op"),
        ({"filters": [{"field": "age", "op": "$ne", "value": 1}]}, "params.filters.0.op"),
        ({"filters": [{"field": "age", "op": "eq", "value": 1, "options": "i"}]}, "params.filters.0.options"),
        ({"filters": [{"field": "age", "op": "eq", "value": 1}] * 51}, "params.filters"),
    ],
)
def test_what_is_wrong_with_an_export_is_named_by_its_field(api: Api, params: dict[str, Any], field: str) -> None:
    for query in ("", "?validate_only=true"):
        assert fields(problem(api.post(f"/v1/jobs{query}", export(params)), 422)) == [field]
    assert api.db.jobs.count_documents({}) == 0


def test_a_file_that_comes_along_is_refused_and_not_kept(api: Api) -> None:
    job = f'{{"kind": "export", "params": {{"form_id": "{FORM}"}}}}'
    for query in ("", "?validate_only=true"):
        found = problem(api.call("POST", f"/v1/jobs{query}", **form(file=CSV, job=job)), 422)
        assert fields(found) == ["file"]
    made = asked(api)["id"]
    api.verb(made, "stop")
    again = api.call("POST", f"/v1/jobs/{made}/restart", **form(file=CSV, reason="a test"))
    assert fields(problem(again, 422)) == ["file"]
    assert fields(problem(api.verb(made, "restart", body={"file_id": "x"}), 422)) == ["params.file_id"]
    assert api.db.files.count_documents({}) == 0
    assert api.db["blobs.files"].count_documents({}) == 0


def test_the_same_key_asks_for_one_export(api: Api) -> None:
    key = {"Idempotency-Key": "monday"}
    first, again = (api.post("/v1/jobs", export(USUAL), headers=key) for _ in range(2))
    assert first.get_json()["id"] == again.get_json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    problem(api.post("/v1/jobs", export(WHOLE), headers=key), 422, "idempotency_key_reused")
    assert api.db.jobs.count_documents({}) == 1


def test_a_restart_has_the_params_of_its_parent_with_those_that_are_given(api: Api) -> None:
    parent = asked(api, {**WHOLE, "columns": ["age"], "format": "jsonl"}, priority="low")
    api.verb(parent["id"], "stop")
    child = api.verb(parent["id"], "restart", body={"params": {"from_date": "2017-08-01"}}).get_json()
    assert child["params"] == {**parent["params"], "from_date": "2017-08-01"}
    assert (child["parent_id"], child["priority"]) == (parent["id"], "low")


def test_an_export_is_found_by_its_form(api: Api) -> None:
    job = asked(api)["id"]
    assert [found["id"] for found in api.get("/v1/jobs?q=household").get_json()["items"]] == [job]
    assert [found["id"] for found in api.get("/v1/jobs?kind=export").get_json()["items"]] == [job]


def test_an_export_has_no_rows_of_a_file_to_give_and_nothing_to_restore(api: Api) -> None:
    job = asked(api)["id"]
    api.verb(job, "stop")
    assert api.get(f"/v1/jobs/{job}/rejects").get_json()["items"] == []
    problem(api.get(f"/v1/jobs/{job}/rejects?format=csv"), 409, "no_file")
    problem(api.get(f"/v1/jobs/{job}/unprocessed"), 409, "no_file")
    would = api.verb(job, "undo", "?validate_only=true").get_json()
    assert would == {"will_delete": 0, "will_restore": 0, "conflicts": 0, "seconds": 0.0}


@pytest.mark.parametrize("format_", FORMATS)
def test_a_preview_counts_the_rows_and_weighs_them(api: Api, format_: str) -> None:
    seen = previewed(api, {**WHOLE, "format": format_})
    chosen = select({**WHOLE, "format": format_}, survey.form("labs"), created_at=datetime.now(UTC))
    raw, rows = estimates.samples(api.db, chosen, places=1, rows=ROWS)
    assert rows <= ROWS
    whole = len(formats.header(chosen)) + len(formats.render(chosen, [raw]).data) * ROWS / rows
    assert (seen["total_rows"], seen["exact"], seen["ok"], seen["conflict"]) == (ROWS, True, True, None)
    assert seen["bytes"] == pytest.approx(whole, rel=0.25 if format_ in ("csv", "jsonl") else 1.0)
    assert (seen["confirm_required"], seen["warnings"], seen["errors"]) == (False, [], [])
    assert [column["name"] for column in seen["columns"]] == list(survey.form("labs").names)
    assert api.db.jobs.count_documents({}) == 0


def test_a_preview_counts_what_filters_and_dates_let_through(api: Api) -> None:
    flagged = [{"field": "review_status", "op": "eq", "value": "flagged"}]
    query = {"review_status": "flagged", "submitted_at": {"$gte": datetime(2017, 8, 1, tzinfo=UTC)}}
    seen = previewed(api, {**USUAL, "filters": flagged, "columns": ["response_id", "age"]})
    assert (seen["total_rows"], seen["exact"]) == (api.db["responses"].count_documents(query), True)
    assert seen["columns"] == [{"name": "response_id", "type": "string"}, {"name": "age", "type": "integer"}]
    assert previewed(api, {"from_date": "2014-01-01", "to_date": "2014-02-01"})["total_rows"] == 0


def test_a_preview_of_another_organisation_s_form_counts_its_own_responses(api: Api) -> None:
    answer = api.post("/v1/jobs?validate_only=true", export(), key="other operator")
    assert answer.get_json()["total_rows"] == 0


def test_an_export_over_the_threshold_waits_and_says_how_many_rows_it_has(api: Api) -> None:
    threshold(api, ROWS - 1)
    job = asked(api, WHOLE)
    assert (job["state"], job["allowed_verbs"]) == ("awaiting_confirmation", ["confirm", "stop", "terminate"])
    assert job["reason"]["code"] == "confirmation_required"
    assert job["reason"]["message"] == "2,000 rows would be exported; the threshold is 1,999."
    assert job["reason"]["hint"]
    assert previewed(api, WHOLE)["confirm_required"]
    assert api.db.parts.count_documents({"status": "queued"}) == 0
    confirmed = api.verb(job["id"], "confirm").get_json()
    assert (confirmed["state"], confirmed["reason"]) == ("queued", None)
    assert api.db.parts.count_documents({"status": "queued"}) == 1


def test_an_export_at_the_threshold_starts_at_once(api: Api) -> None:
    threshold(api, ROWS)
    assert asked(api, WHOLE)["state"] == "queued"
    assert not previewed(api, WHOLE)["confirm_required"]


def test_only_rows_that_filters_let_through_count(api: Api) -> None:
    threshold(api, ROWS // 2)
    flagged = [{"field": "review_status", "op": "eq", "value": "flagged"}]
    assert asked(api, {"filters": flagged})["state"] == "queued"
    others = [{"field": "review_status", "op": "ne", "value": "flagged"}]
    assert asked(api, {"filters": others})["state"] == "awaiting_confirmation"


def test_never_skips_the_gate_and_always_shuts_it(api: Api) -> None:
    threshold(api, 10)
    assert asked(api, confirm="never")["state"] == "queued"
    assert not previewed(api, confirm="never")["confirm_required"]
    threshold(api, ROWS)
    job = asked(api, confirm="always")
    assert job["state"] == "awaiting_confirmation"
    assert job["reason"]["message"] == "2,000 rows would be exported; a confirmation was asked for."
    assert previewed(api, confirm="always")["confirm_required"]


def test_uploads_are_never_over_the_threshold(api: Api) -> None:
    threshold(api, 0)
    assert api.job()["state"] == "queued"


def test_an_export_that_nobody_confirms_stops_by_itself(api: Api) -> None:
    threshold(api, 10)
    job = asked(api, WHOLE)["id"]
    now = datetime.now(UTC)
    assert [found.id for found, _ in maintenance.due(api.db, now + timedelta(hours=23, minutes=59))] == []
    for _, do in maintenance.due(api.db, now + timedelta(hours=24, minutes=1)):
        do()
    stopped = api.get(f"/v1/jobs/{job}").get_json()
    assert (stopped["state"], stopped["reason"]["code"]) == ("stopped", "confirmation_expired")


def test_a_restart_over_the_threshold_waits_too(api: Api) -> None:
    parent = asked(api, USUAL)["id"]
    api.verb(parent, "stop")
    threshold(api, ROWS - 1)
    again = api.verb(parent, "restart", body={"params": WHOLE}).get_json()
    assert State(again["state"]) is State.AWAITING_CONFIRMATION


def has_exported(api: Api, rows: int, params: dict[str, Any], times: int, *, key: str = "operator") -> None:
    """Exports of so many rows that the key has asked for."""
    for _ in range(times):
        job = api.post("/v1/jobs", export(params, confirm="never"), key=key).get_json()["id"]
        api.db.jobs.update_one({"_id": job}, {"$set": {"total_rows": rows}})


def test_a_range_far_above_the_usual_one_is_told_with_the_usual_one(api: Api) -> None:
    add(api, 11_000)
    has_exported(api, 200, {"from_date": "2017-11-01"}, 2)
    has_exported(api, 2_000, USUAL, 3)
    has_exported(api, 9_000, {"from_date": "2016-01-01"}, 1)
    (warning,) = previewed(api, WHOLE)["warnings"]
    assert (warning["code"], warning["suggestion"]) == ("range_unusual", USUAL)
    assert "13,000" in warning["message"]
    assert "2,000" in warning["message"]
    threshold(api, 12_000)
    hint = asked(api, WHOLE)["reason"]["hint"]
    assert warning["message"] in hint
    repaired = asked(api, {**WHOLE, **warning["suggestion"]})
    assert (repaired["state"], repaired["params"]["from_date"]) == ("queued", "2017-08-01")


@pytest.mark.parametrize(
    ("rows", "times", "key"),
    [(2_000, 4, "operator"), (5_000, 9, "operator"), (10, 5, "admin")],
    ids=["fewer than five", "by fewer times", "another key's"],
)
def test_a_range_is_not_unusual(api: Api, rows: int, times: int, key: str) -> None:
    add(api, 11_000)
    has_exported(api, rows, USUAL, times, key=key)
    assert previewed(api, WHOLE)["warnings"] == []


def test_a_small_organisation_has_unusual_ranges_too(api: Api) -> None:
    has_exported(api, ROWS // 10, USUAL, 5)
    (warning,) = previewed(api, WHOLE)["warnings"]
    assert warning["code"] == "range_unusual"


def test_a_few_hundred_rows_more_are_not_unusual(api: Api) -> None:
    some = {"from_date": "2017-10-01", "to_date": "2018-01-01"}
    rows = previewed(api, some)["total_rows"]
    assert 0 < rows < usual_range.MORE_ROWS
    has_exported(api, rows // 10, some, 5)
    assert previewed(api, some)["warnings"] == []


def test_only_the_last_twenty_exports_tell_what_is_usual(api: Api) -> None:
    add(api, 11_000)
    has_exported(api, 10, USUAL, 3)
    has_exported(api, 12_000, WHOLE, 20)
    assert previewed(api, WHOLE)["warnings"] == []


def test_the_client_previews_asks_confirms_and_downloads(api: Api, running: Running, tmp_path: Path) -> None:
    threshold(api, 10)
    blobs = GridFsBlobs(db=api.db)
    made = exported.succeeded(api.db, blobs)
    target, partial = tmp_path / "a.csv", tmp_path / "a.csv.part"
    with CollectClient(url=running.system.url, api_key=api.keys["operator"]) as client:
        seen = client.jobs.preview("export", {"form_id": FORM})
        assert (seen.total_rows, seen.exact, seen.confirm_required) == (ROWS, True, True)
        job = client.jobs.create("export", {"form_id": FORM})
        assert job.reason is not None
        assert job.reason.code == "confirmation_required"
        assert client.jobs.confirm(job.id, reason="it is wanted").state is State.QUEUED
        partial.write_bytes(exported.WHOLE[:20])
        assert client.jobs.download(made.id, target) == len(exported.WHOLE)
        manifest = client.jobs.manifest(made.id)
    assert target.read_bytes() == exported.WHOLE
    assert not partial.exists()
    assert manifest.sha256 == hashlib.sha256(exported.WHOLE).hexdigest()
    assert [part.n for part in manifest.parts] == [1, 3]
