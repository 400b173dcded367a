"""The broker restarts, messages come twice and late, a gateway dies with its messages unsent."""

import functools
import itertools
import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collect.client.errors import ApiError
from collect.jobs.states import FINAL, RESTING, State
from collect.messaging import topology
from collect.messaging.messages import RunPart, encode
from collect.messaging.publisher import Publisher
from collect.testing.system import eventually, free_port
from stack.children import Child
from support.system_under_test import REST_SECONDS, Plant

ROWS = 40_000


def test_f12_f19_the_same_message_ten_times_at_once_runs_a_part_once(plant: Plant) -> None:
    first, second = plant.worker(), plant.worker()
    job = plant.upload(plant.file(rows=ROWS))
    plant.until_written(job)
    exchange, key = topology.run_part_route("upload")
    publisher = Publisher(plant.amqp_url)
    for body in _tickets(plant, job) * 10:
        publisher.publish(exchange=exchange, routing_key=key, body=body, mandatory=True)
    publisher.close()
    plant.succeeded(job, rows=ROWS)
    assert first.process.poll() is None
    assert second.process.poll() is None


def test_f13_the_broker_is_restarted_in_the_middle_of_a_job(plant: Plant, own_broker: Child) -> None:
    worker = plant.worker()
    job = plant.upload(plant.file(rows=ROWS))
    plant.client.jobs.patch(job, max_rows_per_second=4_000)
    plant.until_written(job)
    own_broker.stop()
    paused = plant.client.jobs.pause(job, reason="the broker is away")
    assert paused.state == State.PAUSED
    own_broker.start()
    plant.client.jobs.patch(job, max_rows_per_second=None)
    plant.client.jobs.resume(job, reason="it is back")
    plant.succeeded(job, rows=ROWS)
    assert worker.process.poll() is None


def test_f22_a_gateway_killed_between_its_commit_and_its_publish_leaves_nothing_behind(plant: Plant) -> None:
    plant.worker()
    plant.gateway_service.stop()
    deaf = plant.gateway_without_broker(f"amqp://guest:guest@127.0.0.1:{free_port()}/")
    job = plant.upload(plant.file(rows=ROWS))
    deaf.kill()
    plant.succeeded(job, rows=ROWS)


def test_a_gateway_that_is_killed_leaves_its_port_even_when_its_worker_hangs(plant: Plant) -> None:
    (worker,) = plant.gateway_service.children()
    os.kill(worker, signal.SIGSTOP)
    plant.gateway_service.kill()
    following = plant.gateway()
    assert "Connection in use" not in following.log.read_text()
    # Dead it stays in the list of processes until the one that has inherited it looks.
    eventually(lambda: not Path(f"/proc/{worker}").exists(), seconds=REST_SECONDS, what="its worker is gone")


@pytest.mark.parametrize("seed", range(6))
def test_f31_verbs_at_once_in_any_order_leave_one_resting_state(plant: Plant, seed: int) -> None:
    rng = random.Random(seed)
    plant.worker()
    path = plant.file(rows=8_000)
    orders = list(itertools.permutations(("pause", "resume", "stop", "terminate")))
    for order in rng.sample(orders, 4):
        job = plant.upload(path)
        plant.until_written(job)
        with ThreadPoolExecutor(len(order)) as threads:
            list(threads.map(functools.partial(_ask, plant, job), order))
        state = plant.state(job)
        if state not in RESTING:
            state = plant.until_state(job, *RESTING)
        if state not in FINAL:
            plant.client.jobs.terminate(job, reason="the end of it")
        plant.until_state(job, *FINAL)
        if plant.state(job) != State.TERMINATED:
            plant.client.jobs.undo(job, reason="the end of it")
            plant.until_state(job, State.UNDONE)
        assert plant.snapshot() == []
    plant.sound()


def _ask(plant: Plant, job: str, verb: str) -> None:
    try:
        getattr(plant.client.jobs, verb)(job, reason="all at once")
    except ApiError as refused:
        if refused.status != 409:
            raise


def _tickets(plant: Plant, job: str) -> list[str]:
    return [
        encode(RunPart(job_id=job, part=part["n"], kind="upload", ticket=part["ticket"]), traceparent=None).decode()
        for part in plant.parts(job)
    ]
