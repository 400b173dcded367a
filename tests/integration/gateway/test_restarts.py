"""A restart is asked for as its parent was, with what was changed since; and it names what the parent has written."""

import hashlib
from typing import Any

import pytest

from collect.jobs.states import State, Verb
from collect.runtime import reasons
from collect.storage.object_store import GridFsBlobs
from gateway.jobs import restart
from gateway.schemas.requests import RestartBody
from integration.gateway.calls import Api, fields, form, problem, upload
from support.corrections import CorrectedJob

ROWS = 6
DATA = b"respondent_id,district,age\n" + b"".join(b"r-%d,Pune,%d\n" % (n, n) for n in range(1, ROWS + 1))
LIMITS = ("priority", "max_rows_per_second", "max_rejected", "time_limit_seconds")


def made(api: Api, job_id: str) -> CorrectedJob:
    """The job, run by hand. Its file is as it was sent, which is none of these tests' business."""
    api.db.jobs.update_one({"_id": job_id}, {"$set": {"file.sha256": ""}})
    return CorrectedJob(db=api.db, blobs=GridFsBlobs(db=api.db), job_id=job_id, dataset="baseline")


def begun(api: Api, **body: Any) -> CorrectedJob:
    job = made(api, api.job(file_id=api.file(DATA), **body)["id"])
    job.plan()
    return job


def stopped(api: Api, *, rows: int, **body: Any) -> CorrectedJob:
    job = begun(api, **body)
    job.step(0, size=1, chunks=rows)
    job.ask(Verb.STOP)
    assert len(job.rows()) == rows
    return job


def restarted(api: Api, job_id: str, **body: Any) -> dict[str, Any]:
    answer = api.verb(job_id, "restart", body=body)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def limits(job: dict[str, Any]) -> dict[str, Any]:
    return {name: job[name] for name in LIMITS}


STARTED: dict[str, Any] = {"priority": "high", "max_rows_per_second": 500.0, "time_limit_seconds": 90.0}


def test_what_a_job_was_started_with_is_kept(api: Api) -> None:
    parent = api.job(**STARTED, params={"max_rejected": {"rows": 3}, "mode": "upsert"})
    api.verb(parent["id"], "terminate")
    child = restarted(api, parent["id"])
    assert limits(child) == {**STARTED, "max_rejected": {"rows": 3}}
    assert child["params"] == parent["params"]


def test_what_it_was_changed_to_since_wins(api: Api) -> None:
    job = api.job(**STARTED, params={"max_rejected": {"rows": 3}})["id"]
    changed = {"priority": "low", "max_rows_per_second": 7.5, "max_rejected": {"percent": 50}}
    assert api.call("PATCH", f"/v1/jobs/{job}", json=changed).status_code == 200
    api.verb(job, "terminate")
    child = restarted(api, job)
    assert limits(child) == {**changed, "time_limit_seconds": 90.0, "max_rejected": {"percent": 50.0}}
    assert child["params"]["max_rejected"] == {"percent": 50.0}
    grandchild = _terminated_and_restarted(api, child["id"])
    assert limits(grandchild) == limits(child)


def _terminated_and_restarted(api: Api, job_id: str, **body: Any) -> dict[str, Any]:
    api.verb(job_id, "terminate")
    return restarted(api, job_id, **body)


def test_a_limit_of_rejects_that_resume_has_set_is_kept(api: Api) -> None:
    job = api.job()["id"]
    api.verb(job, "pause")
    assert api.verb(job, "resume", body={"max_rejected": {"rows": 9}}).status_code == 202
    child = _terminated_and_restarted(api, job)
    assert (child["max_rejected"], child["params"]["max_rejected"]) == ({"rows": 9}, {"rows": 9})


def test_a_limit_that_was_taken_away_stays_away(api: Api) -> None:
    job = api.job(max_rows_per_second=5.0)["id"]
    api.call("PATCH", f"/v1/jobs/{job}", json={"max_rows_per_second": None, "max_rejected": None})
    child = _terminated_and_restarted(api, job)
    assert (child["max_rows_per_second"], child["max_rejected"]) == (None, None)


@pytest.mark.parametrize("as_form", [False, True])
def test_the_request_may_say_otherwise(api: Api, as_form: bool) -> None:
    job = api.job(**STARTED, params={"max_rejected": {"rows": 3}})["id"]
    api.verb(job, "terminate")
    if as_form:
        sent = form(
            file=DATA, reason="x", priority="low", max_rows_per_second="20", params='{"max_rejected":{"rows":1}}'
        )
        child = api.call("POST", f"/v1/jobs/{job}/restart", **sent).get_json()
    else:
        child = restarted(api, job, priority="low", max_rows_per_second=20, params={"max_rejected": {"rows": 1}})
    assert limits(child) == {
        "priority": "low", "max_rows_per_second": 20.0, "max_rejected": {"rows": 1}, "time_limit_seconds": 90.0,
    }  # fmt: skip
    if not as_form:
        child = _terminated_and_restarted(api, child["id"], max_rows_per_second=None, time_limit_seconds=None)
        assert (child["max_rows_per_second"], child["time_limit_seconds"]) == (None, None)


@pytest.mark.parametrize(
    "body", [{"priority": "urgent"}, {"max_rows_per_second": 0}, {"confirm": "maybe"}, {"until": None}]
)
def test_what_cannot_be_is_refused(api: Api, body: dict[str, Any]) -> None:
    job = api.job()["id"]
    api.verb(job, "terminate")
    for query in ("", "?validate_only=true"):
        assert fields(problem(api.verb(job, "restart", query, body=body), 422)) == [next(iter(body))]


@pytest.mark.parametrize(
    ("confirm", "state"), [("always", "awaiting_confirmation"), ("never", "queued"), ("auto", "queued")]
)
def test_the_rule_of_confirmation_is_kept(api: Api, confirm: str, state: str) -> None:
    job = api.job(confirm=confirm)["id"]
    assert api.stored(job).state.value == state
    api.verb(job, "stop")
    child = restarted(api, job)
    assert child["state"] == state
    assert _stopped_and_restarted(api, child["id"], confirm="always")["state"] == "awaiting_confirmation"


def _stopped_and_restarted(api: Api, job_id: str, **body: Any) -> dict[str, Any]:
    api.verb(job_id, "stop")
    return restarted(api, job_id, **body)


def test_a_job_of_the_release_before_is_restarted_as_if_nothing_had_been_asked(api: Api) -> None:
    job = api.job()["id"]
    api.db.jobs.update_one({"_id": job}, {"$unset": {"confirm": ""}})
    assert _terminated_and_restarted(api, job)["state"] == "queued"


def test_a_preview_of_a_restart_names_the_rows_of_its_parent_and_starts_nothing(api: Api) -> None:
    parent = stopped(api, rows=4)
    before = api.db.jobs.count_documents({})
    preview = api.verb(parent.job_id, "restart", "?validate_only=true").get_json()
    warning = preview["warnings"][0]
    assert (warning["code"], warning["evidence"]) == (
        "rows_of_parent",
        {"job_id": parent.job_id, "rows": 4, "unprocessed": f"/v1/jobs/{parent.job_id}/unprocessed?format=csv"},
    )
    assert f"4 rows of job {parent.job_id}" in warning["message"]
    assert f"collect jobs undo {parent.job_id}" in warning["message"]
    assert api.db.jobs.count_documents({}) == before
    other = api.verb(parent.job_id, "restart", "?validate_only=true", body={"params": {"mode": "upsert"}}).get_json()
    assert "rows_of_parent" not in [one["code"] for one in other["warnings"]]


def test_a_preview_of_a_restart_keeps_the_file_that_came_along(api: Api) -> None:
    parent = api.job()["id"]
    api.verb(parent, "terminate")
    path = f"/v1/jobs/{parent}/restart"
    preview = api.call("POST", f"{path}?validate_only=true", **form(file=DATA, reason="x")).get_json()
    assert (preview["total_rows"], preview["warnings"]) == (ROWS, [])
    child = restarted(api, parent, file_id=preview["file"]["id"])
    assert child["file"]["sha256"] == preview["file"]["sha256"]


def test_a_restart_whose_rows_are_duplicates_names_its_parent_and_what_to_do(api: Api) -> None:
    parent = stopped(api, rows=4)
    child = made(api, restarted(api, parent.job_id, params={"max_rejected": {"rows": 2}})["id"])
    child.plan()
    child.step(0, size=1, chunks=3)
    said = {row: reject["message"] for row, reject in child.rejected().items()}
    assert said[1] == f"respondent_id 'r-1' was written by job {parent.job_id}, which this job restarts."
    reason = reasons.over_limit(api.db, child.job, child.task)
    assert reason is not None
    assert reason.hint is not None
    for words in (
        f"3 of the rejected rows were written by job {parent.job_id}",
        f"GET /v1/jobs/{parent.job_id}/unprocessed?format=csv",
        f"undo job {parent.job_id}",
        "Resume accepts the rejects so far",
    ):
        assert words in reason.hint
    assert "Are its columns the right ones?" not in reason.hint


def test_a_restart_of_a_restart_names_the_job_that_has_written_the_rows(api: Api) -> None:
    first = stopped(api, rows=2)
    second = restarted(api, first.job_id)
    api.verb(second["id"], "stop")
    third = made(api, restarted(api, second["id"])["id"])
    third.plan()
    third.run()
    assert (third.job.state, third.counts) == (State.SUCCEEDED, (4, 2))
    assert first.job_id in third.rejected()[1]["message"]


def test_a_duplicate_of_a_row_that_others_wrote_names_no_parent(api: Api) -> None:
    other = begun(api)
    other.run()
    parent = begun(api, params={"max_rejected": {"rows": 100}})
    parent.ask(Verb.STOP)
    child = made(api, restarted(api, parent.job_id)["id"])
    child.plan()
    child.step(0, size=1, chunks=2)
    assert child.rejected()[1]["message"] == "respondent_id 'r-1' is there already."
    child.db.jobs.update_one({"_id": child.job_id}, {"$set": {"max_rejected": {"rows": 0}}})
    reason = reasons.over_limit(api.db, child.job, child.task)
    assert reason is not None
    assert parent.job_id not in (reason.hint or "")


def test_the_rows_that_a_stopped_job_never_reached_can_be_restarted_with(api: Api) -> None:
    """The way that the hint shows."""
    parent = stopped(api, rows=4)
    rest = api.get(f"/v1/jobs/{parent.job_id}/unprocessed?format=csv").data
    answer = api.call("POST", f"/v1/jobs/{parent.job_id}/restart", **form(file=rest, reason="the rest"))
    child = made(api, answer.get_json()["id"])
    child.plan()
    child.run()
    assert (child.counts, len(child.rows())) == ((2, 0), ROWS)


def test_a_body_that_the_release_before_knows_is_the_same_request() -> None:
    assert restart.known_before(RestartBody(reason="x")) == {"reason": "x", "file_id": None, "params": None}


GUARDED = b"respondent_id,district\nr-1,'=1\n"
OTHER = b"respondent_id,district\nr-2,'=kept\n"


def exported(api: Api, data: bytes, *, formula_safe: bool = True) -> str:
    """Store an export whose result are these bytes; return its id."""
    job = f"export-{formula_safe}".lower()
    result = {"sha256": hashlib.sha256(data).hexdigest()}
    params = {"format": "csv", "formula_safe": formula_safe}
    api.db.jobs.insert_one({"_id": job, "org_id": "labs", "kind": "export", "params": params, "result": result})
    return job


def of_export(api: Api, **params: Any) -> dict[str, Any]:
    exported(api, GUARDED)
    job = api.job(file_id=api.file(GUARDED), params=params)
    api.verb(job["id"], "terminate")
    return job


@pytest.mark.parametrize("way", ["file_id", "params", "multipart"])
def test_what_was_detected_is_judged_anew_for_another_file(api: Api, way: str) -> None:
    parent = of_export(api)
    assert (parent["params"]["formula_guarded"], parent["params"]["not_finite"]) == (True, True)
    path = f"/v1/jobs/{parent['id']}/restart"

    def body() -> dict[str, Any]:
        if way == "multipart":
            return form(file=OTHER, reason="a test")
        named = {"file_id": api.file(OTHER)}
        return {"json": {"reason": "a test", **(named if way == "file_id" else {"params": named})}}

    seen = api.call("POST", f"{path}?validate_only=true", **body()).get_json()
    assert "guarded_text" in [warning["code"] for warning in seen["warnings"]]
    child = api.call("POST", path, **body())
    assert child.status_code == 202, child.text
    assert not {"formula_guarded", "not_finite"} & child.get_json()["params"].keys()


def test_what_was_detected_is_kept_for_the_same_file_and_dropped_by_its_grandchild(api: Api) -> None:
    parent = of_export(api)
    api.db.jobs.delete_one({"_id": "export-true"})
    child = restarted(api, parent["id"])
    assert (child["params"]["formula_guarded"], child["params"]["not_finite"]) == (True, True)
    grandchild = _terminated_and_restarted(api, child["id"], file_id=api.file(OTHER))
    assert not {"formula_guarded", "not_finite"} & grandchild["params"].keys()


def test_what_was_given_holds_for_another_file(api: Api) -> None:
    parent = of_export(api, formula_guarded=True)
    child = restarted(api, parent["id"], file_id=api.file(OTHER))
    assert child["params"]["formula_guarded"] is True
    assert "not_finite" not in child["params"]


def test_the_preview_says_that_a_file_is_known_as_an_export(api: Api) -> None:
    export = exported(api, GUARDED)
    (known,) = previewed(api)
    assert (known["code"], known["evidence"]["job_id"]) == ("known_export", export)
    assert known["evidence"]["params"] == {"formula_guarded": True, "not_finite": True}
    assert previewed(api, formula_guarded=False, not_finite=False) == []


def test_nothing_is_taken_off_where_exports_with_and_without_guards_wrote_the_same(api: Api) -> None:
    exported(api, GUARDED)
    exported(api, GUARDED, formula_safe=False)
    known, guarded = previewed(api)
    assert (known["code"], guarded["code"]) == ("known_export", "guarded_text")
    assert "nothing is taken off" in known["message"]
    assert "formula_guarded" not in api.job(file_id=api.file(GUARDED))["params"]


def previewed(api: Api, **params: Any) -> list[dict[str, Any]]:
    """Return the warnings of an upload's preview."""
    answer = api.post("/v1/jobs?validate_only=true", upload(api.file(GUARDED), params=params))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["warnings"]
    return found
