"""The places at which a test makes a slot die: none unless armed, and armed exactly."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from collect.runtime.faults import FaultPoints
from collect.runtime.task import Task
from waiting import eventually


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


def test_what_holds_is_let_go_by_what_is_written_into_its_file(tmp_path: Path) -> None:
    held = tmp_path / "held"
    points = FaultPoints.read(f"in_finish:hold:once={held}")
    with ThreadPoolExecutor(1) as threads:
        reached = threads.submit(points.reach, "in_finish")
        eventually(held.exists, what="it holds")
        assert not reached.done()
        held.write_text("go on")
        reached.result(timeout=10)


def test_what_lingers_shows_life_meanwhile() -> None:
    points = FaultPoints.read("in_plan:linger:seconds=0.12")
    assert len(list(points.linger("in_plan"))) > 1
    assert list(points.linger("in_finish")) == []


@pytest.mark.parametrize("text", ["in_undo:explode", "in_undo", "in_undo:hold"])
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
