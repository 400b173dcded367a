"""Every state of the protocol's model, up to a bound. `MODEL_STATES` is the knob of a long run."""

import os

import pytest

from model.explorer import explore
from model.snapshots import SnapshotSystem
from model.stores import Database
from model.system import System
from model.undo_documents import histories, outcome
from model.world import Budget, Scenario, World

STATES = int(os.environ.get("MODEL_STATES", "30000"))

ATOMIC = {
    "pause, resume, crash": Scenario(verbs=("pause", "resume"), budget=Budget(crashes=1)),
    "no parts, crashes": Scenario(parts=0, verbs=("pause", "resume", "terminate", "undo"), budget=Budget(crashes=2)),
    "terminate, undo, crashes": Scenario(verbs=("terminate", "undo"), budget=Budget(crashes=2)),
    "a zombie and a lost channel, pause, terminate": Scenario(
        verbs=("pause", "terminate"), budget=Budget(zombies=1, channels=1)
    ),
    "a zombie in undo, two parts": Scenario(
        parts=2, window=1, verbs=("terminate",), budget=Budget(zombies=1, crashes=1)
    ),
    "messages doubled and lost, a crash": Scenario(
        verbs=("terminate",), budget=Budget(crashes=1, duplicates=1, losses=1)
    ),
    "a window of one, drained": Scenario(
        parts=2, chunks=2, window=1, verbs=("pause", "resume"), budget=Budget(drains=1)
    ),
    "supersede at any moment": Scenario(verbs=("supersede", "pause", "resume"), budget=Budget(crashes=2)),
    "poison, then the next": Scenario(verbs=("create", "resume", "undo"), budget=Budget(crashes=3)),
    "behind another job": Scenario(waits=True, verbs=("end", "pause", "resume"), budget=Budget(crashes=1)),
    "stopped behind another job": Scenario(waits=True, verbs=("end", "pause", "stop"), budget=Budget(crashes=1)),
    "correct at any moment": Scenario(verbs=("pause", "resume", "correct")),
    "correct once the plan is whole": Scenario(parts=2, verbs=("pause", "resume", "correct")),
    "poison, then corrected": Scenario(verbs=("correct", "undo"), budget=Budget(crashes=3)),
    "correct, crash, terminate": Scenario(verbs=("pause", "terminate", "correct"), budget=Budget(crashes=1)),
    "finish races with terminate": Scenario(verbs=("terminate", "undo"), budget=Budget(crashes=1, zombies=1)),
    "planning, pause, resume, crash": Scenario(parts=2, verbs=("pause", "resume"), budget=Budget(crashes=1)),
    "planning, a zombie, terminate": Scenario(parts=2, verbs=("terminate",), budget=Budget(zombies=1, drains=1)),
    "planning, stop, undo": Scenario(parts=2, verbs=("stop", "undo"), budget=Budget(crashes=1)),
    "planning, supersede": Scenario(parts=2, window=1, verbs=("supersede", "pause"), budget=Budget(crashes=1)),
    "a plan is refused": Scenario(parts=2, verbs=("resume", "undo"), budget=Budget(refusals=2, crashes=1)),
    "one part alone, drained": Scenario(chunks=2, verbs=("pause", "resume"), budget=Budget(drains=1, crashes=1)),
    "one part alone, poison": Scenario(chunks=2, verbs=("resume", "undo"), budget=Budget(crashes=3)),
    "one part alone, corrected": Scenario(verbs=("pause", "correct", "terminate"), budget=Budget(zombies=1)),
}
SNAPSHOTS = {
    "pause, terminate": Scenario(verbs=("pause", "terminate")),
    "terminate, two parts": Scenario(parts=2, verbs=("terminate",)),
    "create, terminate, drop": Scenario(verbs=("create", "terminate", "drop")),
    "supersede and resume": Scenario(verbs=("supersede", "pause", "resume")),
    "two parts done at once": Scenario(parts=3),
    "one part alone, any verb": Scenario(verbs=("pause", "resume", "stop", "undo")),
    "a plan is refused": Scenario(parts=2, verbs=("undo",), budget=Budget(refusals=1)),
    "correct, terminate": Scenario(verbs=("pause", "correct", "terminate")),
    "correct, then the next": Scenario(verbs=("correct", "create", "undo")),
    "planning, fed by the monitor": Scenario(parts=2, verbs=("pause",), budget=Budget(feeds=1)),
    "the monitor feeds": Scenario(parts=2, window=1, verbs=("pause", "resume"), budget=Budget(feeds=1)),
    "behind another job": Scenario(waits=True, verbs=("end", "pause", "resume")),
}


@pytest.mark.parametrize("name", list(ATOMIC))
def test_no_promise_is_broken_when_transactions_are_atomic(name: str) -> None:
    assert explore(System(ATOMIC[name]), most_states=STATES).finding is None


@pytest.mark.parametrize("name", list(SNAPSHOTS))
def test_no_promise_is_broken_under_snapshot_isolation(name: str) -> None:
    assert explore(SnapshotSystem(SNAPSHOTS[name]), most_states=STATES).finding is None


def test_without_the_rule_that_feeding_writes_the_job_a_paused_job_holds_a_live_ticket() -> None:
    scenario = Scenario(parts=2, window=1, verbs=("pause",), budget=Budget(feeds=1))
    found = explore(SnapshotSystem(scenario, feeding_writes_the_job=False), most_states=200_000).finding
    assert found is not None
    assert found.promise == "nothing of a job that is paused can be claimed or is held"


def test_without_the_rule_that_handing_over_writes_the_job_the_next_one_is_never_fed() -> None:
    scenario = Scenario(waits=True, verbs=("end", "pause", "resume"))
    assert explore(SnapshotSystem(scenario, handing_over_writes_the_job=False), most_states=200_000).finding is not None


def test_without_counting_the_part_that_plans_a_job_finishes_before_its_plan_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Uncounted(System):
        def start(self) -> World:
            world = super().start()
            return world._replace(db=world.db._replace(job=world.db.job._replace(parts_left=0)))

        def _broken_count(self, db: Database) -> str | None:
            return None

    monkeypatch.setattr("model.stores.PLANNER", 0)
    found = explore(Uncounted(Scenario(parts=2)), most_states=STATES).finding
    assert found is not None
    assert found.promise == "a job that has succeeded wrote everything"


def test_a_broken_protocol_is_found_by_the_shortest_way() -> None:
    """The explorer is worth something only if it finds what is broken: here, an owner that nothing fences."""

    class Unfenced(System):
        def _worker(self, world, number, worker):  # type: ignore[no-untyped-def]
            for label, by_system, after in super()._worker(world, number, worker):
                if label.endswith("is fenced"):
                    part = world.db.parts[worker.part]
                    if part.effects and part.seq < len(part.effects):
                        yield self._chunk(world, number, worker, part, by=1)
                        continue
                yield label, by_system, after

    found = explore(Unfenced(Scenario(verbs=("terminate",))), most_states=STATES).finding
    assert found is not None
    assert any("terminate" in step for step in found.way)


def test_the_first_touch_rule_takes_documents_back_in_any_order_and_the_revision_rule_does_not() -> None:
    outcomes = [outcome(touches, order) for touches, order in histories()]
    assert all(found.by_first_touch == found.ideal for found in outcomes)
    assert any(found.by_revision != found.ideal for found in outcomes)
