"""Results of exports, downloaded: whole, in part, resumed, by whom they do not belong to, and when they are over."""

import base64
import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from collect.jobs.model import Job
from collect.jobs.states import Verb
from collect.storage import jobs, results
from collect.storage.object_store import Blobs, GridFsBlobs
from collect.testing.system import eventually
from gateway.jobs import partial_result
from integration.gateway.calls import Api, problem
from support import exported
from support.exported import HEADER, LINES, WHOLE
from support.protocol_driver import ask, make_job, read_job

PART = b"".join(LINES[0])
STOPPED = HEADER + PART


@pytest.fixture
def blobs(api: Api) -> Blobs:
    return GridFsBlobs(db=api.db)


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def path(job: Job, what: str = "result") -> str:
    return f"/v1/jobs/{job.id}/{what}"


def test_the_result_is_the_header_and_the_objects_in_the_order_of_the_ledger(api: Api, blobs: Blobs) -> None:
    answer = api.get(path(exported.succeeded(api.db, blobs)))
    assert (answer.status_code, answer.data) == (200, WHOLE)
    assert answer.headers["Content-Length"] == str(len(WHOLE))
    assert answer.headers["Repr-Digest"] == digest(WHOLE)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert 'filename="household-survey-2017-08-01-2018-01-01.csv"' in answer.headers["Content-Disposition"]


def test_the_manifest_says_what_is_in_it_part_by_part(api: Api, blobs: Blobs) -> None:
    job = exported.succeeded(api.db, blobs)
    body = api.get(path(job, "manifest")).get_json()
    assert (body["rows"], body["bytes"], body["complete"], body["expired"]) == (8, len(WHOLE), True, False)
    assert body["sha256"] == hashlib.sha256(WHOLE).hexdigest()
    assert [(part["n"], part["rows"], part["bytes"]) for part in body["parts"]] == [(1, 3, 21), (3, 5, 35)]
    assert body["parts"][0]["sha256"] == hashlib.sha256(PART).hexdigest()
    assert "objects" not in body


def test_any_range_of_it_can_be_had_and_carries_the_digest_of_the_whole(api: Api, blobs: Blobs) -> None:
    job = exported.succeeded(api.db, blobs)
    chance = random.Random(7)
    for _ in range(40):
        start = chance.randrange(len(WHOLE))
        last = chance.randrange(start, len(WHOLE) + 5)
        answer = api.get(path(job), headers={"Range": f"bytes={start}-{last}"})
        assert (answer.status_code, answer.data) == (206, WHOLE[start : last + 1])
        assert answer.headers["Repr-Digest"] == digest(WHOLE)
        stop = min(last + 1, len(WHOLE))
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(WHOLE)}"


def test_a_download_that_broke_off_is_taken_up_and_one_that_was_whole_is_told_so(api: Api, blobs: Blobs) -> None:
    job = exported.succeeded(api.db, blobs)
    assert api.get(path(job), headers={"Range": "bytes=30-"}).data == WHOLE[30:]
    refused = api.get(path(job), headers={"Range": f"bytes={len(WHOLE)}-"})
    problem(refused, 416)
    version = api.get(path(job)).headers["ETag"]
    assert api.get(path(job), headers={"Range": "bytes=30-", "If-Range": version}).data == WHOLE[30:]
    assert refused.headers["Content-Range"] == f"bytes */{len(WHOLE)}"


def test_the_head_alone_says_how_long_it_is(api: Api, blobs: Blobs) -> None:
    answer = api.call("HEAD", path(exported.succeeded(api.db, blobs)))
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(WHOLE))
    assert answer.headers["Repr-Digest"] == digest(WHOLE)


def test_one_part_can_be_had_by_itself(api: Api, blobs: Blobs) -> None:
    job = exported.succeeded(api.db, blobs)
    answer = api.get(f"{path(job)}?part=1", headers={"Range": "bytes=7-"})
    assert (answer.status_code, answer.data) == (206, PART[7:])
    assert answer.headers["Repr-Digest"] == digest(PART)
    assert "part-1.csv" in answer.headers["Content-Disposition"]
    problem(api.get(f"{path(job)}?part=2"), 404, "not_found")
    problem(api.get(f"{path(job)}?part=-1"), 422)


def test_no_rows_at_all_are_a_file_with_a_header(api: Api, blobs: Blobs) -> None:
    job = exported.succeeded(api.db, blobs, [[]])
    answer = api.get(path(job))
    assert (answer.status_code, answer.data) == (200, HEADER)
    assert api.get(path(job, "manifest")).get_json()["rows"] == 0


def test_of_a_stopped_export_there_is_what_was_written_the_same_each_time(api: Api, blobs: Blobs) -> None:
    job = exported.stopped(api.db, blobs)
    assert job.result is None
    ready = threading.Barrier(8)

    def ask_for_it(n: int) -> tuple[int, bytes, dict[str, Any]]:
        ready.wait()
        answer = until_made(api, job)
        return answer.status_code, answer.data, api.get(path(job, "manifest")).get_json()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask_for_it, range(8)))
    assert all(one == found[0] for one in found)
    status, data, manifest = found[0]
    assert (status, data, manifest["complete"], manifest["rows"]) == (200, STOPPED, False, 3)
    assert manifest["sha256"] == hashlib.sha256(STOPPED).hexdigest()
    assert "household-survey-2017-08-01-2018-01-01-partial.csv" in api.get(path(job)).headers["Content-Disposition"]


def until_made(api: Api, job: Job) -> TestResponse:
    """The answer with the result. Until there is one, all answers tell to ask again."""
    answers: list[TestResponse] = []

    def there() -> bool:
        answers.append(api.get(path(job)))
        return answers[-1].status_code == 200

    eventually(there, seconds=30, what="it is made")
    for answer in answers[:-1]:
        problem(answer, 503, "result_pending")
        assert answer.headers["Retry-After"] == "1"
    return answers[-1]


@pytest.mark.parametrize("what", ["result", "manifest"])
def test_what_takes_longer_to_make_than_anybody_waits_is_asked_for_again(
    inside: Api, blobs: Blobs, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(partial_result, "WAIT_SECONDS", 0.0)
    job = exported.stopped(inside.db, blobs)
    problem(inside.get(path(job, what)), 503, "result_pending")
    assert until_made(inside, job).data == STOPPED


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> partial_result.Room:
    """For the results of two organisations."""
    made = partial_result.Room(2)
    monkeypatch.setattr(partial_result, "_room", made)
    return made


def test_more_results_than_some_are_not_made_at_once(inside: Api, blobs: Blobs, room: partial_result.Room) -> None:
    job = exported.stopped(inside.db, blobs)
    for other in ("one", "another"):
        assert room.enter(other)
    problem(inside.get(path(job)), 503, "result_pending")
    room.leave("one")
    assert inside.get(path(job)).data == STOPPED


def test_an_organisation_s_results_are_made_one_by_one_and_keep_no_other_s_out(
    inside: Api, blobs: Blobs, room: partial_result.Room
) -> None:
    job, others = exported.stopped(inside.db, blobs), exported.stopped(inside.db, blobs, org_id="other")
    assert room.enter("labs")
    problem(inside.get(path(job)), 503, "result_pending")
    assert inside.get(path(others), key="other viewer").data == STOPPED
    room.leave("labs")
    assert inside.get(path(job)).data == STOPPED


def test_what_making_it_has_failed_with_is_told_when_there_is_no_room_too(
    inside: Api, blobs: Blobs, room: partial_result.Room
) -> None:
    job = exported.stopped(inside.db, blobs)
    blobs.delete((inside.db.ledger.find_one({"job_id": job.id}) or {})["objects"][0]["name"])
    problem(inside.get(path(job)), 503, "result_damaged")
    assert room.enter("labs"), "who is answered may ask for the next one"
    problem(inside.get(path(job)), 503, "result_damaged")
    over = {"making.until": datetime.now(UTC) - timedelta(seconds=1)}
    inside.db.jobs.update_one({"_id": job.id}, {"$set": over})
    problem(inside.get(path(job)), 503, "result_pending")


def test_an_export_that_was_stopped_before_it_was_planned_has_an_empty_result(api: Api, blobs: Blobs) -> None:
    job = ask(api.db, exported.make(api.db), Verb.STOP)
    answer = api.get(path(job))
    assert (answer.status_code, answer.data) == (200, b"")
    assert api.get(path(job, "manifest")).get_json()["parts"] == []


def test_a_stopped_parquet_export_has_parts_that_are_files_and_a_manifest_and_no_joined_result(
    api: Api, blobs: Blobs
) -> None:
    job = exported.stopped(api.db, blobs, format="parquet")
    problem(api.get(path(job)), 409, "no_joined_result")
    manifest = api.get(path(job, "manifest")).get_json()
    assert (manifest["sha256"], manifest["rows"], manifest["bytes"]) == (None, 3, len(PART))
    assert [(part["n"], part["rows"]) for part in manifest["parts"]] == [(1, 2), (2, 1)]
    for part, data in zip(manifest["parts"], LINES[0], strict=True):
        answer = api.get(f"{path(job)}?part={part['n']}")
        assert answer.data == data
        assert answer.headers["Repr-Digest"] == digest(data)
    problem(api.get(f"{path(job)}?part=3"), 404, "not_found")
    problem(api.get(f"{path(job)}?part=0"), 404, "not_found")


def test_a_parquet_export_is_the_whole_that_its_worker_has_made(api: Api, blobs: Blobs) -> None:
    job = exported.succeeded(api.db, blobs, format="parquet")
    assert api.get(path(job)).data == WHOLE.removeprefix(HEADER)
    assert api.get(f"{path(job)}?part=3").data == LINES[2][0]
    assert ".parquet" in api.get(path(job)).headers["Content-Disposition"]


@pytest.mark.parametrize("what", ["result", "manifest"])
def test_what_has_no_result_says_so(api: Api, blobs: Blobs, what: str) -> None:
    running = exported.make(api.db)
    exported.plan(api.db, blobs, running)
    upload = make_job(api.db)
    taken_back = exported.stopped(api.db, blobs)
    api.get(path(taken_back, what))
    ask(api.db, taken_back, Verb.UNDO)
    for job in (running, upload, taken_back):
        problem(api.get(path(job, what)), 409, "no_result")


@pytest.mark.parametrize("what", ["result", "manifest"])
def test_another_organisation_s_result_is_not_there(api: Api, blobs: Blobs, what: str) -> None:
    job = exported.succeeded(api.db, blobs, org_id="other")
    problem(api.get(path(job, what), key="admin"), 404, "not_found")
    assert api.get(path(job, what), key="other viewer").status_code == 200


@pytest.mark.parametrize("removed", [False, True])
def test_when_its_time_is_over_it_is_gone_and_the_manifest_stays(api: Api, blobs: Blobs, removed: bool) -> None:
    job = exported.succeeded(api.db, blobs)
    past = datetime.now(UTC) - timedelta(seconds=1)
    api.db.jobs.update_one({"_id": job.id}, {"$set": {"result.expires_at": past}})
    if removed:
        assert results.expire(api.db, blobs, read_job(api.db, job), at=datetime.now(UTC))
    problem(api.get(path(job)), 410, "result_expired")
    problem(api.get(f"{path(job)}?part=1"), 410, "result_expired")
    body = api.get(path(job, "manifest")).get_json()
    assert (body["expired"], body["rows"]) == (True, 8)


def test_an_export_links_to_its_result_and_an_upload_to_none(api: Api, blobs: Blobs) -> None:
    job = exported.succeeded(api.db, blobs)
    links = api.get(f"/v1/jobs/{job.id}").get_json()["links"]
    assert (links["result"], links["manifest"]) == (path(job), path(job, "manifest"))
    assert "result" not in api.get(f"/v1/jobs/{make_job(api.db).id}").get_json()["links"]


def test_a_list_of_jobs_is_read_without_their_objects(api: Api, blobs: Blobs) -> None:
    job = exported.succeeded(api.db, blobs)
    (listed,), _ = jobs.page(api.db, org_id="labs", filters=jobs.Filters(), limit=5)
    assert listed.result is not None
    assert "objects" not in listed.result
    assert "objects" in (api.stored(job.id).result or {})


def test_a_result_of_which_an_object_is_missing_is_not_made(api: Api, blobs: Blobs) -> None:
    job = exported.stopped(api.db, blobs)
    blobs.delete((api.db.ledger.find_one({"job_id": job.id}) or {})["objects"][0]["name"])
    problem(api.get(path(job)), 503, "result_damaged")
