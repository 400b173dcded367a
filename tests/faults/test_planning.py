"""A file that is written while it is planned: the planner killed, paused, sent away, or coming upon what it refuses."""

import os
import signal
from pathlib import Path
from typing import Any

from collect.jobs.states import State
from collect.testing.system import Service, eventually
from support.system_under_test import Plant

ROWS = 4_000
WIDTH = 5_000
"""Bytes of a row: the file has five parts."""
SLOTS = 2
HELD_AT = 2_000
"""A row of a part in the middle. Whoever finds that part lingers there, the first time."""


def wide(plant: Plant, *, begin: str = "", end: str = "") -> Path:
    """A file with ``begin`` before its rows and ``end`` behind them."""
    path = plant.folder / f"wide{len(begin)}-{len(end)}.csv"
    lines = "".join(f"{row},{row:0{WIDTH}d}\n" for row in range(ROWS))
    path.write_text(f"respondent_id,village\n{begin}{lines}{end}", encoding="utf-8")
    return path


def held(plant: Plant, path: Path, **params: Any) -> tuple[Service, str]:
    """A worker, and a job whose planner is in the middle of the file, while rows further up are written."""
    mark = plant.marks / "held"
    worker = plant.worker(
        slots=SLOTS, COLLECT_FAULT_POINTS=f"after_planned:linger:seconds=300:row={HELD_AT}:once={mark}"
    )
    job = plant.upload(path, **params)
    plant.until_written(job, rows=700)
    assert plant.parts(job)[0]["phase"] == "plan"
    assert plant.client.jobs.get(job).progress.total is None
    return worker, job


def kill_planner(plant: Plant, worker: Service, job: str) -> None:
    """SIGKILL for the slot that holds part 0, which its name ends with."""
    slot = int(plant.parts(job)[0]["owner"].rsplit("/", 1)[1])
    os.kill(worker.children()[-SLOTS:][slot], signal.SIGKILL)


def test_a_planner_killed_in_the_middle_of_its_file_is_followed_by_one_that_goes_on_behind(shared: Plant) -> None:
    worker, job = held(shared, wide(shared))
    before = {part["_id"]: part["source"] for part in shared.parts(job)[1:]}
    kill_planner(shared, worker, job)
    shared.succeeded(job, rows=ROWS)
    after = {part["_id"]: part["source"] for part in shared.parts(job)}
    assert before.items() <= after.items()
    assert len(after) > len(before) + 1


def test_pause_in_the_middle_of_planning_holds_tells_what_is_left_and_resume_goes_on(shared: Plant) -> None:
    _, job = held(shared, wide(shared))
    shared.client.jobs.pause(job, reason="wait")
    written = shared.written(job)
    eventually(lambda: not shared.leased(job), seconds=60, what="the slots are free")
    assert shared.written(job) == written
    rest = shared.folder / "rest.csv"
    shared.client.jobs.save_unprocessed(job, rest)
    unprocessed = {line.partition(",")[0] for line in rest.read_text().splitlines()[1:]}
    assert unprocessed == {str(row) for row in range(ROWS)} - {row["_id"].split("|")[2] for row in shared.snapshot()}
    shared.client.jobs.resume(job, reason="go on")
    shared.succeeded(job, rows=ROWS)


def test_terminate_in_the_middle_of_planning_takes_everything_back(shared: Plant) -> None:
    _, job = held(shared, wide(shared))
    shared.client.jobs.terminate(job, reason="not this file")
    shared.until_state(job, State.TERMINATED)
    assert shared.snapshot() == []


def test_a_worker_sent_away_in_the_middle_of_planning_gives_the_plan_back(shared: Plant) -> None:
    worker, job = held(shared, wide(shared))
    assert worker.stop(seconds=30) == 0
    assert shared.leased(job) == []
    assert all(part["losses"] == 0 for part in shared.parts(job))
    shared.worker()
    shared.succeeded(job, rows=ROWS)


def test_a_file_that_is_refused_at_its_end_says_what_was_written_before_and_undo_takes_it_back(shared: Plant) -> None:
    worker, job = held(shared, wide(shared, end='last,"open\n'))
    kill_planner(shared, worker, job)
    shared.until_state(job, State.FAILED)
    failed = shared.client.jobs.get(job)
    assert failed.reason is not None
    assert failed.reason.code == "unclosed_quote"
    assert f"row {ROWS + 1:,}" in failed.reason.message
    assert f"{shared.written(job):,} rows further up had been written before that." in failed.reason.message
    assert failed.progress.total is None
    shared.sound()
    shared.client.jobs.undo(job, reason="not this file")
    shared.until_state(job, State.UNDONE)
    assert shared.snapshot() == []


def test_a_share_of_rejects_is_judged_once_the_plan_is_whole_and_the_job_does_not_succeed_before(shared: Plant) -> None:
    worker, job = held(shared, wide(shared, begin=",no key\n" * 100), max_rejected={"percent": 1})
    eventually(lambda: shared.parts(job)[1]["status"] == "done", seconds=60, what="the part with the rejects is done")
    assert shared.state(job) is State.RUNNING
    kill_planner(shared, worker, job)
    assert shared.until_state(job, State.PAUSED, State.SUCCEEDED) is State.PAUSED
    paused = shared.client.jobs.get(job)
    assert paused.reason is not None
    assert paused.reason.code == "rejections_over_limit"
    shared.client.jobs.resume(job, reason="they may be left out")
    shared.succeeded(job, rows=ROWS + 100, rejected=100)
