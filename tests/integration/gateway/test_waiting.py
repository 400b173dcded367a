"""Requests that wait for a job: what ends the waiting, and what is said when that is not what was waited for."""

import time
from types import SimpleNamespace

import pytest

from collect.storage import jobs
from integration.gateway.calls import Api


def test_who_wants_to_wait_for_longer_than_may_be_is_told_to_ask_again(api: Api) -> None:
    job = api.job()["id"]
    api.verb(job, "pause")
    for path in (f"/v1/jobs/{job}?wait_for=final&timeout_seconds=30", f"/v1/jobs/{job}?wait_for=stopped"):
        answer = api.get(path)
        assert (answer.get_json()["state"], answer.headers["Retry-After"]) == ("paused", "1")
    assert "Retry-After" not in api.get(f"/v1/jobs/{job}?wait_for=final&timeout_seconds=0.1").headers
    assert "Retry-After" not in api.get(f"/v1/jobs/{job}?wait_for=rest&timeout_seconds=30").headers


@pytest.mark.parametrize("state", ["paused", "running", "succeeded", "undone"])
def test_a_state_that_does_not_come_unless_somebody_acts_is_not_waited_for(
    inside: Api, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    job = inside.job()["id"]
    inside.verb(job, "stop")

    def held(_seconds: float) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=time.monotonic, sleep=held))
    answer = inside.get(f"/v1/jobs/{job}?wait_for={state}&timeout_seconds=3600")
    assert answer.get_json()["state"] == "stopped"
    assert "Retry-After" not in answer.headers, "nothing changes by asking again"
    assert "Retry-After" not in inside.get(f"/v1/jobs/{job}?wait_for=stopped").headers


@pytest.mark.parametrize(("verb", "state"), [("pause", "paused"), ("stop", "stopped")])
def test_a_state_that_the_job_is_in_already_is_answered_without_waiting(
    inside: Api, monkeypatch: pytest.MonkeyPatch, verb: str, state: str
) -> None:
    job = inside.job()["id"]
    inside.verb(job, verb)

    def held(_seconds: float) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=time.monotonic, sleep=held))
    for wanted in (state, "rest"):
        answer = inside.get(f"/v1/jobs/{job}?wait_for={wanted}&timeout_seconds=3600")
        assert answer.get_json()["state"] == state
        assert "Retry-After" not in answer.headers


def test_a_state_that_is_reached_meanwhile_ends_the_waiting(inside: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job = inside.job()["id"]
    waits: list[float] = []

    def pause_meanwhile(seconds: float) -> None:
        waits.append(seconds)
        assert len(waits) < 3, "it waits on in a state that was asked for"
        if len(waits) == 1:
            inside.verb(job, "pause")

    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause_meanwhile))
    answer = inside.get(f"/v1/jobs/{job}?wait_for=paused&timeout_seconds=3600")
    assert (answer.get_json()["state"], len(waits)) == ("paused", 1)
