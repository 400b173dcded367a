"""Workers that die, hang, and are sent away, at the worst moments. Named as in the table of faults."""

import os
import signal
from pathlib import Path

from collect.jobs.states import State
from collect.testing.system import eventually
from support.system_under_test import Plant

ROWS = 40_000
MIDDLE = ROWS // 2


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def committed(plant: Plant, job: str) -> list[range]:
    """The rows of each chunk in the ledger."""
    begins = [
        (entry["cursor"]["row"], entry["counts"]["succeeded"] + entry["counts"]["rejected"])
        for entry in plant.db.ledger.find({"job_id": job})
    ]
    return [range(first, first + rows) for first, rows in begins]


def test_f1_a_child_killed_in_the_middle_of_a_chunk_loses_that_chunk_and_nothing_else(plant: Plant) -> None:
    worker = plant.worker(COLLECT_FAULT_POINTS=f"in_transaction:kill:row={MIDDLE}:once={plant.folder / 'f1'}")
    job = plant.upload(plant.file(rows=ROWS, rejects=100), max_rejected={"percent": 50})
    plant.succeeded(job, rows=ROWS, rejected=ROWS // 100)
    assert (plant.folder / "f1").exists()
    assert worker.process.poll() is None


def test_f2_a_parent_killed_while_its_child_lives_takes_the_child_with_it(plant: Plant) -> None:
    worker = plant.worker(slots=1, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={MIDDLE}:once={plant.folder / 'f2'}")
    job = plant.upload(plant.file(rows=ROWS))
    eventually(lambda: (plant.folder / "f2").exists(), seconds=60, what="the slot hangs in a transaction")
    children = worker.children()
    worker.kill()
    eventually(lambda: not any(alive(pid) for pid in children), seconds=10, what="the slots are gone")
    plant.worker()
    plant.succeeded(job, rows=ROWS)


def test_f4_a_worker_killed_after_the_commit_and_before_the_ack_doubles_nothing(plant: Plant) -> None:
    worker = plant.worker(slots=1, COLLECT_FAULT_POINTS=f"after_commit:stop:row={MIDDLE}:once={plant.folder / 'f4'}")
    job = plant.upload(plant.file(rows=ROWS))
    eventually(lambda: (plant.folder / "f4").exists(), seconds=60, what="the chunk is committed")
    assert any(MIDDLE in rows for rows in committed(plant, job))
    worker.kill()
    plant.worker()
    plant.succeeded(job, rows=ROWS)


def test_f5_a_worker_killed_after_the_continuation_is_committed_and_before_the_ack(plant: Plant) -> None:
    worker = plant.worker(slots=1)
    job = plant.upload(plant.file(rows=ROWS), max_rejected={"percent": 50})
    plant.until_written(job)
    epochs = {part["n"]: part["epoch"] for part in plant.leased(job)}
    worker.send(signal.SIGSTOP)  # its child goes on, and ends its slice; nobody acks
    eventually(
        lambda: not any(part["epoch"] == epochs.get(part["n"]) for part in plant.leased(job)),
        seconds=60,
        what="the child has released its part or ended it",
    )
    worker.kill()
    plant.worker()
    plant.succeeded(job, rows=ROWS)


def test_f7_sigterm_in_the_middle_of_a_slice_finishes_the_chunk_and_gives_the_part_back(plant: Plant) -> None:
    worker = plant.worker()
    job = plant.upload(plant.file(rows=ROWS))
    plant.client.jobs.patch(job, max_rows_per_second=4_000)
    plant.until_written(job)
    assert worker.stop(seconds=10) == 0
    assert plant.leased(job) == []
    assert plant.state(job) == State.RUNNING
    assert all(part["losses"] == 0 for part in plant.parts(job))
    plant.client.jobs.patch(job, max_rows_per_second=None)
    plant.worker()
    plant.succeeded(job, rows=ROWS)


def test_f10_a_worker_that_sleeps_longer_than_its_lease_wakes_up_fenced(plant: Plant) -> None:
    sleeper = plant.worker()
    job = plant.upload(plant.file(rows=ROWS))
    plant.client.jobs.patch(job, max_rows_per_second=4_000)
    plant.until_written(job)
    pids = [sleeper.pid, *sleeper.children()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    plant.client.jobs.patch(job, max_rows_per_second=None)
    plant.worker()
    plant.until_state(job, State.SUCCEEDED)
    before = plant.snapshot()
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    after = plant.upload(plant.file(rows=1_000, seed=2), mode="upsert")
    plant.until_state(after, State.SUCCEEDED)
    assert len(before) == ROWS
    plant.sound()


def test_a_slot_that_hangs_is_killed_alone_and_what_it_had_open_with_it(plant: Plant) -> None:
    worker = plant.worker(
        slots=2, COLLECT_FAULT_POINTS=f"in_transaction:stop:row={MIDDLE}:once={plant.folder / 'hang'}"
    )
    job = plant.upload(plant.file(rows=ROWS))
    eventually(lambda: (plant.folder / "hang").exists(), seconds=60, what="a slot hangs in a transaction")
    plant.client.jobs.terminate(job, reason="it hangs")
    plant.until_state(job, State.TERMINATED)
    assert plant.snapshot() == []
    assert worker.process.poll() is None
    eventually(
        lambda: not any(stopped(pid) for pid in worker.children()), seconds=10, what="the slot that hung is gone"
    )
    job = plant.upload(plant.file(rows=ROWS))
    plant.succeeded(job, rows=ROWS)


def test_f7_in_the_middle_of_taking_back(plant: Plant) -> None:
    worker = plant.worker(COLLECT_FAULT_POINTS=f"in_undo:kill:once={plant.folder / 'undo'}")
    job = plant.upload(plant.file(rows=ROWS))
    plant.until_state(job, State.SUCCEEDED)
    plant.client.jobs.undo(job, reason="not wanted")
    eventually(lambda: (plant.folder / "undo").exists(), seconds=60, what="a slot has died while it took back")
    worker.stop()
    plant.worker()
    plant.until_state(job, State.UNDONE)
    assert plant.snapshot() == []
    plant.sound()
