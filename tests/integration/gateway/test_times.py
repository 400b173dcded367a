"""Times to come: until when a job is paused, when it starts, until when a key is valid."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integration.gateway.calls import UNKNOWN_ID, Api, fields, problem, upload

PAST = ("2020-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2020-01-01T05:30:00+05:30")
LATER = "2999-01-01T12:30:00.000Z"


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def refused(answer: Any, field: str) -> None:
    found = problem(answer, 422, "invalid_input")
    assert fields(found) == [field]
    assert found["errors"][0]["code"] == "in_the_past"


@pytest.mark.parametrize("at", PAST)
def test_a_pause_until_a_time_that_is_past_is_refused_and_changes_nothing(api: Api, at: str) -> None:
    job = api.job()["id"]
    refused(api.verb(job, "pause", body={"until": at}), "until")
    assert (api.stored(job).state.value, api.stored(job).audit_seq) == ("queued", 1)


def test_a_second_ago_is_past_too(api: Api) -> None:
    refused(api.verb(api.job()["id"], "pause", body={"until": ago(1)}), "until")


def test_the_body_is_looked_at_before_the_job(api: Api) -> None:
    refused(api.verb(UNKNOWN_ID, "pause", body={"until": PAST[0]}), "until")


def test_a_paused_job_is_not_paused_until_a_time_that_is_past(api: Api) -> None:
    job = api.job()["id"]
    api.verb(job, "pause", body={"until": LATER})
    refused(api.verb(job, "pause", body={"until": PAST[0]}), "until")
    assert api.get(f"/v1/jobs/{job}").get_json()["until"] == LATER


def test_the_same_pause_again_is_answered_alike_though_its_time_has_come(api: Api) -> None:
    job = api.job()["id"]
    assert api.verb(job, "pause", body={"until": LATER}).status_code == 202
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    api.db.jobs.update_one({"_id": job}, {"$set": {"until": past}})  # nothing resumes it here
    again = api.verb(job, "pause", body={"until": past.isoformat()})
    assert again.status_code == 202
    assert api.stored(job).audit_seq == 2


def test_a_pause_says_until_when_in_its_sentence_and_in_a_field(api: Api) -> None:
    job = api.job()["id"]
    answers = [api.verb(job, "pause", body={"until": LATER}), api.get(f"/v1/jobs/{job}")]
    for found in [answer.get_json() for answer in answers]:
        assert found["until"] == LATER
        assert "it resumes by itself at 2999-01-01 12:30:00 UTC" in found["status"]
    assert api.get("/v1/jobs?state=paused").get_json()["items"][0]["until"] == LATER
    resumed = api.verb(job, "resume").get_json()
    assert (resumed["until"], "resumes" in resumed["status"]) == (None, False)


@pytest.mark.parametrize("verb", ["stop", "terminate"])
def test_a_job_that_is_paused_no_more_resumes_no_more(api: Api, verb: str) -> None:
    job = api.job()["id"]
    api.verb(job, "pause", body={"until": LATER})
    assert api.verb(job, verb).get_json()["until"] is None


@pytest.mark.parametrize("query", ["", "?validate_only=true"])
@pytest.mark.parametrize("at", PAST)
def test_a_start_that_is_past_is_refused(api: Api, at: str, query: str) -> None:
    refused(api.post(f"/v1/jobs{query}", upload(api.file(), start_at=at)), "start_at")
    assert api.db.jobs.count_documents({}) == 0


def test_a_job_that_was_made_before_its_time_is_replayed_after_it(api: Api) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    body, headers = upload(api.file(), start_at=soon), {"Idempotency-Key": "once"}
    first = api.post("/v1/jobs", body, headers=headers)
    assert first.status_code == 202
    while datetime.now(UTC) <= datetime.fromisoformat(soon):
        assert api.get("/healthz", key=None).status_code == 200
    again = api.post("/v1/jobs", body, headers=headers)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    refused(api.post("/v1/jobs", body), "start_at")


@pytest.mark.parametrize("at", PAST)
def test_a_key_that_would_have_ended_already_is_refused(api: Api, at: str) -> None:
    new = {"name": "short", "role": "viewer", "expires_at": at}
    refused(api.post("/v1/keys", new, key="admin"), "expires_at")
    assert api.post("/v1/keys", {**new, "expires_at": LATER}, key="admin").status_code == 201


@pytest.mark.parametrize("kind", ["nothing", "", "Upload", "upload,teams", "%00", "teams%20"])
def test_a_list_of_a_kind_that_does_not_exist_is_refused(api: Api, kind: str) -> None:
    found = problem(api.get(f"/v1/jobs?kind={kind}"), 422, "invalid_input")
    assert (fields(found), found["errors"][0]["code"]) == (["kind"], "unknown_kind")
    assert "upload, export, teams" in found["detail"]


@pytest.mark.parametrize("kind", ["upload", "export", "teams"])
def test_a_list_of_each_kind_is_answered(api: Api, kind: str) -> None:
    api.job()
    assert len(api.get(f"/v1/jobs?kind={kind}").get_json()["items"]) == int(kind == "upload")


@pytest.mark.parametrize("state", ["", ",", "bogus", "queued,bogus", "QUEUED"])
def test_a_list_of_a_state_that_does_not_exist_is_refused(api: Api, state: str) -> None:
    assert fields(problem(api.get(f"/v1/jobs?state={state}"), 422)) == ["state"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/jobs?limit=1&limit=2", "limit"),
        ("/v1/jobs?kind=upload&kind=teams", "kind"),
        ("/v1/jobs/{job}/rejects?format=csv&format=json", "format"),
        ("/v1/jobs/{job}?wait_for=rest&wait_for=final", "wait_for"),
        ("/v1/teams?name=a&name=b", "name"),
    ],
)
def test_a_parameter_that_takes_one_value_is_given_once(api: Api, path: str, name: str) -> None:
    found = problem(api.get(path.format(job=api.job()["id"])), 422, "invalid_input")
    assert [(one["field"], one["code"]) for one in found["errors"]] == [(name, "given_twice")]


def test_a_state_may_stand_several_times(api: Api) -> None:
    api.job()
    assert len(api.get("/v1/jobs?state=queued&state=paused,running").get_json()["items"]) == 1
