"""Waiting for servers: it names them, has one deadline for all, and does not wait for refusals."""

from collections.abc import Callable
from email.message import Message
from urllib.error import HTTPError

import pytest
from pika.exceptions import AMQPConnectionError
from pymongo.errors import InvalidURI, OperationFailure, ServerSelectionTimeoutError

from collect.admin import waiting
from collect.admin.waiting import ServerUnavailable, Waiting

LONG = 1_000.0


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "RETRY_SECONDS", 0.001)


def failing(*errors: Exception) -> tuple[Callable[[], str], list[Exception]]:
    """What raises one after the other and then succeeds, and what it has not raised yet."""
    left = list(errors)

    def act() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return act, left


def answered(status: int) -> HTTPError:
    return HTTPError("http://operator:secret@broker/api", status, "words", Message(), None)


def test_it_says_what_it_waits_for_and_again_only_when_that_is_something_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = [ServerSelectionTimeoutError(f"a:1: refused, Timeout: 3.0s, Topology Description: <{n}>") for n in range(3)]
    act, _ = failing(*away, OperationFailure("Authentication failed.\nmore", 18), AMQPConnectionError("refused"))
    assert Waiting(LONG).until_there(act, what="MongoDB") == "done"
    assert capsys.readouterr().err.splitlines() == [
        "Waiting for MongoDB: ServerSelectionTimeoutError: a:1: refused",
        "Waiting for MongoDB: OperationFailure: Authentication failed.",
        "Waiting for MongoDB: AMQPConnectionError: refused",
    ]


@pytest.mark.parametrize(
    "error",
    [*map(answered, (400, 401, 403, 404)), OperationFailure("not authorized", 13), InvalidURI("no URL")],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'code', '')}",
)
def test_what_time_does_not_correct_is_raised_at_once_with_the_servers_name(error: Exception) -> None:
    act, left = failing(error, ConnectionRefusedError())
    with pytest.raises(ServerUnavailable, match=r"^the server: ") as raised:
        Waiting(LONG).until_there(act, what="the server")
    assert len(left) == 1
    assert "secret" not in raised.value.message


@pytest.mark.parametrize(
    "error",
    [*map(answered, (500, 503)), OperationFailure("who are you", 18), ConnectionRefusedError(), TimeoutError()],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'code', '')}",
)
def test_what_may_come_by_itself_is_waited_for(error: Exception) -> None:
    act, _ = failing(error)
    assert Waiting(LONG).until_there(act, what="the server") == "done"


def test_all_that_a_command_waits_for_has_one_end() -> None:
    together = Waiting(0.01)
    for what in ("one", "another"):
        act, left = failing(*(OSError("away") for _ in range(100_000)))
        with pytest.raises(ServerUnavailable, match=f"^{what}: OSError: away$"):
            together.until_there(act, what=what)
    assert len(left) == 99_999
