"""Acts that go on, whatever one of them meets; and that do not, where the programme is wrong."""

import threading
from collections.abc import Callable, Iterator

import pytest
from pymongo.errors import AutoReconnect, ConfigurationError, OperationFailure

from collect.errors import NotFound, Transient
from monitor.ticking import MAX_FAILURES, Ticker, each
from support.waiting import eventually


@pytest.fixture
def crashes(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    seen: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda crash: seen.append(crash.exc_type))
    return seen


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def ticker(act: Callable[[], object], stop: threading.Event) -> Ticker:
    made = Ticker(name="act", act=act, interval_seconds=0.001, stop=stop)
    made.start()
    return made


@pytest.mark.parametrize(
    "error",
    [
        Transient("not now"),
        AutoReconnect("away"),
        OperationFailure("conflict", code=112),
        OperationFailure("the account is still to be made", code=18),
        ConfigurationError("no name server knows the servers"),
    ],
    ids=str,
)
def test_a_server_that_does_not_answer_is_asked_again(
    error: Exception, stop: threading.Event, crashes: list[type[BaseException]]
) -> None:
    acts: list[int] = []

    def act() -> None:
        acts.append(1)
        if len(acts) < 3:
            raise error

    ticker(act, stop)
    eventually(lambda: len(acts) > 3, what="the act to go on")
    assert crashes == []


@pytest.mark.parametrize("error", [KeyError("org_id"), OperationFailure("unknown operator", code=2)], ids=type)
def test_an_error_in_the_programme_is_not_swallowed(
    error: Exception, stop: threading.Event, crashes: list[type[BaseException]]
) -> None:
    def act() -> None:
        raise error

    ticker(act, stop)
    eventually(lambda: crashes, what="the crash")
    assert crashes == [type(error)]


def test_after_the_stop_nothing_is_begun(stop: threading.Event) -> None:
    acts: list[int] = []
    stop.set()
    ticker(lambda: acts.append(1), stop).join(5)
    assert acts == []


def test_one_item_that_is_refused_does_not_hold_up_the_others() -> None:
    done: list[int] = []

    def act(item: int) -> None:
        if item == 1:
            raise NotFound("There is no job.")
        done.append(item)

    each(range(4), act, name=str)
    assert done == [0, 2, 3]


def test_where_nothing_can_be_done_now_the_rest_is_left_to_the_next_tick() -> None:
    tried: list[int] = []

    def act(item: int) -> None:
        tried.append(item)
        raise Transient("not now")

    with pytest.raises(Transient):
        each(range(100), act, name=str)
    assert len(tried) == MAX_FAILURES
