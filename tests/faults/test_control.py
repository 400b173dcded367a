"""A verb needs no control message, no worker and no single monitor: each may be gone."""

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

from collect.jobs.states import State
from collect.messaging import topology
from collect.testing.system import Service, eventually
from stack import rabbitmq
from support.bystander import control
from support.servers import Servers
from support.system_under_test import Plant

ROWS = 20_000
SLOWLY = 100
SECONDS = 60


class ControlQueues:
    """The queues of the workers' own, bound to the control topic."""

    def __init__(self, servers: Servers, plant: Plant) -> None:
        self._servers = servers
        self._vhost = unquote(urlsplit(plant.amqp_url).path[1:])

    def names(self) -> set[str]:
        found = self._call("GET", f"/api/exchanges/{quote(self._vhost, safe='')}/{topology.CONTROL}/bindings/source")
        return {each["destination"] for each in found}

    def unbind(self) -> None:
        """All of them, without a word to their workers: the exchange goes, and comes back when it is published to."""
        self._call("DELETE", f"/api/exchanges/{quote(self._vhost, safe='')}/{topology.CONTROL}")

    def delete(self) -> None:
        """The management API may not delete what is exclusively somebody else's."""
        for name in self.names():
            control(self._servers, "delete_queue", "--vhost", self._vhost, name)

    def _call(self, method: str, path: str) -> Any:
        return rabbitmq.call(self._servers.management_url, method, path)


@pytest.fixture
def control_queues(servers: Servers, shared: Plant) -> ControlQueues:
    return ControlQueues(servers, shared)


def slow_job(plant: Plant) -> str:
    job = plant.upload(plant.file(rows=ROWS), rows_per_second=SLOWLY)
    plant.until_written(job)
    return job


def stop(worker: Service) -> None:
    """The whole of it stands still, and says nothing more."""
    for pid in [worker.pid, *worker.children()]:
        os.kill(pid, signal.SIGSTOP)


def slots_are_free(plant: Plant, job: str) -> bool:
    action = plant.client.jobs.get(job).last_action
    return action is not None and action.slots_free_at is not None


def pause(plant: Plant, job: str) -> None:
    """Pause, see the slots free and nothing written after the answer."""
    assert plant.client.jobs.pause(job, reason="control is gone").state == State.PAUSED
    written = plant.written(job)
    eventually(lambda: slots_are_free(plant, job), seconds=SECONDS, what="slots are free")
    assert plant.written(job) == written


def finish(plant: Plant, job: str) -> None:
    plant.client.jobs.patch(job, max_rows_per_second=None)
    plant.client.jobs.resume(job, reason="go on")
    plant.succeeded(job, rows=ROWS)


def test_f34_without_any_control_message_a_slot_finds_out_by_itself(
    shared: Plant, control_queues: ControlQueues
) -> None:
    shared.worker()
    job = slow_job(shared)
    control_queues.unbind()
    pause(shared, job)
    assert not control_queues.names()
    finish(shared, job)


def test_f34_control_queues_that_are_deleted_are_made_anew_and_verbs_hold_meanwhile(
    shared: Plant, control_queues: ControlQueues
) -> None:
    workers = [shared.worker(), shared.worker()]
    job = slow_job(shared)
    eventually(lambda: len(control_queues.names()) == len(workers), seconds=SECONDS, what="each worker has one")
    before = control_queues.names()
    control_queues.delete()
    pause(shared, job)
    eventually(
        lambda: len(control_queues.names() - before) == len(workers), seconds=SECONDS, what="each worker has a new one"
    )
    finish(shared, job)
    assert all(worker.process.poll() is None for worker in workers)


def test_a_worker_lost_with_slots_that_were_cut_does_not_hold_them_for_ever(shared: Plant) -> None:
    worker = shared.worker()
    job = slow_job(shared)
    stop(worker)
    assert shared.client.jobs.pause(job, reason="it hangs").state == State.PAUSED
    assert not slots_are_free(shared, job)
    worker.kill()
    eventually(lambda: slots_are_free(shared, job), seconds=SECONDS, what="slots are free")
    shared.worker()
    finish(shared, job)


def test_f36_without_a_monitor_jobs_go_on_and_what_waits_for_one_goes_on_when_it_is_back(shared: Plant) -> None:
    shared.monitor_service.send(signal.SIGSTOP)
    try:
        worker = shared.worker()
        done = shared.upload(shared.file(rows=ROWS), dataset=shared.dataset("another"))
        shared.until_state(done, State.SUCCEEDED)
        hung, timed = slow_job(shared), shared.upload(shared.file(rows=ROWS), dataset=shared.dataset("third"))
        soon = datetime.now(UTC) + timedelta(seconds=1)
        shared.client.jobs.pause(timed, until=soon, reason="nobody resumes it")
        stop(worker)
        shared.client.jobs.patch(hung, max_rows_per_second=None)
        shared.worker()
    finally:
        shared.monitor_service.send(signal.SIGCONT)
    for job in (hung, timed):
        shared.until_state(job, State.SUCCEEDED)
        assert shared.written(job) == ROWS


def test_f36_two_monitors_side_by_side_free_and_publish_each_part_once(shared: Plant) -> None:
    monitors = [shared.monitor_service, shared.monitor()]
    reaped = _reaped(monitors)
    worker = shared.worker()
    job = slow_job(shared)
    held = shared.leased(job)
    stop(worker)
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.worker()
    shared.succeeded(job, rows=ROWS)
    assert _reaped(monitors) - reaped == len(held) > 0
    assert all(monitor.process.poll() is None for monitor in monitors)


def _reaped(monitors: list[Service]) -> int:
    return sum(monitor.log.read_text().count('"part_reaped"') for monitor in monitors)
