"""What taking back would do, for each kind as its jobs mark what they write."""

from integration.gateway.calls import Api
from teamed import succeeded


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
