"""Publishing, confirmed by the broker, on a connection for that only: an alarm that blocks it stops nobody else."""

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
"""Each frame, so each heartbeat, prolongs the wait for a confirm: they must come more rarely than that lasts."""
BLOCKED_PAUSE_SECONDS = 2.0

_BROKEN = (AMQPError, OperationalError, OSError)


class Unroutable(Transient):
    """The broker has no queue that takes the message."""

    code = "unroutable"


class Refused(Transient):
    """The broker has a queue for the message, which does not take it: it is full."""

    code = "refused"


class Blocked(Transient):
    """The broker has an alarm, of memory or of disk, and takes nothing from anybody."""

    code = "blocked"


class _Stale(Transient):
    """A connection that had served before turned out to be broken: the message deserves a fresh one."""

    code = "stale"


class Publisher:
    """Publishes one message at a time, from any thread, over one connection.

    It connects when it is first used, so that a process may fork before, and again after a loss. Blocks for a
    millisecond or so; when the broker does not answer, for as long as connecting and a confirm may take, once.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: Any = None
        self._producer: Any = None
        self._blocked_until = 0.0
        self._returned = False

    def publish(self, *, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        """Publish, and return when the broker has confirmed. It may arrive twice: a confirm can get lost.

        Raises:
            Unroutable: ``mandatory``, and no queue takes it.
            Refused: its queue is full.
            Blocked: the broker takes nothing at present; for a moment it is not even asked.
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
        """Declare all exchanges, queues and bindings anew, whatever is there.

        Raises:
            MayNotDeclare: the account has no right to.
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
        """Whether there is a connection, or one can be had. Blocks for some seconds when not."""
        with self._lock:
            try:
                if self._producer is None:
                    self._open()
            except (*_BROKEN, Blocked, topology.MayNotDeclare):
                self._drop()
                return False
            return self._alive()

    def keep_alive(self) -> None:
        """Exchange heartbeats over a connection that is idle. Without it the broker ends one after 20 s or so."""
        with self._lock:
            if self._connection is not None:
                self._alive()

    def close(self) -> None:
        """Close the connection. Publishing afterwards opens another.

        Blocks for a second at most: a connection that another thread waits for is left to the end of the process.
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
        except Blocked:  # it would take the message once the alarm is over, and confirm it to whoever asks then
            self._drop()
            raise
        except TimeoutError as error:  # asking once more would take as long, and its answer may still come
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
            # Somebody may have deleted the queue: the next message finds it again.
            with suppress(topology.MayNotDeclare):
                topology.declare(self._declarer())
            raise Unroutable(f"No queue takes {routing_key!r} from {exchange!r}.")

    def _on_return(self, *_message: Any) -> None:
        """Called before the confirm. Raising here would leave that to be taken for the next message's."""
        self._returned = True

    def _declarer(self) -> _Declarer:
        """On a channel of its own: the broker closes it when something is missing, or forbidden."""
        return _Declarer(self._connection.channel())

    def _alive(self) -> bool:
        """Read what the broker has said meanwhile, and say something. A connection that is gone is dropped."""
        try:
            self._read()
            self._connection.heartbeat_check()
        except (*_BROKEN, Blocked):
            self._drop()
            return False
        return True

    def _read(self) -> None:
        """Heartbeats that are not read count as missed."""
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
        """A quorum queue tells the channels that it has refused when there is room, but not when its limit is lifted.

        Such a channel is refused for good; a fresh one asks anew.
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
    """The topology over kombu."""

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
