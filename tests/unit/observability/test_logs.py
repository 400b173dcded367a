"""A line of log is one JSON object that carries its context and no row."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from collect.errors import InvalidInput
from collect.observability import logs, traces

SECRET = "9876543210"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


@pytest.fixture
def log() -> logging.Logger:
    return logging.getLogger("collect.test")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What the test has logged: threads that others have left may say something as well."""
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in found if line["logger"] == "collect.test"]


def test_a_line_has_its_event_service_time_and_fields(capsys: pytest.CaptureFixture[str], log: logging.Logger) -> None:
    logs.configure("a-service")
    logs.configure("a-service")
    log.info("part_claimed", extra={"slot": 1})
    (line,) = lines(capsys)
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "part_claimed",
        "service": "a-service",
        "level": "info",
        "logger": "collect.test",
        "slot": 1,
    }


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str], log: logging.Logger) -> None:
    logs.configure("a-service", "WARNING")
    log.info("part_claimed")
    assert lines(capsys) == []


def test_context_is_bound_once_and_ends(capsys: pytest.CaptureFixture[str], log: logging.Logger) -> None:
    logs.configure("a-service")
    with logs.bound(job="a-job", part=3, epoch=2, org="labs"):
        log.info("inside")
    log.info("outside")
    inside, outside = lines(capsys)
    assert (inside["job"], inside["part"], inside["epoch"], inside["org"]) == ("a-job", 3, 2, "labs")
    assert "job" not in outside


def test_a_line_within_a_span_names_it(capsys: pytest.CaptureFixture[str], log: logging.Logger) -> None:
    logs.configure("a-service")
    traces.configure("a-service")
    with traces.request_span("asking", traceparent=None, attributes={}):
        named = traces.current_traceparent()
        log.info("inside")
    (line,) = lines(capsys)
    assert named is not None
    assert named.split("-")[1:3] == [line["trace_id"], line["span_id"]]


def _raise_with_a_row() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(f"duplicate key {SECRET}") from error


def test_an_error_is_told_without_its_message_which_may_quote_a_row(
    capsys: pytest.CaptureFixture[str], log: logging.Logger
) -> None:
    logs.configure("a-service")
    try:
        _raise_with_a_row()
    except ValueError:
        log.exception("slot_crashed")
    (line,) = lines(capsys)
    assert SECRET not in json.dumps(line)
    told = line["exception"].splitlines()
    assert told[-1] == "builtins.ValueError"
    assert "builtins.KeyError" in told
    assert any("in _raise_with_a_row" in frame for frame in told)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidInput(SECRET, code="bad_cell"), "collect.errors.InvalidInput: bad_cell"),
        (ConnectionRefusedError(111, "Connection refused"), "builtins.ConnectionRefusedError: Connection refused"),
        (AttributeError("no such thing"), "builtins.AttributeError: no such thing"),
    ],
    ids=["ours", "of the system", "of the code"],
)
def test_what_cannot_quote_a_row_is_told(
    capsys: pytest.CaptureFixture[str], log: logging.Logger, error: Exception, told: str
) -> None:
    logs.configure("a-service")
    log.error("failed", exc_info=error)
    (line,) = lines(capsys)
    assert line["exception"] == told
