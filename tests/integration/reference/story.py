"""Every call of the API at least once, in an order in which each has something to answer."""

import json

from collect.testing.system import eventually
from integration.gateway.calls import UNKNOWN_ID
from integration.reference.recording import Book

LATER = "2099-01-01T06:00:00.000Z"
VISITS = (
    "visit_id,village,visited_on,persons\nv-1,Wadgaon,2017-05-31,4\nv-2,Pimpri,2017-06-01,five\nv-3,Khed,2017-06-02,3\n"
)
MORE_VISITS = "visit_id,village,visited_on,persons\nv-7,Manchar,31.05.2017,4\nv-8,Alandi,2017-06-01,2\n"
TEAMS = "team_name,country_code,manager_phone,member_phones\nNorth,91,9876543210,9876543211;9876543212\n"
TEMPLATE = {
    "key": ["visit_id"],
    "columns": [
        {"name": "visit_id", "type": "string", "required": True},
        {"name": "village", "type": "string"},
        {"name": "visited_on", "type": "date"},
        {"name": "persons", "type": "integer", "minimum": 0},
    ],
}
WHY = {"reason": "the columns are checked"}
FILES, JOBS, JOB = "post /v1/files", "post /v1/jobs", "get /v1/jobs/{job_id}"
BYTES = "application/octet-stream"


def play(book: Book) -> None:
    datasets(book)
    job = upload(book)
    correct(book, job)
    look_at(book, job)
    control(book)
    over_limit(book)
    export(book)
    teams(book)
    access(book)
    look_after(book)
    refusals(book, job)
    undo(book, job)


def datasets(book: Book) -> None:
    visits = {"name": "visits"}
    book.call("put /v1/datasets/{name}", "a dataset", status=201, key="admin", path=visits, json_body=TEMPLATE)
    book.call("get /v1/datasets/{name}", "a dataset", key="viewer", path=visits)


def send(book: Book, text: str, file_name: str, example: str | None = None) -> str:
    sent = book.call(FILES, example, status=201, query={"name": file_name}, text=text, kind=BYTES)
    return str(sent.json()["id"])


def upload(book: Book) -> str:
    """A job that waits for confirmation, is confirmed, and succeeds with one row rejected."""
    file = {"file_id": send(book, VISITS, "visits.csv", "a file")}
    book.call("get /v1/files/{file_id}", "a file", key="viewer", path=file)
    book.call("get /v1/files/{file_id}/content", "a file", key="viewer", path=file)
    params = {**file, "dataset": "visits", "max_rejected": {"rows": 10}}
    body = {"kind": "upload", "params": params, "reason": "round 3", "confirm": "always"}
    book.call(JOBS, "a preview", query={"validate_only": "true"}, json_body=body)
    job = str(book.call(JOBS, "an upload", status=202, json_body=body).json()["id"])
    book.call("post /v1/jobs/{job_id}/confirm", "a job starts", status=202, path={"job_id": job}, json_body=WHY)
    done = book.call(JOB, "until it has ended", query={"wait_for": "final"}, path={"job_id": job}).json()
    assert (done["state"], done["progress"]["rejected"]) == ("succeeded", 1), done
    return job


def correct(book: Book, job: str) -> None:
    at = {"job_id": job}
    rejects, corrections = "get /v1/jobs/{job_id}/rejects", "/v1/jobs/{job_id}/corrections"
    book.call(rejects, "rejected rows", key="viewer", path=at)
    book.call(rejects, "as a file to correct", key="viewer", path=at, query={"format": "csv"})
    body = {"reason": "asked the team", "rows": [{"row": 2, "values": {"persons": 5}}]}
    book.call(f"post {corrections}", "one row", status=202, path=at, json_body=body)
    eventually(
        lambda: book.call(JOB, path=at, query={"wait_for": "final"}).json()["progress"]["rejected"] == 0,
        seconds=60,
        what="the row is written",
    )
    book.call(f"get {corrections}", "what became of it", key="viewer", path=at)


def look_at(book: Book, job: str) -> None:
    at = {"job_id": job}
    book.call("get /v1/jobs", "uploads that succeeded", key="viewer", query={"kind": "upload", "state": "succeeded"})
    for what in ("audit", "parts"):
        book.call(f"get /v1/jobs/{{job_id}}/{what}", what, key="viewer", path=at)
    visits = {"name": "visits"}
    book.call("get /v1/datasets/{name}/rows", "one row", key="viewer", path=visits, query={"key": "v-1"})


def control(book: Book) -> None:
    """A job that has not started yet is paused, changed, resumed, stopped, restarted, terminated."""
    visits = {"file_id": send(book, VISITS, "visits.csv"), "dataset": "visits", "mode": "upsert"}
    body = {"kind": "upload", "params": visits, "start_at": LATER}
    at = {"job_id": str(book.call(JOBS, status=202, json_body=body).json()["id"])}
    pause = {**WHY, "until": LATER}
    verb = "post /v1/jobs/{job_id}/"
    book.call(f"{verb}pause", "until a time", status=202, path=at, json_body=pause)
    book.call(f"{verb}resume", "a job goes on", status=202, path=at, json_body={"reason": "they are right"})
    book.call("patch /v1/jobs/{job_id}", "slower", path=at, json_body={"max_rows_per_second": 500.0})
    book.call(f"{verb}stop", "a job ends", status=202, path=at, json_body={"reason": "a newer file is on its way"})
    again = {"reason": "with the newer file", "file_id": send(book, VISITS.replace("five", "5"), "visits-2.csv")}
    new = book.call(f"{verb}restart", "with another file", status=202, path=at, json_body=again).json()["id"]
    book.call(JOB, query={"wait_for": "final"}, path={"job_id": new})
    at = {"job_id": str(book.call(JOBS, status=202, json_body=body).json()["id"])}
    book.call(f"{verb}terminate", "a job that wrote nothing", status=202, path=at, json_body=WHY)


def over_limit(book: Book) -> None:
    params = {"file_id": send(book, MORE_VISITS, "more.csv"), "dataset": "visits", "max_rejected": {"rows": 0}}
    job = book.call(JOBS, status=202, json_body={"kind": "upload", "params": params}).json()["id"]
    at = {"job_id": str(job)}
    paused = book.call(JOB, "a job that paused itself", query={"wait_for": "rest"}, path=at).json()
    assert paused["reason"]["code"] == "rejections_over_limit", paused
    book.call("get /v1/jobs/{job_id}/unprocessed", "the rows behind", key="viewer", path=at)
    book.call("post /v1/jobs/{job_id}/stop", status=202, path=at, json_body=WHY)


def export(book: Book) -> None:
    params = {"form_id": "household-survey", "from_date": "2017-08-01", "to_date": "2018-01-01"}
    preview = book.call(JOBS, "a preview of an export", query={"validate_only": "true"}, json_body=_export(params))
    assert preview.json()["ok"]
    at = {"job_id": str(book.call(JOBS, "an export", status=202, json_body=_export(params)).json()["id"])}
    book.call(JOB, query={"wait_for": "final"}, path=at)
    book.call("get /v1/jobs/{job_id}/result", "the file", path=at)
    book.call("get /v1/jobs/{job_id}/manifest", "what is in it", path=at)
    book.call("get /v1/forms", "one form", key="viewer")


def _export(params: dict[str, str]) -> dict[str, object]:
    return {"kind": "export", "params": params, "reason": "monthly report"}


def teams(book: Book) -> None:
    body = {"kind": "teams", "params": {"mode": "create"}, "reason": "new district"}
    form = {"file": TEAMS, "job": json.dumps(body)}
    job = book.call(JOBS, "teams, with their file", status=202, form=form).json()["id"]
    done = book.call(JOB, query={"wait_for": "final"}, path={"job_id": str(job)}).json()
    assert (done["state"], done["progress"]["succeeded"]) == ("succeeded", 1), done
    book.call("get /v1/teams", "by the beginning of the name", key="viewer", query={"name": "No"})
    book.call("get /v1/teams/{name}", "a team", key="viewer", path={"name": "North"})


def access(book: Book) -> None:
    new = {"name": "pipeline", "role": "operator", "expires_at": LATER}
    made = book.call("post /v1/keys", "a key", status=201, key="admin", json_body=new).json()
    book.call("get /v1/keys", "two keys", key="admin", query={"limit": 2})
    book.call("delete /v1/keys/{key_id}", "a key ends", key="admin", path={"key_id": made["id"]})
    limits = {"limits": {"retention_days": 60}}
    book.call("patch /v1/organisation", "results are kept longer", key="admin", json_body=limits)
    book.call("get /v1/organisation", "limits", key="viewer")


def look_after(book: Book) -> None:
    eventually(lambda: three_idle_workers(book), seconds=60, what="all workers have been seen, with nothing to do")
    book.call("get /v1/workers", "three workers", key="viewer")
    book.call("get /v1/queues", "nothing waits", key="viewer")
    book.call("get /healthz", "alive", key=None)
    book.call("get /readyz", "ready", key=None)
    book.call("get /metrics", "the beginning", key=None)


def three_idle_workers(book: Book) -> bool:
    seen = book.call("get /v1/workers", key="viewer").json()["items"]
    return len(seen) == 3 and not any(slot["busy"] for worker in seen for slot in worker["slots"])


def refusals(book: Book, job: str) -> None:
    at = {"job_id": job}
    book.call("get /v1/jobs", "no key", status=401, key=None)
    book.call(JOB, "no such job", status=404, key="viewer", path={"job_id": UNKNOWN_ID})
    stop = "post /v1/jobs/{job_id}/stop"
    book.call(stop, "a role that may not", status=403, key="viewer", path=at, json_body=WHY)
    book.call(stop, "a verb that is not allowed", status=409, path=at, json_body=WHY)
    book.call(stop, "the job has moved on", status=412, path=at, json_body=WHY, headers={"If-Match": '"1"'})
    book.call(stop, "no reason", status=422, path=at, json_body={})
    body = {"kind": "upload", "params": {"dataset": "visits"}, "colour": "blue"}
    book.call(JOBS, "an unknown field, and no file", status=422, json_body=body)


def undo(book: Book, job: str) -> None:
    at, call = {"job_id": job}, "post /v1/jobs/{job_id}/undo"
    book.call(call, "what it would do", path=at, query={"validate_only": "true"}, json_body=WHY)
    waiting = {"wait_seconds": "30"}
    book.call(call, "what it wrote is taken back", status=202, path=at, query=waiting, json_body=WHY)
    book.call("get /v1/jobs/{job_id}/conflicts", "what others had changed", key="viewer", path=at)
