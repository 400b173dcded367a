"""The places at which a test makes a slot die: none unless armed, and armed exactly."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from collect.jobs.model import Counts
from collect.runtime.faults import FaultPoints
from collect.runtime.task import Chunk, Task
from support.waiting import eventually


class Toy:
    kind = "toy"
    rows = None


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
    points.reach("after_commit", rows=range(5, 9))
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


def test_a_chunk_is_known_to_be_committed_when_the_next_one_is_written(sent: list[int]) -> None:
    class Applying(Toy):
        def apply(self, *_: Any, **__: Any) -> Any:
            return None

    task = FaultPoints.read("after_commit:kill:row=5").around(cast(Task, Applying()))

    def apply(first: int, end: int) -> None:
        chunk = Chunk(cursor={"row": end}, rows=end - first, payload=None)
        part = SimpleNamespace(source={}, counts=Counts())
        task.apply(cast(Any, "job"), cast(Any, part), chunk, entry_id="e", session=cast(Any, None))

    for first, end in [(1, 5), (5, 9), (5, 9)]:  # the last one again, as after a conflict
        apply(first, end)
    assert sent == []
    apply(9, 13)
    assert sent == [signal.SIGKILL]


def test_rows_of_a_part_whose_cursor_names_none_are_counted_from_where_the_part_begins(sent: list[int]) -> None:
    class Applying(Toy):
        def apply(self, *_: Any, **__: Any) -> Any:
            return None

    task = FaultPoints.read("in_transaction:kill:row=35").around(cast(Task, Applying()))
    part = SimpleNamespace(source={"row": 21}, counts=Counts(succeeded=4, left_out=6))
    for rows in (4, 5):
        assert sent == []
        chunk = Chunk(cursor={"at": "a key"}, rows=rows, payload=None)
        task.apply(cast(Any, "job"), cast(Any, part), chunk, entry_id="e", session=cast(Any, None))
    assert sent == [signal.SIGKILL]


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
