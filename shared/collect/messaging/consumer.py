"""The consumer, on pika. One thread owns the connection, and makes a new one when anything on it is lost.

If the broker cancels a consumer, pika silently drops that consumer and keeps the others. So a cancel, a closed channel
and a closed connection all end the connection here, and a new one is made.
"""

from __future__ import annotations

import functools
import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.spec import ACCESS_REFUSED, NOT_FOUND

from collect.errors import Poison
from collect.messaging import topology
from collect.messaging.messages import Message, RunPart, claimed_id, decode
from collect.observability import metrics

HEARTBEAT_SECONDS = 10
BLOCKED_SECONDS = 30
CONNECT_SECONDS = 10
POLL_SECONDS = 1.0
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A job message that this process holds until it acks it.

    ``generation``: the number of the connection on which it came. ``tag``: its delivery tag on that connection.
    """

    message: RunPart
    redelivered: bool
    traceparent: str | None
    tag: int
    generation: int


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A queue to consume, on a channel of its own.

    ``queue``: the name of a queue of the topology. ``kind``: the kind of its jobs; messages of other kinds are set
    aside. ``binding``: exchange and routing key; then the queue is a private one instead, which the server names and
    which ends with the connection. ``prefetch``: the most messages held without an ack; 0: messages need no ack.
    ``on_message`` is called on the consumer's thread and must be quick.
    """

    on_message: Callable[[Any], None]
    queue: str = ""
    binding: tuple[str, str] | None = None
    kind: str | None = None
    prefetch: int = 0


class _Gone(Exception):
    """The signal that the connection, or a consumer on it, is lost."""


class Consumer:
    """Consumes on a thread of its own until it is closed. Its public methods may be called from any thread.

    ``on_lost`` is called on the consumer's thread, once for each connection that is lost. From then on no delivery of
    that connection is held. It must be quick. If the broker sends nothing, not even heartbeats, the connection is given
    up after ``heartbeat_seconds`` and about five seconds more.
    """

    def __init__(
        self,
        url: str,
        *,
        subscriptions: list[Subscription],
        on_lost: Callable[[], None],
        heartbeat_seconds: int = HEARTBEAT_SECONDS,
    ) -> None:
        parameters = pika.URLParameters(url)
        parameters.heartbeat = heartbeat_seconds
        parameters.blocked_connection_timeout = BLOCKED_SECONDS
        parameters.socket_timeout = CONNECT_SECONDS / 2
        parameters.stack_timeout = CONNECT_SECONDS
        self._parameters = parameters
        self._subscriptions = subscriptions
        self._on_lost = on_lost
        self._generation = 0
        self._connection: Any = None
        self._acking: Any = None
        self._consuming: list[tuple[Any, str]] = []
        self._stopping = False
        self._closing = threading.Event()
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)

    def start(self) -> None:
        """Begin to connect and to consume. Does not block."""
        self._thread.start()

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    def holds(self, delivery: Delivery) -> bool:
        """Return whether this process still holds the delivery: its connection has not been lost."""
        return self.connected and delivery.generation == self._generation

    def ack(self, delivery: Delivery) -> None:
        """Ack the delivery: its work is done. Does nothing if its connection is lost, as the broker redelivers it then.

        Does not block; the consumer's thread sends the ack.
        """
        self._on_channel(delivery, lambda channel: channel.basic_ack(delivery.tag))

    def requeue(self, delivery: Delivery) -> None:
        """Give the delivery back to its queue, as it was not worked on. Does nothing if its connection is lost."""
        self._on_channel(delivery, lambda channel: channel.basic_nack(delivery.tag, requeue=True))

    def dead_letter(self, delivery: Delivery) -> None:
        """Reject the delivery, so that the broker moves it to the dead letters: no worker could ever handle it."""
        self._on_channel(delivery, lambda channel: channel.basic_reject(delivery.tag, requeue=False))

    def stop_consuming(self) -> None:
        """Take no more job messages, for good. The connection stays, for acks; queues without acks are still consumed.

        Does not block.
        """
        self._stopping = True
        self._call(self._cancel_work)

    def close(self, *, timeout_seconds: float = 3.0) -> None:
        """Send the acks that wait, then end the connection and the thread. Blocks for ``timeout_seconds`` at most."""
        self._closing.set()
        self._call(lambda: None)
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _on_channel(self, delivery: Delivery, act: Callable[[Any], None]) -> None:
        def do() -> None:
            if self.holds(delivery) and self._acking is not None and self._acking.is_open:
                act(self._acking)

        self._call(do)

    def _call(self, do: Callable[[], None]) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.add_callback_threadsafe(do)
        except AMQPError:
            return  # the connection is closed, so its deliveries are no longer held

    def _run(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while not self._closing.is_set():
            try:
                self._connect()
                backoff = FIRST_BACKOFF_SECONDS
                self._pump()
            except (AMQPError, AMQPConnectorException, OSError, _Gone, topology.MayNotDeclare) as error:
                _log.warning("consumer_lost", extra={"why": f"{type(error).__name__}: {error}"})
            except Exception as error:  # noqa: BLE001 - if this thread ended, the process would look well but do nothing
                _log.error("consumer_failed", exc_info=error)
            finally:
                self._disconnect()
            self._closing.wait(backoff * random.uniform(0.5, 1.0))
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    def _connect(self) -> None:
        try:
            self._connection = pika.BlockingConnection(self._parameters)
        except ValueError as error:  # pika raises it for a socket that is reset right after it was connected
            raise _Gone(str(error)) from error
        self._generation += 1
        topology.ensure(lambda: _Declarer(self._connection.channel()))
        for subscription in self._subscriptions:
            self._subscribe(subscription)
        self._connected.set()

    def _subscribe(self, subscription: Subscription) -> None:
        if self._stopping and subscription.prefetch:
            return
        channel = self._connection.channel()
        channel.add_on_cancel_callback(self._cancelled)
        name = subscription.queue
        if subscription.binding is not None:
            name = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
            channel.queue_bind(name, *subscription.binding)
        if subscription.prefetch:
            channel.basic_qos(prefetch_count=subscription.prefetch)
            self._acking = channel
        tag = channel.basic_consume(
            name, functools.partial(self._received, subscription), auto_ack=not subscription.prefetch
        )
        self._consuming.append((channel, tag))

    def _pump(self) -> None:
        """Serve the connection until the consumer is closed. Blocking.

        Raises:
            _Gone: a channel is closed, or a consumer is missing from its channel.
        """
        while not self._closing.is_set():
            self._connection.process_data_events(time_limit=POLL_SECONDS)
            for channel, tag in self._consuming:
                if not channel.is_open or tag not in channel.consumer_tags:
                    # pika has no public attribute for the reason why the broker has closed a channel.
                    raise _Gone(getattr(channel, "_closing_reason", None) or "a consumer is gone")
        self._finish()

    def _finish(self) -> None:
        """Run the calls that other threads made before the close. pika runs such calls in the order of arrival."""
        done = threading.Event()
        self._connection.add_callback_threadsafe(done.set)
        while not done.is_set():
            self._connection.process_data_events(time_limit=POLL_SECONDS)

    def _received(self, subscription: Subscription, channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        try:
            envelope, message = decode(body)
        except Poison as poison:
            self._set_aside(subscription, channel, method.delivery_tag, why=poison.code, message_id=claimed_id(body))
            return
        if subscription.prefetch and isinstance(message, RunPart):
            if message.kind != subscription.kind:
                self._set_aside(subscription, channel, method.delivery_tag, why="another_kind", message_id=envelope.id)
                return
            subscription.on_message(
                Delivery(
                    message=message,
                    redelivered=method.redelivered,
                    traceparent=envelope.traceparent,
                    tag=method.delivery_tag,
                    generation=self._generation,
                )
            )
        elif subscription.prefetch:
            self._set_aside(subscription, channel, method.delivery_tag, why="not_a_job", message_id=envelope.id)
        else:
            subscription.on_message(message)

    def _set_aside(
        self, subscription: Subscription, channel: Any, tag: int, *, why: str, message_id: str | None
    ) -> None:
        """Count and log a message that no worker of the kind can handle. Reject it, if the queue uses acks."""
        metrics.UNREADABLE.labels(why=why).inc()
        _log.error("message_unreadable", extra={"queue": subscription.queue, "why": why, "message_id": message_id})
        if subscription.prefetch:
            channel.basic_reject(tag, requeue=False)

    def _cancelled(self, _frame: Any) -> None:
        _log.warning("consumer_cancelled")

    def _cancel_work(self) -> None:
        working = [each for each in self._consuming if each[0] is self._acking]
        self._consuming = [each for each in self._consuming if each[0] is not self._acking]
        for channel, tag in working:
            if channel.is_open:
                channel.basic_cancel(tag)

    def _disconnect(self) -> None:
        was = self._connected.is_set()
        self._connected.clear()
        connection, self._connection = self._connection, None
        self._acking, self._consuming = None, []
        if connection is not None and connection.is_open:
            try:
                connection.close()
            except (AMQPError, OSError) as error:
                _log.warning("connection_not_closed", extra={"why": type(error).__name__})
        if was and not self._closing.is_set():
            metrics.CONSUMERS_LOST.inc()
            self._on_lost()


class _Declarer:
    """A :class:`topology.Declarer` on a channel of pika."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def has(self, thing: topology.Exchange | topology.Queue) -> bool:
        try:
            match thing:
                case topology.Exchange():
                    self._channel.exchange_declare(thing.name, passive=True)
                case topology.Queue():
                    self._channel.queue_declare(thing.name, passive=True)
        except ChannelClosedByBroker as error:
            if error.reply_code != NOT_FOUND:
                raise
            return False
        return True

    def close(self) -> None:
        self._channel.close()

    def exchange(self, exchange: topology.Exchange) -> None:
        with _refused():
            self._channel.exchange_declare(exchange.name, exchange_type=exchange.type, durable=True)

    def queue(self, queue: topology.Queue) -> None:
        with _refused():
            self._channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
            self._channel.queue_bind(queue.name, queue.exchange, queue.routing_key)


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except ChannelClosedByBroker as error:
        if error.reply_code != ACCESS_REFUSED:
            raise
        raise topology.MayNotDeclare from error


def declare(url: str) -> None:
    """Declare the topology with its bindings, on a connection of its own. Blocking and idempotent.

    Raises:
        AMQPError: the broker does not answer, or has one of the queues with other arguments.
        topology.MayNotDeclare: the account has no right to declare.
    """
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        topology.declare(_Declarer(connection.channel()))


def worker_consumer(
    url: str,
    *,
    kind: str,
    prefetch: int,
    on_job: Callable[[Delivery], None],
    on_control: Callable[[Message], None],
    on_lost: Callable[[], None],
    heartbeat_seconds: int = HEARTBEAT_SECONDS,
) -> Consumer:
    """Return the consumer of a worker: it takes its kind's job queue, and the control topic of all jobs of its kind."""
    return Consumer(
        url,
        subscriptions=[
            Subscription(queue=topology.job_queue(kind), kind=kind, prefetch=prefetch, on_message=on_job),
            Subscription(binding=(topology.CONTROL, f"{kind}.*"), on_message=on_control),
        ],
        on_lost=on_lost,
        heartbeat_seconds=heartbeat_seconds,
    )
