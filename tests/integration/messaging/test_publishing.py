"""Publishing: what is confirmed is there; what is not is said, within seconds."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from collect.errors import Transient
from collect.messaging import outbox, topology
from collect.messaging import publisher as publisher_module
from collect.messaging.messages import Poke, RunPart, decode, encode
from collect.messaging.outbox import OutboxSender
from collect.messaging.publisher import CONFIRM_SECONDS, CONNECT_SECONDS, Blocked, Publisher, Refused, Unroutable
from collect.observability import traces
from faults.proxy import Proxy
from stack.children import Child
from stack.ports import free_ports
from support.bystander import Listener, control
from support.servers import Servers
from support.waiting import eventually

ROUTE = topology.run_part_route("upload")
QUEUE = topology.job_queue("upload")
A_DEADLINE = 2 * (CONNECT_SECONDS + CONFIRM_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """An entry of an outbox."""

    id: str
    exchange: str = ROUTE[0]
    routing_key: str = ROUTE[1]
    body: str = "{}"
    mandatory: bool = True


@pytest.fixture
def wire(broker: str) -> Iterator[Proxy]:
    with Proxy(broker) as wire:
        yield wire


@pytest.fixture
def nobody() -> str:
    """Where no broker answers."""
    return f"amqp://guest:guest@127.0.0.1:{free_ports(('nobody',))['nobody']}/"


def ticket(n: int) -> bytes:
    return encode(RunPart(job_id="a-job", part=n, kind="upload", ticket=1), traceparent=None)


def publish(publisher: Publisher, body: bytes, *, key: str = ROUTE[1], mandatory: bool = True) -> None:
    publisher.publish(exchange=ROUTE[0], routing_key=key, body=body, mandatory=mandatory)


def blocked(publisher: Publisher) -> bool:
    """Whether the broker has said that it takes nothing."""
    try:
        publish(publisher, ticket(0))
    except Blocked:
        return True
    return False


def dropped(publisher: Publisher) -> bool:
    """Whether the publisher has noticed that its connection is gone."""
    publisher.keep_alive()
    return publisher._connection is None


def bodies(url: str) -> list[bytes]:
    """All that is in the job queue, taken out."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    found = []
    while (got := channel.basic_get(QUEUE, auto_ack=True))[2] is not None:
        found.append(got[2])
    connection.close()
    return found


def test_a_confirmed_message_is_in_its_queue_and_will_outlive_the_broker(
    publisher: Publisher, channel: BlockingChannel
) -> None:
    publish(publisher, ticket(0))
    _, properties, body = channel.basic_get(QUEUE, auto_ack=True)
    assert decode(body or b"")[1] == RunPart(job_id="a-job", part=0, kind="upload", ticket=1)
    assert properties is not None
    assert (properties.delivery_mode, properties.content_type) == (2, "application/json")


def test_f21_a_message_that_no_queue_takes_is_said_to_be_unroutable(
    publisher: Publisher, channel: BlockingChannel, broker: str
) -> None:
    publish(publisher, ticket(0))
    before = publisher._connection
    for _ in range(2):
        with pytest.raises(Unroutable):
            publish(publisher, ticket(1), key="nothing")
        publish(publisher, ticket(0))
    publish(publisher, ticket(2), key="nothing", mandatory=False)
    assert publisher._connection is before
    assert [decode(body)[1] for body in bodies(broker)] == [decode(ticket(0))[1]] * 3


def test_a_return_is_not_taken_for_the_answer_to_the_next_message(
    publisher: Publisher, channel: BlockingChannel
) -> None:
    # The confirm of a returned message comes after the return: left unread, it would confirm what is refused here.
    channel.queue_declare("full", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.queue_bind("full", topology.JOBS, "full")
    publish(publisher, b"{}", key="full")
    for _ in range(3):
        with pytest.raises(Unroutable):
            publish(publisher, ticket(0), key="nothing")
        with pytest.raises(Refused):
            publish(publisher, b"{}", key="full")
    channel.queue_delete("full")


def test_a_queue_that_was_deleted_is_declared_again(
    publisher: Publisher, channel: BlockingChannel, broker: str
) -> None:
    publish(publisher, ticket(0))
    channel.queue_delete(QUEUE)
    with pytest.raises(Unroutable):
        publish(publisher, ticket(1))
    publish(publisher, ticket(2))
    assert [decode(body)[1] for body in bodies(broker)] == [decode(ticket(2))[1]]


def test_an_exchange_that_is_not_there_is_no_reason_to_stop(publisher: Publisher, channel: BlockingChannel) -> None:
    with pytest.raises(Transient):
        publisher.publish(exchange="collect.nothing", routing_key="x", body=b"{}", mandatory=True)
    publish(publisher, ticket(0))


def test_f17_a_full_queue_refuses_and_the_connection_stays(publisher: Publisher, channel: BlockingChannel) -> None:
    channel.queue_declare("full", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.queue_bind("full", topology.JOBS, "full")
    publish(publisher, b"{}", key="full")
    before = publisher._connection
    for _ in range(2):
        with pytest.raises(Refused):
            publish(publisher, b"{}", key="full")
    publish(publisher, ticket(0))
    assert publisher._connection is before
    channel.queue_delete("full")


def test_a_connection_that_was_reset_is_replaced_without_a_word(
    wire: Proxy, channel: BlockingChannel, broker: str
) -> None:
    publisher = Publisher(wire.url)
    publish(publisher, ticket(0))
    wire.reset()
    publish(publisher, ticket(1))
    publisher.close()
    assert len(bodies(broker)) == 2
    assert wire.made == 2


def test_f15_a_broker_that_says_nothing_is_given_up_within_seconds(wire: Proxy, channel: BlockingChannel) -> None:
    publisher = Publisher(wire.url)
    publish(publisher, ticket(0))
    wire.hold()
    began = time.monotonic()
    with pytest.raises(Transient):
        publish(publisher, ticket(1))
    assert not publisher.reachable()
    assert time.monotonic() - began < A_DEADLINE
    wire.flow()
    publish(publisher, ticket(2))
    publisher.close()


def test_no_broker_at_all_is_said_and_closing_does_not_wait(nobody: str) -> None:
    publisher = Publisher(nobody)
    with pytest.raises(Transient):
        publish(publisher, ticket(0))
    assert not publisher.reachable()
    publisher.close()


def test_threads_share_a_publisher(publisher: Publisher, channel: BlockingChannel, broker: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: publish(publisher, ticket(n)), range(200)))
    parts = [message.part for body in bodies(broker) if isinstance(message := decode(body)[1], RunPart)]
    assert sorted(parts) == list(range(200))


def test_an_idle_connection_is_kept_by_its_heartbeats(wire: Proxy, channel: BlockingChannel) -> None:
    publisher = Publisher(wire.url)
    publish(publisher, ticket(0))
    connection = publisher._connection
    sent = connection.connection.bytes_sent
    connection.connection.last_heartbeat_sent -= 60
    connection.connection.prev_sent = sent
    publisher.keep_alive()
    assert connection.connection.bytes_sent > sent
    wire.reset()
    eventually(lambda: dropped(publisher), what="the loss to be noticed")
    publish(publisher, ticket(1))
    publisher.close()


def test_an_idle_sender_outlasts_the_broker_s_patience(
    broker: str, channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr(outbox, "IDLE_SECONDS", 0.1)
    publisher = Publisher(broker)
    sender, deleted = sender_on(publisher)
    sender.send([Waiting(id="a")])
    eventually(lambda: flat(deleted) == ["a"], what="the first")
    connection = publisher._connection
    heard = connection.connection.bytes_recv
    # The broker sends two heartbeats a second, and ends a connection that was silent for two; frames are what counts.
    eventually(lambda: connection.connection.bytes_recv - heard >= 8, what="four seconds of heartbeats")
    assert publisher._connection is connection
    sender.send([Waiting(id="b")])
    sender.close(timeout_seconds=10)
    assert flat(deleted) == ["a", "b"]


def test_f18_an_alarm_blocks_publishing_and_not_consuming(
    own_broker: Child,
    servers: Servers,
    publisher: Publisher,
    channel: BlockingChannel,
    listen: Callable[..., Listener],
) -> None:
    listener = listen()
    publish(publisher, ticket(0))
    control(servers, "set_vm_memory_high_watermark", "absolute", "1")
    try:
        eventually(lambda: blocked(publisher), what="the alarm to block")
        with pytest.raises(Blocked):
            publish(publisher, ticket(0))
        listener.consumer.ack(listener.job())
        assert listener.consumer.connected
        assert listener.lost == []
    finally:
        control(servers, "set_vm_memory_high_watermark", "0.4")
    eventually(lambda: not blocked(publisher), what="publishing to go on")


def test_f13_what_was_confirmed_around_a_restart_is_there(
    own_broker: Child, publisher: Publisher, channel: BlockingChannel, broker: str
) -> None:
    confirmed: list[int] = []
    failed: list[int] = []
    stop = threading.Event()

    def keep_publishing() -> None:
        n = 0
        while not stop.is_set():
            try:
                publish(publisher, ticket(n))
            except Transient:
                failed.append(n)
                stop.wait(0.05)
            else:
                confirmed.append(n)
            n += 1

    thread = threading.Thread(target=keep_publishing)
    thread.start()
    eventually(lambda: len(confirmed) > 50, what="some to be confirmed")
    own_broker.stop()
    eventually(lambda: failed, what="one to fail")
    own_broker.start()
    before = len(confirmed)
    eventually(lambda: len(confirmed) > before + 50, seconds=30, what="more to be confirmed")
    stop.set()
    thread.join(30)
    found = {message.part for body in bodies(broker) if isinstance(message := decode(body)[1], RunPart)}
    assert set(confirmed) <= found


def test_f13_a_sender_outlives_a_restart_and_leaves_what_fell_into_it(
    own_broker: Child, publisher: Publisher, channel: BlockingChannel, broker: str
) -> None:
    sender, deleted = sender_on(publisher)
    sender.send([Waiting(id="before")])
    eventually(lambda: flat(deleted) == ["before"], what="the first")
    own_broker.stop()
    sender.send([Waiting(id="meanwhile")])
    eventually(lambda: sender._waiting.empty() and not sender.reachable(), what="the loss to be noticed")
    own_broker.start()
    sender.send([Waiting(id="after")])
    sender.close(timeout_seconds=10)
    assert flat(deleted) == ["before", "after"]
    assert len(bodies(broker)) == 2


def sender_on(publisher: Publisher) -> tuple[OutboxSender, list[list[str]]]:
    deleted: list[list[str]] = []
    return OutboxSender(publisher, delete=deleted.append), deleted


def flat(deleted: Sequence[Sequence[str]]) -> list[str]:
    return [entry for entries in deleted for entry in entries]


def test_entries_are_deleted_once_they_are_confirmed_and_only_those(
    publisher: Publisher, channel: BlockingChannel
) -> None:
    sender, deleted = sender_on(publisher)
    sender.send([Waiting(id="a"), Waiting(id="b", routing_key="nothing"), Waiting(id="c")])
    sender.send([Waiting(id="d", routing_key="nothing", mandatory=False)])
    sender.close(timeout_seconds=10)
    assert flat(deleted) == ["a", "c", "d"]


def test_a_poke_reaches_the_workers_with_the_trace_of_whoever_asked(
    publisher: Publisher, channel: BlockingChannel
) -> None:
    traces.configure("test")
    name = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(name, topology.CONTROL, "upload.*")
    sender, deleted = sender_on(publisher)
    with traces.request_span("asking", traceparent=None, attributes={}):
        expected = traces.current_traceparent()
        sender.poke("upload", "a-job")
    sender.close(timeout_seconds=10)
    envelope, message = decode(channel.basic_get(name, auto_ack=True)[2] or b"")
    assert message == Poke(job_id="a-job", kind="upload")
    assert envelope.traceparent == expected is not None
    assert deleted == []


def test_without_a_broker_nothing_is_deleted_and_nobody_waits(nobody: str) -> None:
    sender, deleted = sender_on(Publisher(nobody))
    began = time.monotonic()
    for n in range(1_000):
        sender.send([Waiting(id=str(n))])
        sender.poke("upload", "a-job")
    assert time.monotonic() - began < 2
    sender.close(timeout_seconds=5)
    assert deleted == []
