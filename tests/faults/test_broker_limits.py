"""What the broker refuses: a full queue, an alarm, a binding or a queue that is not there. And a relay that dies."""

import signal
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit

import pytest

from collect.client.api import CollectClient
from collect.demo import baseline
from collect.jobs.states import State
from collect.messaging import topology
from collect.storage.database import Document
from collect.testing.system import Service, eventually, free_port
from stack import rabbitmq
from support.bystander import control
from support.servers import Servers
from support.system_under_test import Plant

ROWS = 4_000
SLOWLY = 20
JOBS = 5
SECONDS = 60
QUEUE = topology.job_queue("upload")
DISK_FREE_BYTES = 50_000_000
ALARMS = {
    "memory": (("set_vm_memory_high_watermark", "0.0001"), ("set_vm_memory_high_watermark", "0.4")),
    "disk": (("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", str(DISK_FREE_BYTES))),
}


class Broker:
    """The plant's virtual host, as an operator changes it."""

    def __init__(self, management_url: str, plant: Plant) -> None:
        self._management_url = management_url
        self.vhost = quote(unquote(urlsplit(plant.amqp_url).path[1:]), safe="")

    def call(self, method: str, path: str, body: Document | None = None) -> Document:
        answer: Document = rabbitmq.call(self._management_url, method, path.format(vhost=self.vhost), body)
        return answer

    def limit(self, length: int) -> None:
        definition = {"max-length": length, "overflow": "reject-publish"}
        body = {"pattern": f"^{QUEUE}$", "apply-to": "queues", "definition": definition, "priority": 9}
        self.call("PUT", "/api/policies/{vhost}/full", body)

    def no_limit(self) -> None:
        self.call("DELETE", "/api/policies/{vhost}/full")

    def unbind(self) -> None:
        self.call("DELETE", f"/api/bindings/{{vhost}}/e/{topology.JOBS}/q/{QUEUE}/upload")

    def purge(self) -> None:
        self.call("DELETE", f"/api/queues/{{vhost}}/{QUEUE}/contents")

    def delete_queue(self) -> None:
        self.call("DELETE", f"/api/queues/{{vhost}}/{QUEUE}")

    def effective(self) -> Document:
        """Of the policies, what is in force on the queue."""
        return self.call("GET", f"/api/queues/{{vhost}}/{QUEUE}").get("effective_policy_definition") or {}

    def waiting(self) -> int:
        return int(self.call("GET", f"/api/queues/{{vhost}}/{QUEUE}").get("messages", 0))


@pytest.fixture
def broker(management_url: str, shared: Plant) -> Broker:
    return Broker(management_url, shared)


def uploads(plant: Plant, count: int = JOBS) -> list[str]:
    """So many jobs, each on a dataset of its own."""
    path = plant.file(rows=ROWS)
    return [plant.upload(path, dataset=plant.dataset(f"limits{n}")) for n in range(count)]


def all_succeed(plant: Plant, jobs: list[str]) -> None:
    for job in jobs:
        plant.until_state(job, State.SUCCEEDED)
        assert plant.written(job) == ROWS
    eventually(lambda: not plant.db.outbox.count_documents({}), seconds=SECONDS, what="the outbox is empty")


def unsent(plant: Plant) -> int:
    """Tickets that are still in the outbox."""
    return plant.db.outbox.count_documents({"exchange": topology.JOBS})


def said(service: Service, words: str) -> int:
    return service.log.read_text().count(words)


def test_f17_a_full_queue_refuses_and_the_relay_brings_it_later(shared: Plant, broker: Broker) -> None:
    broker.limit(1)
    eventually(lambda: broker.effective().get("max-length") == 1, seconds=SECONDS, what="the limit is in force")
    jobs = uploads(shared)
    eventually(lambda: said(shared.monitor_service, "message_refused"), seconds=SECONDS, what="the relay is refused")
    assert 0 < unsent(shared) < JOBS
    assert not shared.db.outbox.count_documents({"exchange": topology.EVENTS})
    shared.worker()
    broker.no_limit()
    all_succeed(shared, jobs)


def test_f17_a_job_ends_while_its_queue_is_full_all_the_time(shared: Plant, broker: Broker) -> None:
    broker.limit(1)
    eventually(lambda: broker.effective().get("max-length") == 1, seconds=SECONDS, what="the limit is in force")
    jobs = uploads(shared)
    shared.worker(slots=1)
    all_succeed(shared, jobs)
    broker.no_limit()


@pytest.mark.parametrize("alarm", ALARMS)
def test_f18_an_alarm_stops_publishing_and_loses_nothing(shared: Plant, servers: Servers, alarm: str) -> None:
    raise_it, lower_it = ALARMS[alarm]
    shared.worker()
    slow = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    shared.until_written(slow)
    control(servers, *raise_it)
    try:
        jobs = uploads(shared)
        assert shared.client.jobs.pause(slow, reason="an alarm").state == State.PAUSED
        assert shared.client.jobs.resume(slow, reason="an alarm").state == State.QUEUED
        eventually(lambda: unsent(shared) >= JOBS, seconds=SECONDS, what="what cannot be sent is kept")
        assert all(shared.state(job) is State.QUEUED for job in jobs)
    finally:
        control(servers, *lower_it)
    shared.client.jobs.patch(slow, max_rows_per_second=None)
    all_succeed(shared, [slow, *jobs])


def test_f21_a_missing_binding_is_seen_and_corrected_and_nothing_is_lost(shared: Plant, broker: Broker) -> None:
    shared.worker()
    all_succeed(shared, uploads(shared, 1))
    broker.unbind()
    job = shared.upload(shared.file(rows=ROWS))
    eventually(lambda: said(shared.gateway_service, '"why": "unroutable"'), seconds=SECONDS, what="it is seen")
    all_succeed(shared, [job])


def test_the_job_queue_is_deleted_while_it_is_consumed(shared: Plant, broker: Broker) -> None:
    worker = shared.worker(slots=1)
    slow = shared.upload(shared.file(rows=ROWS), rows_per_second=SLOWLY)
    jobs = uploads(shared, 2)
    shared.until_written(slow)
    broker.delete_queue()
    eventually(lambda: said(worker, "consumer_cancelled"), seconds=SECONDS, what="the worker is told")
    shared.client.jobs.patch(slow, max_rows_per_second=None)
    all_succeed(shared, [slow, *jobs])
    assert worker.process.poll() is None


def monitors_deletions(plant: Plant, *, mode: str) -> None:
    """``alwaysOn``: each of their deletions loses its connection and does not happen. ``off``: all is well again."""
    data = {"failCommands": ["delete"], "appName": "monitor", "closeConnection": True}
    what = {"data": data} if mode != "off" else {}
    plant.db.client.admin.command({"configureFailPoint": "failCommand", "mode": mode, **what})


@pytest.fixture
def no_deletes(shared: Plant) -> Iterator[None]:
    """No relay gets to mark what it has sent."""
    monitors_deletions(shared, mode="alwaysOn")
    yield
    monitors_deletions(shared, mode="off")


@pytest.fixture
def no_monitor(shared: Plant) -> Iterator[None]:
    """The plant's own stands still."""
    shared.monitor_service.send(signal.SIGSTOP)
    yield
    shared.monitor_service.send(signal.SIGCONT)


def test_f22_f23_a_relay_killed_between_the_confirm_and_the_deletion_doubles_the_message_and_not_the_job(
    shared: Plant, broker: Broker, no_monitor: None, no_deletes: None
) -> None:
    broker.purge()
    port = free_port()
    shared.gateway(port=port, AMQP_URL=f"amqp://guest:guest@127.0.0.1:{free_port()}/")
    deaf = CollectClient(url=f"http://127.0.0.1:{port}", api_key=shared.token)
    file = deaf.files.upload(shared.file(rows=ROWS))
    job = deaf.jobs.create("upload", {"file_id": file.id, "dataset": baseline.NAME}, reason="nobody publishes").id
    victim = shared.monitor()
    eventually(broker.waiting, seconds=SECONDS, what="the message is sent and confirmed")
    victim.kill()
    sent = broker.waiting()
    assert unsent(shared)
    monitors_deletions(shared, mode="off")
    shared.monitor()
    eventually(lambda: not unsent(shared), seconds=SECONDS, what="the relay has sent it again")
    eventually(lambda: broker.waiting() > sent, seconds=SECONDS, what="it is there twice")
    shared.worker()
    all_succeed(shared, [job])
    assert [part["losses"] for part in shared.parts(job)] == [0] * len(shared.parts(job))
