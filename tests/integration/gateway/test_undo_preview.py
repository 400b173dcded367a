"""What taking back would do, for each kind as its jobs mark what they write."""

from datetime import UTC, datetime, timedelta

import pytest

from integration.gateway import corrected
from integration.gateway.calls import Api, problem
from support.corrections import CorrectedJob
from support.team_jobs import succeeded


def would_undo(api: Api, job_id: str) -> dict[str, object]:
    answer = api.verb(job_id, "undo", "?validate_only=true")
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.get_json().items() if name != "seconds"}


def test_teams_are_counted_by_the_mark_of_the_job(api: Api) -> None:
    job = succeeded(api.db)
    assert would_undo(api, job.id) == {"will_delete": 5, "will_restore": 0, "conflicts": 0}
    api.db.teams.update_one({"values.team_name": "c"}, {"$set": {"written_by": "somebody:1:0"}})
    api.db.teams.delete_one({"values.team_name": "d"})
    assert would_undo(api, job.id) == {"will_delete": 3, "will_restore": 0, "conflicts": 2}


def test_teams_that_were_changed_would_be_restored(api: Api) -> None:
    job = succeeded(api.db)
    api.db.parts.update_one({"job_id": job.id, "n": 1}, {"$set": {"counts.created": 1, "counts.changed": 2}})
    assert would_undo(api, job.id) == {"will_delete": 3, "will_restore": 2, "conflicts": 0}
    api.db.parts.update_one({"job_id": job.id, "n": 1}, {"$set": {"counts.created": 0, "counts.changed": 3}})
    api.db.parts.update_one({"job_id": job.id, "n": 2}, {"$set": {"counts.created": 0, "counts.changed": 2}})
    api.db.teams.update_one({"values.team_name": "c"}, {"$set": {"written_by": "somebody:1:0"}})
    assert would_undo(api, job.id) == {"will_delete": 0, "will_restore": 4, "conflicts": 1}


@pytest.mark.parametrize("verb", ["undo", "terminate"])
def test_a_look_at_what_a_verb_would_do_is_refused_as_the_verb_is(api: Api, verb: str) -> None:
    job = api.job()["id"]
    seen = api.get(f"/v1/jobs/{job}").headers["ETag"]
    if verb == "undo":
        problem(api.verb(job, verb, "?validate_only=true"), 409, "verb_not_allowed")
    api.verb(job, "stop" if verb == "undo" else "pause")
    earlier = api.verb(job, verb, "?validate_only=true", headers={"If-Match": seen})
    problem(earlier, 412, "precondition_failed")
    now = api.get(f"/v1/jobs/{job}").headers["ETag"]
    assert api.verb(job, verb, "?validate_only=true", headers={"If-Match": now}).status_code == 200


def test_a_verb_that_has_happened_already_is_looked_at_as_it_is_answered(api: Api) -> None:
    made = corrected.succeeded(api)
    api.verb(made.job_id, "undo")
    assert api.get(f"/v1/jobs/{made.job_id}").get_json()["state"] == "undoing"
    assert would_undo(api, made.job_id) == {"will_delete": 2, "will_restore": 0, "conflicts": 0}
    problem(api.verb(made.job_id, "terminate", "?validate_only=true"), 409, "verb_not_allowed")
    behind = api.job(params={"on_conflict": "queue"})["id"]
    assert api.verb(behind, "terminate").get_json()["state"] == "terminated"
    again = api.verb(behind, "terminate", "?validate_only=true")
    assert (again.status_code, again.get_json()["will_delete"]) == (200, 0)


def test_who_holds_the_dataset_meanwhile_is_told(api: Api) -> None:
    made = corrected.succeeded(api)
    holder = api.job()["id"]
    counts = {"will_delete": 2, "will_restore": 0, "conflicts": 0}
    assert would_undo(api, made.job_id) == {**counts, "conflict": {"holder": holder}}
    assert problem(api.verb(made.job_id, "undo"), 409, "dataset_held")["holder"] == holder
    api.verb(holder, "stop")
    assert would_undo(api, made.job_id) == counts


def test_who_holds_the_dataset_that_an_undo_of_what_was_left_needs_is_told(api: Api) -> None:
    made = with_a_conflict_left(api)
    counts = {"will_delete": 0, "will_restore": 0, "conflicts": 1}
    assert would_undo(api, made.job_id) == counts
    holder = api.job()["id"]
    assert would_undo(api, made.job_id) == {**counts, "conflict": {"holder": holder}}
    assert problem(api.verb(made.job_id, "undo"), 409, "dataset_held")["holder"] == holder


def test_a_look_at_what_was_left_is_refused_after_the_time_for_undo_as_the_undo_is(api: Api) -> None:
    made = with_a_conflict_left(api)
    past = datetime.now(UTC) - timedelta(seconds=1)
    api.db.jobs.update_one({"_id": made.job_id}, {"$set": {"undo_until": past}})
    for query in ("", "?validate_only=true"):
        problem(api.verb(made.job_id, "undo", query), 409, "verb_not_allowed")


def with_a_conflict_left(api: Api) -> CorrectedJob:
    """A job that has been undone, but for a row that somebody else had changed."""
    made = corrected.succeeded(api)
    api.db.rows.update_one({"values.respondent_id": "r-1"}, {"$set": {"written_by": "somebody:1:0"}})
    api.verb(made.job_id, "undo")
    made.run()
    job = made.job
    assert (job.state, job.conflicts) == ("undone", 1)
    return made
