import json
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from collect.api.jobs import AuditEntry, Job
from collect.client.errors import WaitedInVain
from collect.client.jobs import JobsApi
from unit.client.scripted import ACTOR, Scripted, Time, answering, job, transport


def query(request: requests.PreparedRequest) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.url or "").query)


def body(gateway: Scripted) -> object:
    return json.loads(gateway.bodies[-1])


def test_only_what_was_given_is_sent_because_unknown_fields_are_refused() -> None:
    gateway = Scripted(answering(202, job()))

    JobsApi(transport=transport(gateway)).create("upload", {"file_id": "f", "dataset": "baseline"}, reason="Why")

    assert body(gateway) == {"kind": "upload", "params": {"file_id": "f", "dataset": "baseline"}, "reason": "Why"}


def test_a_job_carries_its_etag_and_writes_itself_as_the_api_did() -> None:
    gateway = Scripted(answering(200, job(something_new={"x": 1}), {"ETag": '"7"'}))

    found = JobsApi(transport=transport(gateway)).get("01kj")

    written = found.model_dump(mode="json", by_alias=True)
    assert found.etag == '"7"'
    assert written["created_at"] == "2017-08-01T10:00:00.000Z"
    assert written["something_new"] == {"x": 1}
    assert "etag" not in written


def test_the_audits_words_from_and_to_survive_the_way_through_python() -> None:
    entry = {
        "seq": 2,
        "at": "2017-08-01T10:00:00.000Z",
        "verb": "pause",
        "from": "running",
        "to": "paused",
        "actor": ACTOR,
        "reason": "lunch",
    }

    found = AuditEntry.model_validate(entry)

    assert (found.source, found.target) == ("running", "paused")
    assert {**found.model_dump(mode="json", by_alias=True), **entry} == found.model_dump(mode="json", by_alias=True)


def test_waiting_asks_until_the_job_is_there() -> None:
    gateway = Scripted(
        answering(200, job()), answering(200, job(state="paused")), answering(200, job(state="succeeded"))
    )

    found = JobsApi(transport=transport(gateway)).wait("01kj")

    assert found.state == "succeeded"
    assert query(gateway.requests[0])["wait_for"] == ["final"]


def test_a_gateway_that_has_no_room_to_wait_is_not_asked_again_at_once() -> None:
    time = Time()
    gateway = Scripted(answering(200, job(), {"Retry-After": "1"}), answering(200, job(state="succeeded")))

    assert JobsApi(transport=transport(gateway, time)).wait("01kj").state == "succeeded"

    assert time.slept == [1.0]


def test_a_paused_job_rests_but_has_not_ended() -> None:
    assert Job.model_validate(job(state="paused")).rests
    assert not Job.model_validate(job(state="paused")).ended
    assert Job.model_validate(job(state="failed")).ended


def test_waiting_in_vain_is_said() -> None:
    time = Time()
    gateway = Scripted(answering(200, job()))

    with pytest.raises(WaitedInVain, match="running, not rest"):
        JobsApi(transport=transport(gateway), monotonic=time.monotonic).wait("01kj", "rest", timeout_seconds=0)


def test_a_job_that_has_ended_elsewhere_is_not_waited_for() -> None:
    """Nothing changes there unless somebody acts, so that asking again would only be asking."""
    gateway = Scripted(answering(200, job()), answering(200, job(state="failed")))

    with pytest.raises(WaitedInVain, match="is failed, not succeeded, and has ended"):
        JobsApi(transport=transport(gateway)).wait("01kj", "succeeded")

    gateway.close()


def test_a_list_goes_on_page_by_page_and_stops_where_it_was_told_to() -> None:
    first = {"items": [job(id=f"{n:04}") for n in range(200)], "next_cursor": "c"}
    second = {"items": [job(id=f"{n:04}") for n in range(200, 230)], "next_cursor": "d"}
    gateway = Scripted(answering(200, first), answering(200, second))

    found = list(JobsApi(transport=transport(gateway)).list(most=230))

    assert len(found) == 230
    assert query(gateway.requests[1]) == {"limit": ["30"], "cursor": ["c"]}


def test_a_page_is_only_asked_for_when_it_is_reached() -> None:
    gateway = Scripted(answering(200, {"items": [job(), job()], "next_cursor": "c"}))

    found = JobsApi(transport=transport(gateway)).list()

    next(found)
    next(found)
    gateway.close()


def test_a_verb_sends_its_reason_and_what_it_must_match() -> None:
    gateway = Scripted(answering(202, job(state="terminated")))

    JobsApi(transport=transport(gateway)).terminate("01kj", reason="Wrong file", wait_seconds=10, if_match='"3"')

    sent = gateway.requests[0]
    assert (sent.method, urlsplit(sent.url or "").path) == ("POST", "/v1/jobs/01kj/terminate")
    assert query(sent) == {"wait_seconds": ["10"]}
    assert sent.headers["If-Match"] == '"3"'
    assert body(gateway) == {"reason": "Wrong file"}
