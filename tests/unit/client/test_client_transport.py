import pytest
import requests

from collect.client.errors import (
    ApiError,
    BadAnswer,
    ClientError,
    InvalidRequest,
    Missing,
    MovedOn,
    NotAuthenticated,
    NotPermitted,
    Refused,
    ServerFailed,
    TooMany,
    Unreachable,
)
from unit.client.scripted import Scripted, Time, answering, failing, problem, transport

GONE = requests.ConnectionError("refused")


def test_a_post_that_creates_carries_one_idempotency_key_through_all_its_tries() -> None:
    gateway = Scripted(failing(GONE), answering(503, problem(503)), answering(202, {"id": "x"}))

    transport(gateway).create("/v1/jobs", body={})

    keys = {request.headers["Idempotency-Key"] for request in gateway.requests}
    assert len(gateway.requests) == 3
    assert len(keys) == 1


def test_two_posts_that_create_carry_two_keys() -> None:
    gateway = Scripted(answering(202, {}), answering(202, {}))
    sender = transport(gateway)

    sender.create("/v1/jobs", body={})
    sender.create("/v1/jobs", body={})

    assert len({request.headers["Idempotency-Key"] for request in gateway.requests}) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest), (401, NotAuthenticated), (403, NotPermitted), (404, Missing), (409, Refused),
        (412, MovedOn), (413, InvalidRequest), (422, InvalidRequest), (500, ServerFailed),
    ],
)  # fmt: skip
def test_what_another_try_would_not_change_is_raised_at_once(status: int, kind: type[ApiError]) -> None:
    gateway = Scripted(answering(status, problem(status)))

    with pytest.raises(kind) as raised:
        transport(gateway).json("POST", "/v1/jobs")

    assert type(raised.value) is kind
    assert (raised.value.status, raised.value.code, raised.value.detail) == (status, "some_code", "Why not.")


def test_pauses_grow_and_end_with_the_patience() -> None:
    time = Time()
    gateway = Scripted(*[failing(GONE)] * 50)

    with pytest.raises(Unreachable):
        transport(gateway, time, retry_seconds=20).json("GET", "/v1/jobs")

    assert time.now <= 20
    assert 5 <= len(time.slept) < 20
    assert max(time.slept) > 10 * min(time.slept)


def test_a_result_that_is_being_made_is_waited_for_however_long_that_takes_and_no_other_thing_is() -> None:
    time = Time()
    pending = answering(503, problem(503, "result_pending"), {"Retry-After": "1"})
    gateway = Scripted(*[pending] * 100, answering(503, problem(503), {"Retry-After": "1"}), answering(200, {}))

    transport(gateway, time, retry_seconds=5).json("GET", "/v1/jobs/x/manifest")

    assert time.slept == [1.0] * 101


def test_a_result_that_cannot_be_made_is_given_up_though_the_gateway_tries_again_and_again() -> None:
    """Between its tries it says that it is at work."""
    time = Time()
    pending = answering(503, problem(503, "result_pending"), {"Retry-After": "1"})
    damaged = answering(503, problem(503, "result_damaged"), {"Retry-After": "1"})
    gateway = Scripted(*[pending, pending, damaged, damaged, damaged] * 100)

    with pytest.raises(ServerFailed) as raised:
        transport(gateway, time, retry_seconds=5).json("GET", "/v1/jobs/x/manifest")

    assert raised.value.code == "result_damaged"
    assert len(gateway.requests) < 20


def test_a_gateway_that_is_away_for_a_moment_while_it_makes_a_result_is_waited_for_afterwards_as_before() -> None:
    pending = answering(503, problem(503, "result_pending"), {"Retry-After": "1"})
    gateway = Scripted(*[pending] * 10, failing(GONE), *[pending] * 100, answering(200, {}))

    transport(gateway).json("GET", "/v1/jobs/x/manifest")

    assert len(gateway.requests) == 112


def test_a_limit_is_waited_for_as_long_as_the_server_says() -> None:
    time = Time()
    gateway = Scripted(answering(429, problem(429), {"Retry-After": "7"}), answering(200, {}))

    transport(gateway, time).json("GET", "/v1/jobs")

    assert time.slept == [7.0]


def test_a_limit_that_lasts_longer_than_the_patience_is_raised_at_once() -> None:
    time = Time()

    with pytest.raises(TooMany) as raised:
        transport(Scripted(answering(429, problem(429), {"Retry-After": "60"})), time).json("GET", "/v1/jobs")

    assert time.slept == []
    assert raised.value.retry_after_seconds == 60


def test_the_same_request_under_way_is_waited_for_but_another_conflict_is_not() -> None:
    under_way = problem(409, "request_in_progress")
    gateway = Scripted(answering(409, under_way, {"Retry-After": "1"}), answering(409, problem(409, "dataset_held")))

    with pytest.raises(Refused) as raised:
        transport(gateway).create("/v1/jobs", body={})

    assert raised.value.code == "dataset_held"


def test_a_refused_verb_says_the_state_and_what_is_allowed() -> None:
    body = problem(409, "verb_not_allowed", state="succeeded", allowed_verbs=["undo", "restart"])

    with pytest.raises(Refused) as raised:
        transport(Scripted(answering(409, body))).json("POST", "/v1/jobs/x/pause")

    assert (raised.value.state, raised.value.allowed_verbs) == ("succeeded", ["undo", "restart"])


def test_a_proxys_own_words_are_an_error_of_their_status() -> None:
    gateway = Scripted(answering(404, b"<html>nothing here</html>"))

    with pytest.raises(Missing):
        transport(gateway).json("GET", "/v1/jobs/x")


@pytest.mark.parametrize("answer", [answering(200, b"<html>hello</html>"), answering(302, b"", {"Location": "/login"})])
def test_something_that_is_not_the_api_is_said_to_be_that(answer: object) -> None:
    with pytest.raises(BadAnswer):
        transport(Scripted(answer)).json("GET", "/v1/jobs")  # type: ignore[arg-type]


def test_an_address_that_is_none_is_refused_before_anything_is_sent() -> None:
    from collect.client import CollectClient

    with pytest.raises(ClientError, match="no address"):
        CollectClient(url="127.0.0.1:8080", api_key="ck_1_x")
