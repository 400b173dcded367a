"""The same request many times at once, through two gateways of one system: it happens once, and each answer says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from collect.admin.check import check
from collect.jobs.states import RESTARTABLE, State, Verb
from collect.testing.system import LOOPBACK, free_port
from integration.gateway.calls import CSV, Api, OverHttp, form, problem, upload
from integration.gateway.conftest import Running
from support.waiting import eventually

TIMES = 100
AT_ONCE = 20
JOB = '{"kind":"upload","params":{"dataset":"baseline"}}'


@pytest.fixture(scope="module")
def second_url(running: Running) -> Iterator[str]:
    """Where another gateway of the same system answers."""
    port = free_port()
    service = running.system.gateway(port=port, wait=False)
    url = f"http://{LOOPBACK}:{port}"
    eventually(lambda: answers(url), seconds=60, what="the second gateway answers")
    yield url
    service.stop()


@pytest.fixture
def both(api: Api, second_url: str) -> tuple[Api, Api]:
    """Both gateways."""
    return api, replace(api, client=OverHttp(second_url))


def answers(url: str) -> bool:
    try:
        return OverHttp(url).open("/healthz", method="GET", headers={}).status_code == 200
    except OSError:
        return False


def at_once(both: tuple[Api, Api], times: int, ask: Callable[[Api], TestResponse]) -> list[TestResponse]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda n: ask(both[n % 2]), range(times)))


@pytest.mark.parametrize("verb", ["pause", "stop", "terminate"])
def test_a_verb_asked_for_a_hundred_times_at_once_is_done_once(both: tuple[Api, Api], verb: str) -> None:
    api = both[0]
    job = api.job()["id"]
    found = at_once(both, TIMES, lambda gateway: gateway.verb(job, verb))
    assert Counter(answer.status_code for answer in found) == {202: TIMES}
    assert {answer.headers["ETag"] for answer in found} == {'"2"'}
    audit = [entry["verb"] for entry in api.get(f"/v1/jobs/{job}/audit").get_json()["items"]]
    assert audit == ["create", verb]


def test_f24_the_same_key_at_once_makes_one_job(both: tuple[Api, Api]) -> None:
    api = both[0]
    body, key = upload(api.file()), {"Idempotency-Key": "at once"}
    found = at_once(both, AT_ONCE, lambda gateway: gateway.post("/v1/jobs", body, headers=key))
    assert_once(api, found)


def test_f24_the_same_key_at_once_with_the_file_keeps_one_file(both: tuple[Api, Api]) -> None:
    api, key = both[0], {"Idempotency-Key": "at once"}
    found = at_once(
        both, AT_ONCE, lambda gateway: gateway.call("POST", "/v1/jobs", headers=key, **form(file=CSV, job=JOB))
    )
    assert_once(api, found)
    assert api.db.files.count_documents({}) == 1
    assert api.db["blobs.files"].count_documents({}) == 1


def assert_once(api: Api, found: list[TestResponse]) -> None:
    """One job, which all who were answered with one were shown; the others were asked to come again."""
    (job,) = list(api.db.jobs.find())
    made = [answer for answer in found if answer.status_code == 202]
    assert {answer.get_json()["id"] for answer in made} == {job["_id"]}
    assert sum("Idempotency-Replayed" not in answer.headers for answer in made) == 1
    for answer in found:
        if answer not in made:
            problem(answer, 409, "request_in_progress")
            assert answer.headers["Retry-After"]
    assert check(api.db) == []


def test_f24_the_same_key_at_once_with_other_bodies_makes_one_job_and_is_422(both: tuple[Api, Api]) -> None:
    api, key = both[0], {"Idempotency-Key": "at once"}
    bodies = iter([upload(api.file(), reason=f"round {n}") for n in range(AT_ONCE)])
    found = at_once(both, AT_ONCE, lambda gateway: gateway.post("/v1/jobs", next(bodies), headers=key))
    assert Counter(answer.status_code for answer in found) == {202: 1, 422: AT_ONCE - 1}
    assert {answer.get_json()["code"] for answer in found if answer.status_code == 422} == {"idempotency_key_reused"}
    assert api.db.jobs.count_documents({}) == 1


def test_two_keys_at_once_for_one_dataset_make_one_job(both: tuple[Api, Api]) -> None:
    api = both[0]
    body = upload(api.file())
    found = at_once(both, AT_ONCE, lambda gateway: gateway.post("/v1/jobs", body))
    assert Counter(answer.status_code for answer in found) == {202: 1, 409: AT_ONCE - 1}
    (job,) = list(api.db.jobs.find())
    assert {answer.get_json()["holder"] for answer in found if answer.status_code == 409} == {job["_id"]}


@pytest.mark.parametrize("state", list(State))
def test_a_verb_that_a_state_does_not_allow_is_409_and_says_which_are(api: Api, state: State) -> None:
    job = api.job()["id"]
    api.db.jobs.update_one({"_id": job}, {"$set": {"state": state.value, "last_action": None}})
    before = api.db.jobs.find_one({"_id": job})
    allowed = set(api.get(f"/v1/jobs/{job}").get_json()["allowed_verbs"])
    refused = set(Verb) - {Verb.CORRECT} - allowed - ({Verb.RESTART} if state in RESTARTABLE else set())
    if state in {State.QUEUED, State.RUNNING}:
        refused -= {Verb.CONFIRM, Verb.RESUME}  # what has brought it there may be asked for again
    for verb in sorted(refused - {Verb.UNDO if state in {State.UNDOING, State.UNDONE} else None}):
        answer = api.verb(job, verb.value)
        if answer.status_code == 202:  # it has happened, and nothing more does
            assert answer.get_json()["state"] == state.value
            continue
        found = problem(answer, 409, "verb_not_allowed")
        assert found["state"] == state.value
        assert set(found["allowed_verbs"]) == allowed
    assert api.db.jobs.find_one({"_id": job}) == before
