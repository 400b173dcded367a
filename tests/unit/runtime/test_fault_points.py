"""The places at which a test makes a slot die: none unless armed, and armed exactly."""

import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from collect.runtime.faults import FaultPoints
from collect.runtime.task import Task


class Toy:
    kind = "toy"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    signals: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: signals.append(number))
    return signals


def test_without_a_setting_the_task_is_left_as_it_is() -> None:
    toy = cast(Task, Toy())
    assert FaultPoints.read("").around(toy) is toy


def test_a_point_is_reached_at_its_row_only(sent: list[int]) -> None:
    points = FaultPoints.read("in_transaction:kill:row=5")
    points.reach("in_transaction", rows=range(5))
    points.reach("before_chunk", rows=range(5, 9))
    assert sent == []
    points.reach("in_transaction", rows=range(5, 9))
    assert sent == [signal.SIGKILL]


def test_once_is_once_for_all_processes(sent: list[int], tmp_path: Path) -> None:
    once = tmp_path / "once"
    points = FaultPoints.read(f"in_undo:stop:once={once}")
    points.reach("in_undo")
    points.reach("in_undo")
    assert sent == [signal.SIGSTOP]
    assert once.exists()


@pytest.mark.parametrize("text", ["in_undo:explode", "in_undo"])
def test_a_setting_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        FaultPoints.read(text)


def test_what_is_not_armed_passes_through(sent: list[int]) -> None:
    calls: list[Any] = []

    class Recording(Toy):
        def plan(self, job: Any, after: Any) -> Any:
            calls.append(job)
            return iter(())

    task = FaultPoints.read("in_undo:kill").around(cast(Task, Recording()))
    assert list(task.plan(cast(Any, "job"), None)) == []
    assert calls == ["job"]
    assert sent == []
