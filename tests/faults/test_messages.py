"""Messages that nobody should have sent: real workers and monitors take them, and the good job behind them runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from collect.client.errors import ApiError
from collect.jobs.states import State
from collect.messaging import topology
from collect.messaging.messages import Heartbeat, Poke, RunPart, encode
from collect.testing.system import eventually
from support.system_under_test import Plant

ROWS = 6_000
SECONDS = 120.0
QUEUE = topology.job_queue("upload")
UNKNOWN = "01k00000000000000000000000"


def run_part(**change: Any) -> bytes:
    """A job message of a job that does not exist, of which something is changed."""
    body = {"job_id": UNKNOWN, "part": 0, "kind": "upload", "ticket": 1, **change}
    return changed({"body": {name: value for name, value in body.items() if value is not None}})


def changed(change: dict[str, Any]) -> bytes:
    whole = json.loads(encode(RunPart(job_id=UNKNOWN, part=0, kind="upload", ticket=1), traceparent=None))
    return json.dumps({**whole, **change}).encode()


DEAD = {
    "nothing at all": b"",
    "not json": b"not json",
    "not UTF-8": b'{"name": "\xff"}',
    "a list": b"[]",
    "too deep": b"[" * 30_000,
    "over the size limit": run_part(more="x" * 70_000),
    "no envelope": b'{"job_id": "x"}',
    "a later version": changed({"version": 2}),
    "no version": changed({"version": None}),
    "an unknown name": changed({"name": "RunEverything"}),
    "another message's name": changed({"name": "Poke"}),
    "no ticket": run_part(ticket=None),
    "a negative part": run_part(part=-1),
    "a ticket that no store can hold": run_part(ticket=2**70),
    "a ticket that is a query": run_part(ticket={"$gt": 0}),
    "a job that is a query": run_part(job_id={"$gt": ""}),
    "another kind": run_part(kind="export"),
}
FORGOTTEN = {
    "a job that does not exist": run_part(),
    "a part that does not exist": run_part(part=2**40),
    "an id that is an operator": run_part(job_id="$where"),
    "an id with NUL and line ends": run_part(job_id="a\0b\r\n"),
    "an id with what means something in a routing key": run_part(job_id="#.*"),
    "an id of sixty thousand characters": run_part(job_id="x" * 60_000),
    "fields that a later release has added": run_part(shiny={"new": True}),
}


@pytest.fixture
def channel(shared: Plant) -> Iterator[BlockingChannel]:
    """A channel of somebody else. The dead are empty at first."""
    connection = pika.BlockingConnection(pika.URLParameters(shared.amqp_url))
    eventually(lambda: declared(connection, QUEUE, topology.DEAD_QUEUE), seconds=SECONDS, what="the queues are there")
    channel = connection.channel()
    for queue in (QUEUE, topology.DEAD_QUEUE):
        channel.queue_purge(queue)
    yield channel
    connection.close()


def declared(connection: pika.BlockingConnection, *queues: str) -> bool:
    """Whether all these queues exist. The monitor declares them a moment after it has started."""
    channel = connection.channel()
    try:
        for queue in queues:
            channel.queue_declare(queue, passive=True)
    except ChannelClosedByBroker:
        return False
    channel.close()
    return True


def waiting(channel: BlockingChannel, queue: str) -> int:
    found: int = channel.queue_declare(queue, passive=True).method.message_count
    return found


def taken(channel: BlockingChannel) -> list[bytes]:
    """All that is dead."""
    found = []
    while (got := channel.basic_get(topology.DEAD_QUEUE, auto_ack=True))[0] is not None:
        found.append(got[2])
    return found


def tell(channel: BlockingChannel, route: tuple[str, str], body: bytes) -> None:
    channel.basic_publish(*route, body)


def poke(channel: BlockingChannel, job_id: str) -> None:
    tell(channel, topology.poke_route("upload", job_id), encode(Poke(job_id=job_id, kind="upload"), traceparent=None))


def test_bad_messages_die_or_are_forgotten_and_the_good_job_behind_them_runs(
    shared: Plant, channel: BlockingChannel
) -> None:
    route = topology.run_part_route("upload")
    for body in (*DEAD.values(), *FORGOTTEN.values()):
        tell(channel, route, body)
    worker = shared.worker(slots=1)
    job = shared.upload(shared.file(rows=ROWS))
    shared.until_state(job, State.SUCCEEDED, seconds=SECONDS)
    shared.succeeded(job, rows=ROWS)
    eventually(lambda: waiting(channel, topology.DEAD_QUEUE) >= len(DEAD), seconds=SECONDS, what="the dead letters")
    assert waiting(channel, QUEUE) == 0
    assert sorted(taken(channel)) == sorted(DEAD.values())
    assert worker.process.poll() is None
    said = worker.log.read_text()
    assert "slot_crashed" not in said
    assert "consumer_failed" not in said
    assert said.count("message_unreadable") == len(DEAD)


def test_a_worker_killed_in_a_slice_leaves_its_message_to_the_broker(shared: Plant, channel: BlockingChannel) -> None:
    worker = shared.worker(slots=1)
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=500)
    shared.until_written(job, seconds=SECONDS)
    shared.monitor_service.send(signal.SIGSTOP)  # so that only the broker gives the message out again
    try:
        worker.kill()
        eventually(lambda: waiting(channel, QUEUE) > 0, seconds=SECONDS, what="the message waits for another worker")
        method, _, body = channel.basic_get(QUEUE, auto_ack=False)
        assert method is not None
        assert (method.redelivered, json.loads(body or b"")["body"]["job_id"]) == (True, job)
        channel.basic_nack(method.delivery_tag, requeue=True)
    finally:
        shared.monitor_service.send(signal.SIGCONT)
    shared.client.jobs.patch(job, max_rows_per_second=None)
    shared.worker(slots=1)
    shared.succeeded(job, rows=ROWS)


def test_control_and_heartbeats_that_nobody_can_read_make_nobody_deaf(shared: Plant, channel: BlockingChannel) -> None:
    worker = shared.worker(slots=1)
    for body in (*DEAD.values(), *FORGOTTEN.values()):
        tell(channel, topology.poke_route("upload", UNKNOWN), body)
        tell(channel, topology.heartbeat_route(), body)
    job = shared.upload(shared.file(rows=ROWS), rows_per_second=500)
    shared.until_written(job, seconds=SECONDS)
    shared.client.jobs.pause(job, reason="to be heard")
    eventually(lambda: shared.client.jobs.get(job).last_action.slots_free_at, seconds=SECONDS, what="it was heard")  # type: ignore[union-attr]
    seen = shared.db.workers.find_one({})
    assert seen is not None
    eventually(
        lambda: shared.db.workers.count_documents({"at": {"$gt": seen["at"]}}), seconds=SECONDS, what="a heartbeat"
    )
    shared.client.jobs.terminate(job, reason="the end of it")
    shared.until_state(job, State.TERMINATED, seconds=SECONDS)
    assert worker.process.poll() is None
    assert shared.monitor_service.process.poll() is None
    assert "consumer_failed" not in worker.log.read_text() + shared.monitor_service.log.read_text()


def test_f20_messages_with_older_tickets_that_arrive_late_are_forgotten(
    shared: Plant, channel: BlockingChannel
) -> None:
    job = shared.upload(shared.file(rows=ROWS))
    for _ in range(3):
        shared.client.jobs.pause(job, reason="once more")
        shared.client.jobs.resume(job, reason="once more")
    channel.queue_purge(QUEUE)
    newest = shared.parts(job)[0]["ticket"]
    route = topology.run_part_route("upload")
    for ticket in [*range(newest), newest + 1, newest, newest, *range(newest)]:
        tell(channel, route, encode(RunPart(job_id=job, part=0, kind="upload", ticket=ticket), traceparent=None))
    shared.worker(slots=2)
    shared.until_state(job, State.SUCCEEDED, seconds=SECONDS)
    shared.succeeded(job, rows=ROWS)
    eventually(lambda: waiting(channel, QUEUE) == 0, seconds=SECONDS, what="the late ones are gone")
    assert taken(channel) == []
    assert shared.db.parts.count_documents({"job_id": job, "losses": {"$gt": 0}}) == 0


def test_f21_a_job_whose_message_no_queue_takes_runs_all_the_same(shared: Plant, channel: BlockingChannel) -> None:
    shared.worker(slots=1)
    exchange, key = topology.run_part_route("upload")
    channel.queue_unbind(QUEUE, exchange, key)
    job = shared.upload(shared.file(rows=ROWS))
    shared.until_state(job, State.SUCCEEDED, seconds=SECONDS)
    shared.succeeded(job, rows=ROWS)


def test_a_message_that_comes_back_for_ever_dies_and_its_job_goes_on(shared: Plant, channel: BlockingChannel) -> None:
    job = shared.upload(shared.file(rows=ROWS))
    for _ in range(topology.DELIVERY_LIMIT + 1):
        got = eventually(lambda: fetched(channel), seconds=SECONDS, what="the message again")
        channel.basic_nack(got, requeue=True)
    eventually(lambda: waiting(channel, topology.DEAD_QUEUE) == 1, seconds=SECONDS, what="it is dead")
    shared.worker(slots=1)
    shared.until_state(job, State.SUCCEEDED, seconds=SECONDS)
    shared.succeeded(job, rows=ROWS)
    (dead,) = taken(channel)
    assert json.loads(dead)["body"]["job_id"] == job


def fetched(channel: BlockingChannel) -> int | None:
    method, _, _ = channel.basic_get(QUEUE)
    return None if method is None else method.delivery_tag


def test_f30_control_before_the_message_for_nobody_and_after_the_end_changes_nothing(
    shared: Plant, channel: BlockingChannel
) -> None:
    worker = shared.worker(slots=1)
    path = shared.file(rows=ROWS)
    finished = shared.upload(path)
    shared.until_state(finished, State.SUCCEEDED, seconds=SECONDS)
    poke(channel, UNKNOWN)
    poke(channel, finished)
    with pytest.raises(ApiError):
        shared.client.jobs.pause(finished, reason="too late")
    with pytest.raises(ApiError):
        shared.client.jobs.pause(UNKNOWN, reason="never was")
    shared.client.jobs.undo(finished, reason="to begin anew")
    shared.until_state(finished, State.UNDONE, seconds=SECONDS)
    early = shared.upload(path)
    shared.client.jobs.pause(early, reason="before anybody has begun")
    poke(channel, early)
    shared.client.jobs.resume(early, reason="now")
    shared.succeeded(early, rows=ROWS)
    assert worker.process.poll() is None
    assert taken(channel) == []


def test_a_heartbeat_of_nobody_frees_nothing_and_takes_nothing(shared: Plant, channel: BlockingChannel) -> None:
    """A worker that never was claims to hold a part of a real job; the part's own state says who does."""
    job = shared.upload(shared.file(rows=ROWS))
    slot = {"job_id": job, "part": 0, "epoch": 2**60, "rate": 1e300, "rss": 2**62, "cpu": 1.0}
    beat = Heartbeat.model_validate(
        {"worker_id": "ghost", "kind": "upload", "version": "?", "slots": [slot], "at": "2026-01-01T00:00:00Z"}
    )
    tell(channel, topology.heartbeat_route(), encode(beat, traceparent=None))
    eventually(lambda: shared.db.workers.find_one({"_id": "ghost"}), seconds=SECONDS, what="it is heard")
    shared.worker(slots=1)
    shared.until_state(job, State.SUCCEEDED, seconds=SECONDS)
    shared.succeeded(job, rows=ROWS)
    shared.db.workers.delete_one({"_id": "ghost"})
