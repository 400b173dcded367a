"""Between a service and the broker: connections that break, that say nothing, that the broker closes."""

from collections.abc import Iterator

import pytest

from collect.client.api import CollectClient
from collect.jobs.states import State
from collect.testing.system import Service, eventually, free_port
from faults.proxy import BOTH, Proxy, Way
from support.bystander import control
from support.servers import Servers
from support.system_under_test import Plant

ROWS = 20_000
SLOWLY = 500
HEARTBEAT_SECONDS = "2"
SECONDS = 60


@pytest.fixture
def proxy(shared: Plant) -> Iterator[Proxy]:
    with Proxy(shared.amqp_url) as proxy:
        yield proxy


@pytest.fixture
def impatient_broker(servers: Servers, management_url: str) -> Iterator[None]:
    """It looks twice a second for messages that nobody has acked for five seconds."""
    _set(servers, consumer_timeout=5_000, channel_tick_interval=500)
    yield
    _set(servers, consumer_timeout=1_800_000, channel_tick_interval=60_000)


def _set(servers: Servers, **settings: int) -> None:
    for name, value in settings.items():
        control(servers, "eval", f"application:set_env(rabbit, {name}, {value}).")


def said(service: Service, event: str) -> int:
    return service.log.read_text().count(event)


def slow_job(plant: Plant) -> str:
    job = plant.upload(plant.file(rows=ROWS), rows_per_second=SLOWLY)
    plant.until_written(job)
    return job


def hurry(plant: Plant, job: str) -> None:
    plant.client.jobs.patch(job, max_rows_per_second=None)


def test_f14_a_worker_s_connections_are_reset_in_a_slice_again_and_again(shared: Plant, proxy: Proxy) -> None:
    worker = shared.worker(AMQP_URL=proxy.url)
    job = slow_job(shared)
    for lost in range(1, 4):
        proxy.reset()
        eventually(lambda lost=lost: said(worker, "consumer_lost") >= lost, seconds=SECONDS, what="it notices")  # type: ignore[misc]
        written = shared.written(job)
        eventually(lambda written=written: shared.written(job) > written, seconds=SECONDS, what="the job goes on")  # type: ignore[misc]
    hurry(shared, job)
    shared.succeeded(job, rows=ROWS)
    assert worker.process.poll() is None


@pytest.mark.parametrize("way", list(Way))
def test_f14_the_reset_comes_in_the_middle_of_a_message(shared: Plant, proxy: Proxy, way: Way) -> None:
    worker = shared.worker(AMQP_URL=proxy.url)
    job = slow_job(shared)
    for n_bytes in (1, 200, 1_000):
        made = proxy.made
        proxy.reset_after(n_bytes, way)
        eventually(lambda made=made: proxy.made > made, seconds=SECONDS, what="it has connected again")  # type: ignore[misc]
    hurry(shared, job)
    shared.succeeded(job, rows=ROWS)
    assert worker.process.poll() is None


@pytest.mark.parametrize("ways", [BOTH, {Way.TO_CLIENT}], ids=["both", "to client"])
def test_f15_a_worker_in_a_black_hole_is_replaced_and_writes_nothing_after_that(
    shared: Plant, proxy: Proxy, ways: frozenset[Way]
) -> None:
    lonely = shared.worker(AMQP_URL=proxy.url, COLLECT_BROKER_HEARTBEAT_SECONDS=HEARTBEAT_SECONDS)
    job = slow_job(shared)
    proxy.hold(frozenset(ways))
    other = shared.worker(COLLECT_BROKER_HEARTBEAT_SECONDS=HEARTBEAT_SECONDS)
    paused = shared.client.jobs.pause(job, reason="in a black hole")
    written = shared.written(job)
    assert paused.state == State.PAUSED
    eventually(lambda: said(lonely, "consumer_lost"), seconds=SECONDS, what="it gives the broker up")
    assert shared.written(job) == written
    hurry(shared, job)
    shared.client.jobs.resume(job, reason="somebody else is there")
    shared.succeeded(job, rows=ROWS)
    assert said(lonely, "consumer_failed") == 0
    other.kill()
    proxy.flow()
    after = shared.upload(shared.file(rows=1_000), mode="upsert")
    shared.until_state(after, State.SUCCEEDED)
    assert lonely.process.poll() is None


def test_f15_messages_of_a_worker_in_a_black_hole_go_to_another_and_its_slices_are_fenced(
    shared: Plant, proxy: Proxy
) -> None:
    lonely = shared.worker(AMQP_URL=proxy.url, COLLECT_BROKER_HEARTBEAT_SECONDS=HEARTBEAT_SECONDS)
    job = slow_job(shared)
    held = {part["_id"]: part["epoch"] for part in shared.leased(job)}
    assert held
    proxy.hold()
    shared.worker(COLLECT_BROKER_HEARTBEAT_SECONDS=HEARTBEAT_SECONDS)
    hurry(shared, job)
    shared.succeeded(job, rows=ROWS)
    assert lonely.process.poll() is None
    proxy.flow()


def test_f14_f15_a_gateway_answers_whatever_its_broker_does(shared: Plant, proxy: Proxy) -> None:
    port = free_port()
    shared.gateway(port=port, AMQP_URL=proxy.url)
    client = CollectClient(url=f"http://127.0.0.1:{port}", api_key=shared.token)
    shared.worker()
    for disturb in (proxy.reset, proxy.refuse, proxy.hold):
        proxy.flow()
        job = slow_job(shared)
        disturb()
        assert client.jobs.pause(job, reason="whatever").state == State.PAUSED
        written = shared.written(job)
        eventually(lambda job=job: shared.client.jobs.get(job).last_action.slots_free_at, seconds=SECONDS, what="free")  # type: ignore[misc,union-attr]
        assert shared.written(job) == written
        hurry(shared, job)
        assert client.jobs.resume(job, reason="and on").state == State.QUEUED
        shared.until_state(job, State.SUCCEEDED)
        shared.client.jobs.undo(job, reason="make room")
        shared.until_state(job, State.UNDONE)


def test_f16_the_broker_s_consumer_timeout_leads_to_a_fresh_consume_and_the_part_goes_on(
    shared: Plant, impatient_broker: None
) -> None:
    worker = shared.worker(slots=1)
    job = slow_job(shared)
    eventually(lambda: said(worker, "PRECONDITION_FAILED"), seconds=SECONDS, what="the broker's patience is over")
    written = shared.written(job)
    eventually(lambda: shared.written(job) > written, seconds=SECONDS, what="the job goes on")
    hurry(shared, job)
    shared.succeeded(job, rows=ROWS)
    assert worker.process.poll() is None
