"""A broker with the policies set, and consumers that end with their test."""

import contextlib
from collections.abc import Callable, Iterator

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from collect.messaging import topology
from collect.messaging.management import Management
from collect.messaging.publisher import Publisher
from support.bystander import Listener


@pytest.fixture(scope="module")
def broker(amqp_url: str, management_url: str, vhost: str) -> str:
    """Where it answers; its queues are declared."""
    topology.apply_policies(Management(management_url), vhost=vhost)
    publisher = Publisher(amqp_url)
    assert publisher.reachable()
    publisher.close()
    return amqp_url


@pytest.fixture
def channel(broker: str) -> Iterator[BlockingChannel]:
    """A channel of somebody else, to look at queues with. Every queue is empty at first."""
    connection = pika.BlockingConnection(pika.URLParameters(broker))
    channel = connection.channel()
    for queue in topology.QUEUES:
        channel.queue_purge(queue.name)
    yield channel
    with contextlib.suppress(AMQPError):  # the test may have stopped the broker
        connection.close()


@pytest.fixture
def publisher(broker: str, channel: BlockingChannel) -> Iterator[Publisher]:
    """Publishes into queues that are empty at first, whatever another test has left."""
    publisher = Publisher(broker)
    yield publisher
    publisher.close()


@pytest.fixture
def listen(broker: str) -> Iterator[Callable[..., Listener]]:
    """Starts listeners; whatever is still running ends with the test."""
    listeners: list[Listener] = []

    def start(url: str = broker, *, prefetch: int = 4) -> Listener:
        listener = Listener(url, prefetch=prefetch)
        listeners.append(listener)
        return listener.begin()

    yield start
    for listener in listeners:
        listener.consumer.close()
