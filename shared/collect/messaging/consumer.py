"""Consuming on pika: one thread owns the connection, and whatever is lost is consumed afresh.

pika forgets a consumer that the broker cancels without a word, and goes on with the others: so a cancel, a closed
channel and a closed connection all end the connection here, and a new one is made.
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
    """A job message that is out to us until it is acked. ``generation``: the connection on which it came."""

    message: RunPart
    redelivered: bool
    traceparent: str | None
    tag: int
    generation: int


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """One queue to consume, on a channel of its own.

    ``binding`` is exchange and key for a queue of our own, named by the server, that ends with the connection; without
    it ``queue`` names one of the table's, whose jobs are all of ``kind``. ``prefetch`` 0: messages are taken without
    acks. ``on_message`` is called on the consumer's thread and must be quick.
    """

    on_message: Callable[[Any], None]
    queue: str = ""
    binding: tuple[str, str] | None = None
    kind: str | None = None
    prefetch: int = 0


class _Gone(Exception):
    """The connection, or what was consumed on it, is of no more use."""


class Consumer:
    """Consumes from a thread of its own until it is closed. Its public methods may be called from any thread.

    ``on_lost`` is called on the consumer's thread, once for each connection that is lost, after which no delivery of it
    is held any more; it must be quick. A broker that says nothing is given up ``heartbeat_seconds`` and some five
    seconds later.
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
        """Begin to connect and to consume. Returns at once."""
        self._thread.start()

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    def holds(self, delivery: Delivery) -> bool:
        """Whether the delivery is still ours: its connection has not been lost."""
        return self.connected and delivery.generation == self._generation

    def ack(self, delivery: Delivery) -> None:
        """It is done with. Void when its connection is gone: the broker has given it away."""
        self._on_channel(delivery, lambda channel: channel.basic_ack(delivery.tag))

    def requeue(self, delivery: Delivery) -> None:
        """It was not touched: somebody else may have it."""
        self._on_channel(delivery, lambda channel: channel.basic_nack(delivery.tag, requeue=True))

    def dead_letter(self, delivery: Delivery) -> None:
        """Nobody will ever be able to handle it."""
        self._on_channel(delivery, lambda channel: channel.basic_reject(delivery.tag, requeue=False))

    def stop_consuming(self) -> None:
        """Take no more work, for good. The connection stays, for acks, and so does what is taken without acks."""
        self._stopping = True
        self._call(self._cancel_work)

    def close(self, *, timeout_seconds: float = 3.0) -> None:
        """Send the acks that wait, and end the connection and the thread."""
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
            return  # it is closed, and all that was out on it with it

    def _run(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while not self._closing.is_set():
            try:
                self._connect()
                backoff = FIRST_BACKOFF_SECONDS
                self._pump()
            except (AMQPError, AMQPConnectorException, OSError, _Gone, topology.MayNotDeclare) as error:
                _log.warning("consumer_lost", extra={"why": f"{type(error).__name__}: {error}"})
            except Exception as error:  # noqa: BLE001 - a process whose only consumer has ended is deaf and looks well
                _log.error("consumer_failed", exc_info=error)
            finally:
                self._disconnect()
            self._closing.wait(backoff * random.uniform(0.5, 1.0))
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    def _connect(self) -> None:
        try:
            self._connection = pika.BlockingConnection(self._parameters)
        except ValueError as error:  # pika's word for a socket that was reset between being connected and being used
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
        """Serve the connection. A consumer that is missing from a channel, however it was lost, ends it."""
        while not self._closing.is_set():
            self._connection.process_data_events(time_limit=POLL_SECONDS)
            for channel, tag in self._consuming:
                if not channel.is_open or tag not in channel.consumer_tags:
                    # pika keeps why the broker has closed a channel to itself.
                    raise _Gone(getattr(channel, "_closing_reason", None) or "a consumer is gone")
        self._finish()

    def _finish(self) -> None:
        """Do what other threads have asked for before they closed: pika takes such calls in the order they came in."""
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
        """Nobody here can handle it, and nobody else of the kind could."""
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
    """The topology over pika."""

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
    """Declare the topology, bindings too, on a connection for that only.

    Raises:
        AMQPError: the broker does not answer, or has one of the queues with other arguments.
        topology.MayNotDeclare: the account has no right to.
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
    """What a worker consumes: its kind's queue, and the control topic of all jobs of its kind."""
    return Consumer(
        url,
        subscriptions=[
            Subscription(queue=topology.job_queue(kind), kind=kind, prefetch=prefetch, on_message=on_job),
            Subscription(binding=(topology.CONTROL, f"{kind}.*"), on_message=on_control),
        ],
        on_lost=on_lost,
        heartbeat_seconds=heartbeat_seconds,
    )
