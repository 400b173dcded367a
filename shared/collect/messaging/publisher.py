"""The publisher. The broker confirms each message. Its connection is used for nothing else, because an alarm of the
broker can block a connection that publishes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from amqp.exceptions import AccessRefused, AMQPError, MessageNacked, NotFound
from kombu.connection import Connection
from kombu.entity import Exchange as KombuExchange
from kombu.entity import Queue as KombuQueue
from kombu.exceptions import OperationalError

from collect.errors import Transient
from collect.messaging import topology
from collect.observability import metrics

CONNECT_SECONDS = 3.0
CONFIRM_SECONDS = 5.0
CLOSE_SECONDS = 1.0
HEARTBEAT_SECONDS = 20
"""Seconds between heartbeats. It must be more than :data:`CONFIRM_SECONDS`, since each frame of the broker, also a
heartbeat, starts the wait for a confirm anew."""
BLOCKED_PAUSE_SECONDS = 2.0

_BROKEN = (AMQPError, OperationalError, OSError)


class Unroutable(Transient):
    """The error that no queue of the broker takes the message."""

    code = "unroutable"


class Refused(Transient):
    """The error that the message's queue does not take it, because the queue is full."""

    code = "refused"


class Blocked(Transient):
    """The error that the broker takes no messages at all, because it has a memory or disk alarm."""

    code = "blocked"


class _Stale(Transient):
    """The error that a connection which had worked before is broken. The message is tried again on a new one."""

    code = "stale"


class Publisher:
    """Publishes one message at a time over one connection. Any thread.

    It connects at its first use, so that a process may fork before that, and again after a lost connection. It blocks
    for about a millisecond. If the broker does not answer, it blocks once for as long as connecting
    (:data:`CONNECT_SECONDS`) and a confirm (:data:`CONFIRM_SECONDS`) may take.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: Any = None
        self._producer: Any = None
        self._blocked_until = 0.0
        self._returned = False

    def publish(self, *, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        """Publish a message, and return after the broker has confirmed it. Blocking.

        A message may arrive twice, since a confirm can get lost.

        Raises:
            Unroutable: the message is ``mandatory``, and no queue takes it.
            Refused: its queue is full.
            Blocked: the broker takes no messages at present. It is asked again after :data:`BLOCKED_PAUSE_SECONDS`.
            Transient: the broker is not there, or does not confirm in time.
        """
        with self._lock:
            try:
                try:
                    self._attempt(exchange, routing_key, body, mandatory)
                except _Stale:
                    self._attempt(exchange, routing_key, body, mandatory)
            except Transient as error:
                metrics.PUBLISHES.labels(exchange=exchange, outcome=error.code).inc()
                raise
        metrics.PUBLISHES.labels(exchange=exchange, outcome="confirmed").inc()

    def declare(self) -> None:
        """Declare all exchanges, queues and bindings, whether or not they exist already. Blocking and idempotent.

        Raises:
            MayNotDeclare: the account has no right to declare.
            Transient: the broker is not there, or takes nothing at present.
        """
        with self._lock:
            try:
                if self._producer is None:
                    self._open()
                topology.declare(self._declarer())
            except _BROKEN as error:
                self._drop()
                raise Transient(f"The broker did not declare it: {type(error).__name__}.") from error
            except Blocked:
                self._drop()
                raise

    def reachable(self) -> bool:
        """Return whether the broker answers, and connect first if necessary. Blocks for some seconds if it does not."""
        with self._lock:
            try:
                if self._producer is None:
                    self._open()
            except (*_BROKEN, Blocked, topology.MayNotDeclare):
                self._drop()
                return False
            return self._alive()

    def keep_alive(self) -> None:
        """Exchange heartbeats over an idle connection. Without this, the broker closes it after about 20 seconds."""
        with self._lock:
            if self._connection is not None:
                self._alive()

    def close(self) -> None:
        """Close the connection. A later publish opens a new one.

        Blocks for a second at most. If another thread is using the connection for longer, it stays open until the
        process ends.
        """
        if self._lock.acquire(timeout=CLOSE_SECONDS):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _attempt(self, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        if time.monotonic() < self._blocked_until:
            raise Blocked("The broker takes nothing at present.")
        fresh = self._producer is None
        try:
            if fresh:
                self._open()
            self._publish(exchange, routing_key, body, mandatory)
        except MessageNacked as error:
            self._change_channel()
            raise Refused(f"The queue of {routing_key!r} on {exchange!r} does not take it.") from error
        except topology.MayNotDeclare:
            self._drop()
            raise
        except Blocked:  # on this connection, a late confirm of this message would be taken for the next one's
            self._drop()
            raise
        except TimeoutError as error:  # a second try would take as long, and a late confirm may still come
            self._drop()
            raise Transient(f"The broker did not confirm within {CONFIRM_SECONDS:g} s.", code="unconfirmed") from error
        except _BROKEN as error:
            self._drop()
            if fresh:
                raise Transient(f"The broker did not take it: {type(error).__name__}.") from error
            raise _Stale(f"The connection is broken: {type(error).__name__}.") from error

    def _publish(self, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        self._returned = False
        self._producer.publish(
            body,
            exchange=exchange,
            routing_key=routing_key,
            mandatory=mandatory,
            delivery_mode=2,
            content_type="application/json",
            content_encoding="utf-8",
            serializer=None,
            retry=False,
            timeout=CONFIRM_SECONDS,
            confirm_timeout=CONFIRM_SECONDS,
        )
        if self._returned:
            # The queue may have been deleted: declare it, so that the next message finds it.
            with suppress(topology.MayNotDeclare):
                topology.declare(self._declarer())
            raise Unroutable(f"No queue takes {routing_key!r} from {exchange!r}.")

    def _on_return(self, *_message: Any) -> None:
        """Note that the broker returned the message. Called before the message's confirm is read.

        It must not raise: the confirm would then stay unread, and be taken for the next message's.
        """
        self._returned = True

    def _declarer(self) -> _Declarer:
        """Return a declarer on a channel of its own, since the broker closes the channel if something is missing or
        forbidden."""
        return _Declarer(self._connection.channel())

    def _alive(self) -> bool:
        """Read the broker's frames and send a heartbeat if one is due. Return whether the connection still works.

        A broken connection is dropped.
        """
        try:
            self._read()
            self._connection.heartbeat_check()
        except (*_BROKEN, Blocked):
            self._drop()
            return False
        return True

    def _read(self) -> None:
        """Read all frames that the broker has sent. Heartbeats that are not read count as missed."""
        try:
            while True:
                self._connection.drain_events(timeout=0.001)
        except TimeoutError:
            return

    def _on_blocked(self, _reason: str) -> None:
        self._blocked_until = time.monotonic() + BLOCKED_PAUSE_SECONDS
        raise Blocked("The broker takes nothing at present.")

    def _open(self) -> None:
        self._connection = Connection(
            self._url,
            connect_timeout=CONNECT_SECONDS,
            heartbeat=HEARTBEAT_SECONDS,
            transport_options={
                "confirm_publish": True,
                "on_blocked": self._on_blocked,
                "read_timeout": CONFIRM_SECONDS,
                "write_timeout": CONFIRM_SECONDS,
            },
        )
        self._connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=CONNECT_SECONDS)
        topology.ensure(self._declarer)
        self._make_producer()

    def _change_channel(self) -> None:
        """Take a new channel after a full queue has refused a message.

        A quorum queue tells the channels that it has refused when it has room again, but not when its limit is removed.
        It would refuse the old channel for ever; a new channel asks again.
        """
        try:
            self._producer.channel.close()
            self._make_producer()
        except (*_BROKEN, Blocked):
            self._drop()

    def _make_producer(self) -> None:
        channel = self._connection.channel()
        self._producer = self._connection.Producer(channel=channel, auto_declare=False, on_return=self._on_return)

    def _drop(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is None:
            return
        try:
            connection.collect(socket_timeout=1.0)
        except _BROKEN:
            return


class _Declarer:
    """A :class:`topology.Declarer` on a channel of kombu."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def has(self, thing: topology.Exchange | topology.Queue) -> bool:
        try:
            match thing:
                case topology.Exchange():
                    self._channel.exchange_declare(thing.name, type=thing.type, passive=True)
                case topology.Queue():
                    self._channel.queue_declare(thing.name, passive=True)
        except NotFound:
            return False
        return True

    def close(self) -> None:
        self._channel.close()

    def exchange(self, exchange: topology.Exchange) -> None:
        with _refused():
            KombuExchange(exchange.name, type=exchange.type, durable=True, channel=self._channel).declare()

    def queue(self, queue: topology.Queue) -> None:
        with _refused():
            KombuQueue(
                queue.name,
                exchange=KombuExchange(queue.exchange, no_declare=True),
                routing_key=queue.routing_key,
                durable=True,
                queue_arguments=queue.arguments,
                channel=self._channel,
            ).declare()


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except AccessRefused as error:
        raise topology.MayNotDeclare from error
