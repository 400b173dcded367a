"""Consuming: whatever is lost is consumed afresh, and what came over it is void."""

import errno
import socket
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from collect.messaging import consumer as consumer_module
from collect.messaging import topology
from collect.messaging.consumer import Consumer, Subscription
from collect.messaging.messages import Heartbeat, Message, Poke, RunPart, encode
from collect.messaging.publisher import Publisher
from faults.proxy import Proxy
from stack import rabbitmq
from stack.children import Child
from support.bystander import Listener, control
from support.servers import Servers
from support.waiting import eventually

Listen = Callable[..., Listener]
QUEUE = topology.job_queue("upload")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def wire(broker: str) -> Iterator[Proxy]:
    with Proxy(broker) as wire:
        yield wire


def job(n: int) -> RunPart:
    return RunPart(job_id="a-job", part=n, kind="upload", ticket=n + 1)


def send(publisher: Publisher, message: Message | bytes, route: tuple[str, str]) -> None:
    body = message if isinstance(message, bytes) else encode(message, traceparent=TRACEPARENT)
    publisher.publish(exchange=route[0], routing_key=route[1], body=body, mandatory=True)


def send_job(publisher: Publisher, n: int = 0) -> None:
    send(publisher, job(n), topology.run_part_route("upload"))


def waiting(channel: BlockingChannel, queue: str = QUEUE) -> int:
    """Messages that are ready for somebody; what is out to a consumer is not among them."""
    found: int = channel.queue_declare(queue, passive=True).method.message_count
    return found


def test_a_job_message_arrives_with_its_trace_and_is_gone_once_acked(
    listen: Listen, publisher: Publisher, channel: BlockingChannel
) -> None:
    listener = listen()
    send_job(publisher)
    delivery = listener.job()
    assert delivery.message == job(0)
    assert not delivery.redelivered
    assert delivery.traceparent == TRACEPARENT
    assert listener.consumer.holds(delivery)
    listener.consumer.ack(delivery)
    listener.consumer.close()
    assert waiting(channel) == 0


def test_acks_given_just_before_closing_reach_the_broker(
    listen: Listen, publisher: Publisher, channel: BlockingChannel
) -> None:
    for _ in range(5):
        listener = listen(prefetch=20)
        for n in range(20):
            send_job(publisher, n)
        listener.job(19)
        for delivery in listener.jobs:
            listener.consumer.ack(delivery)
        listener.consumer.close()
        assert waiting(channel) == 0


def test_what_is_not_acked_goes_to_somebody_else_when_the_consumer_ends(listen: Listen, publisher: Publisher) -> None:
    first = listen()
    send_job(publisher)
    first.job()
    first.consumer.close()
    again = listen().job()
    assert again.message == job(0)
    assert again.redelivered


def test_no_more_than_the_prefetch_is_out(listen: Listen, publisher: Publisher, channel: BlockingChannel) -> None:
    listener = listen(prefetch=2)
    for n in range(3):
        send_job(publisher, n)
    listener.job(1)
    assert waiting(channel) == 1
    assert len(listener.jobs) == 2
    listener.consumer.ack(listener.job(0))
    assert listener.job(2).message == job(2)


def test_every_pod_hears_the_pokes_of_its_kind_whatever_the_job(listen: Listen, publisher: Publisher) -> None:
    pods = [listen(), listen()]
    other = Poke(job_id="x", kind="export")
    publisher.publish(
        exchange=topology.CONTROL, routing_key="export.x", body=encode(other, traceparent=None), mandatory=False
    )
    for job_id in ("a-job", "another"):
        send(publisher, Poke(job_id=job_id, kind="upload"), topology.poke_route("upload", job_id))
    expected = [Poke(job_id="a-job", kind="upload"), Poke(job_id="another", kind="upload")]
    for pod in pods:
        eventually(partial(pod.heard, 2), what="both pokes")
        assert pod.control == expected


@pytest.mark.parametrize(
    "body",
    [b"not json", encode(job(0), traceparent=None).replace(b"RunPart", b"RunPlan"), b"x" * 70_000],
    ids=["no json", "unknown name", "over the limit"],
)
def test_a_message_that_cannot_be_read_goes_to_the_dead_once(
    listen: Listen, publisher: Publisher, channel: BlockingChannel, body: bytes
) -> None:
    listener = listen()
    send(publisher, body, topology.run_part_route("upload"))
    send_job(publisher, 1)
    assert listener.job().message == job(1)
    eventually(lambda: waiting(channel, topology.DEAD_QUEUE) == 1, what="the dead letter")
    _, properties, dead = channel.basic_get(topology.DEAD_QUEUE, auto_ack=True)
    assert dead == body
    assert properties is not None
    assert properties.headers is not None
    assert properties.headers["x-death"][0]["queue"] == QUEUE
    assert len(listener.jobs) == 1


def test_a_message_that_is_no_job_has_no_business_in_a_job_queue(
    listen: Listen, publisher: Publisher, channel: BlockingChannel
) -> None:
    listener = listen()
    send(publisher, Poke(job_id="a-job", kind="upload"), topology.run_part_route("upload"))
    eventually(lambda: waiting(channel, topology.DEAD_QUEUE) == 1, what="the dead letter")
    assert listener.jobs == []


def test_a_delivery_can_be_set_aside(listen: Listen, publisher: Publisher, channel: BlockingChannel) -> None:
    listener = listen()
    send_job(publisher)
    listener.consumer.dead_letter(listener.job())
    eventually(lambda: waiting(channel, topology.DEAD_QUEUE) == 1, what="the dead letter")


def test_a_delivery_that_comes_back_too_often_is_set_aside(
    listen: Listen, publisher: Publisher, channel: BlockingChannel
) -> None:
    listener = listen()
    send_job(publisher)
    for n in range(topology.DELIVERY_LIMIT + 1):
        listener.consumer.requeue(listener.job(n))
    eventually(lambda: waiting(channel, topology.DEAD_QUEUE) == 1, what="the dead letter")
    assert len(listener.jobs) == topology.DELIVERY_LIMIT + 1


def test_a_drained_consumer_takes_no_work_and_still_acks_and_hears(
    listen: Listen, publisher: Publisher, channel: BlockingChannel
) -> None:
    listener = listen(prefetch=2)
    send_job(publisher, 0)
    send_job(publisher, 1)
    started, untouched = listener.job(0), listener.job(1)
    listener.consumer.stop_consuming()
    listener.consumer.requeue(untouched)
    send_job(publisher, 2)
    eventually(lambda: waiting(channel) == 2, what="the work to be left for others")
    send(publisher, Poke(job_id="a-job", kind="upload"), topology.poke_route("upload", "a-job"))
    eventually(lambda: listener.control, what="the poke")
    listener.consumer.ack(started)
    listener.consumer.close()
    assert waiting(channel) == 2
    assert len(listener.jobs) == 2
    assert listener.lost == []


def test_a_deleted_queue_is_declared_and_consumed_again(
    listen: Listen, publisher: Publisher, channel: BlockingChannel
) -> None:
    listener = listen()
    send_job(publisher, 0)
    old = listener.job(0)
    channel.queue_delete(QUEUE)
    eventually(lambda: listener.lost, what="the loss to be told")
    eventually(lambda: listener.consumer.connected, what="the consumer to be back")
    assert not listener.consumer.holds(old)
    send_job(publisher, 1)
    assert listener.job(1).message == job(1)
    assert listener.lost == [1]


def test_f34_control_queues_that_are_gone_are_made_anew(
    own_broker: Child, listen: Listen, publisher: Publisher, servers: Servers, management_url: str, vhost: str
) -> None:
    listener = listen()

    def exclusive() -> list[str]:
        queues = rabbitmq.call(management_url, "GET", f"/api/queues/{vhost}")
        return [queue["name"] for queue in queues if queue["name"].startswith("amq.gen")]

    for name in eventually(exclusive, what="the management API to show the control queue"):
        control(servers, "delete_queue", "--vhost", vhost, name)
    eventually(lambda: listener.lost, what="the loss to be told")
    eventually(lambda: listener.consumer.connected, what="the consumer to be back")
    send(publisher, Poke(job_id="a-job", kind="upload"), topology.poke_route("upload", "a-job"))
    eventually(lambda: listener.control, what="the poke")


def test_a_channel_closed_for_an_ack_too_many_is_replaced(
    listen: Listen, publisher: Publisher, channel: BlockingChannel
) -> None:
    listener = listen()
    send_job(publisher, 0)
    send_job(publisher, 1)
    listener.consumer.ack(listener.job(0))
    listener.consumer.ack(listener.job(0))
    eventually(lambda: listener.lost, what="the loss to be told")
    assert not listener.consumer.holds(listener.job(1))
    again = listener.job(2)
    assert again.message == job(1)
    assert again.redelivered
    listener.consumer.ack(again)
    listener.consumer.close()
    assert waiting(channel) == 0
    assert listener.lost == [2]


def test_a_connection_that_an_operator_closes_is_told_once_and_made_anew(
    listen: Listen, publisher: Publisher, management_url: str, vhost: str
) -> None:
    listener = listen()
    send_job(publisher, 0)
    listener.job(0)

    def consuming() -> list[str]:
        """Statistics lag: the connection may not be shown yet, nor its consumers."""
        consumers = rabbitmq.call(management_url, "GET", f"/api/consumers/{vhost}")
        return [each["channel_details"]["connection_name"] for each in consumers if each["channel_details"]]

    for name in set(eventually(consuming, what="the management API to show the consumers")):
        rabbitmq.call(management_url, "DELETE", f"/api/connections/{quote(name, safe='')}")
    assert listener.job(1).redelivered
    eventually(lambda: listener.lost, what="the loss to be told")
    listener.consumer.ack(listener.job(1))
    send_job(publisher, 1)
    assert listener.job(2).message == job(1)
    listener.consumer.ack(listener.job(2))
    assert listener.lost == [1]


def test_f13_a_consumer_outlives_a_restart_of_the_broker(
    own_broker: Child, listen: Listen, publisher: Publisher
) -> None:
    listener = listen()
    send_job(publisher, 0)
    old = listener.job(0)
    own_broker.stop()
    eventually(lambda: listener.lost, what="the loss to be told")
    assert not listener.consumer.connected
    listener.consumer.ack(old)
    own_broker.start()
    again = eventually(lambda: listener.jobs[1:], seconds=30, what="the message to come again")
    assert (again[0].message, again[0].redelivered) == (job(0), True)
    listener.consumer.ack(again[0])
    send(publisher, Poke(job_id="a-job", kind="upload"), topology.poke_route("upload", "a-job"))
    eventually(lambda: listener.control, what="the poke")
    assert listener.lost == [1]


def test_f14_a_reset_connection_voids_what_came_over_it(listen: Listen, publisher: Publisher, wire: Proxy) -> None:
    listener = listen(wire.url)
    send_job(publisher)
    old = listener.job()
    wire.reset()
    again = listener.job(1)
    assert listener.lost == [1]
    assert (again.message, again.redelivered) == (job(0), True)
    assert again.generation > old.generation
    for act in (listener.consumer.ack, listener.consumer.requeue, listener.consumer.dead_letter):
        act(old)
    assert listener.consumer.holds(again)
    assert not listener.consumer.holds(old)
    send_job(publisher, 1)
    assert listener.job(2).message == job(1)
    assert listener.lost == [1]


def test_f15_a_wire_that_says_nothing_is_found_dead_by_its_silence(
    listen: Listen, publisher: Publisher, wire: Proxy
) -> None:
    listener = listen(wire.url)
    send_job(publisher)
    listener.job()
    wire.hold()
    eventually(lambda: listener.lost, seconds=60, what="the loss to be told")
    wire.flow()
    eventually(lambda: len(listener.jobs) > 1, seconds=60, what="the message to come again")
    assert listener.jobs[1].redelivered


def test_a_broker_that_accepts_and_says_nothing_is_waited_for_and_is_no_defect(
    wire: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(consumer_module, "CONNECT_SECONDS", 0.5)
    wire.hold()
    consumer = Consumer(wire.url, subscriptions=[], on_lost=lambda: None)
    consumer.start()
    eventually(lambda: wire.made > 2, seconds=60, what="it tries again and again")
    wire.flow()
    eventually(lambda: consumer.connected, seconds=60, what="it to be connected")
    consumer.close()
    assert {record.message for record in caplog.records if record.name == consumer_module.__name__} == {"consumer_lost"}


def test_an_error_in_a_callback_does_not_make_the_consumer_deaf(broker: str, publisher: Publisher) -> None:
    heard: list[Heartbeat] = []
    lost: list[None] = []

    def on_message(message: Heartbeat) -> None:
        heard.append(message)
        if len(heard) == 1:
            raise KeyError(message.worker_id)

    consumer = Consumer(
        broker,
        subscriptions=[Subscription(queue=topology.HEARTBEAT_QUEUE, on_message=on_message)],
        on_lost=lambda: lost.append(None),
    )
    consumer.start()
    beat = Heartbeat.model_validate(
        {"worker_id": "w", "kind": "upload", "version": "1", "slots": [], "at": "2026-01-02T03:04:05Z"}
    )
    send(publisher, beat, topology.heartbeat_route())
    eventually(lambda: lost, what="the loss to be told")
    send(publisher, beat, topology.heartbeat_route())
    eventually(lambda: len(heard) == 2, what="the second heartbeat")
    consumer.close()


def test_the_broker_takes_the_table_as_it_is_and_no_other_arguments(channel: BlockingChannel) -> None:
    with pytest.raises(ChannelClosedByBroker):
        channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "classic"})


def test_whoever_declares_what_is_there_changes_nothing(
    listen: Listen, publisher: Publisher, channel: BlockingChannel, broker: str
) -> None:
    send_job(publisher)
    for _ in range(2):
        another = Publisher(broker)
        assert another.reachable()
        another.close()
    assert listen().job().message == job(0)
    assert listen().consumer.connected


def test_the_policy_is_in_force_on_job_queues(channel: BlockingChannel, management_url: str, vhost: str) -> None:
    def policy() -> object:
        return rabbitmq.call(management_url, "GET", f"/api/queues/{vhost}/{QUEUE}").get("policy")

    assert eventually(policy, what="the management API to show the policy") == topology.POLICIES[0].name


def test_a_connection_that_is_reset_before_it_is_used_is_lost_and_no_defect(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: socket.socket) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")  # what the kernel says of such a socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(socket.socket, "getpeername", nobody)
        consumer = Consumer(f"amqp://127.0.0.1:{server.getsockname()[1]}/", subscriptions=[], on_lost=lambda: None)
        consumer.start()
        eventually(lambda: said(caplog), what="what became of the connection")
        consumer.close()
    assert said(caplog) == {"consumer_lost"}


def said(caplog: pytest.LogCaptureFixture) -> set[str]:
    """What the consumer has logged, apart from what pika has."""
    return {record.message for record in caplog.records if record.name == consumer_module.__name__}
