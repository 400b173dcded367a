"""Publishing, confirmed by the broker, on a connection for that only: an alarm that blocks it stops nobody else."""

from __future__ import annotations

import threading
from typing import Any

from amqp.exceptions import AMQPError, ChannelError
from kombu.connection import Connection
from kombu.entity import Exchange as KombuExchange
from kombu.entity import Queue as KombuQueue
from kombu.exceptions import OperationalError

from collect.errors import Transient
from collect.messaging import topology

CONNECT_SECONDS = 3.0
CONFIRM_SECONDS = 5.0
HEARTBEAT_SECONDS = 10
NO_ROUTE = 312


class Unroutable(Transient):
    """The broker has no queue that takes the message."""

    code = "unroutable"


class Publisher:
    """Publishes one message at a time, from any thread; connects when it is first used, and again after a loss.

    Blocks for a millisecond or so, for some seconds when the broker does not answer.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._connection: Any = None
        self._producer: Any = None

    def publish(self, *, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        """Publish, and return when the broker has confirmed. A broken connection is replaced once.

        Raises:
            Unroutable: ``mandatory``, and no queue takes it.
            Transient: the broker is not there, refuses, or does not confirm in time.
        """
        with self._lock:
            try:
                self._publish(exchange, routing_key, body, mandatory)
            except (Unroutable, Transient):
                self._drop()
                raise
            except (AMQPError, OperationalError, OSError):
                self._drop()
                try:
                    self._publish(exchange, routing_key, body, mandatory)
                except Transient:
                    self._drop()
                    raise
                except (AMQPError, OperationalError, OSError) as error:
                    self._drop()
                    raise Transient(f"The broker did not take it: {type(error).__name__}.") from error

    def reachable(self) -> bool:
        """Whether there is a connection, or one can be had. Blocks for some seconds when not."""
        with self._lock:
            try:
                if self._producer is None:
                    self._open()
                self._connection.heartbeat_check()
            except (AMQPError, OperationalError, OSError):
                self._drop()
                return False
            return True

    def close(self) -> None:
        """Close the connection. Publishing afterwards opens another."""
        with self._lock:
            self._drop()

    def _publish(self, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        if self._producer is None:
            self._open()
        try:
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
        except ChannelError as error:
            if error.reply_code == NO_ROUTE:
                raise Unroutable(f"No queue takes {routing_key!r} from {exchange!r}.") from error
            raise

    def _open(self) -> None:
        self._connection = Connection(
            self._url,
            connect_timeout=CONNECT_SECONDS,
            heartbeat=HEARTBEAT_SECONDS,
            transport_options={
                "confirm_publish": True,
                "read_timeout": CONFIRM_SECONDS,
                "write_timeout": CONFIRM_SECONDS,
            },
        )
        self._connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=CONNECT_SECONDS)
        channel = self._connection.channel()
        topology.declare(_Declarer(channel))
        self._producer = self._connection.Producer(channel=channel, auto_declare=False)

    def _drop(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is None:
            return
        try:
            connection.collect(socket_timeout=1.0)
        except (AMQPError, OperationalError, OSError):
            return


class _Declarer:
    """The topology over kombu."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def exchange(self, exchange: topology.Exchange) -> None:
        KombuExchange(exchange.name, type=exchange.type, durable=True, channel=self._channel).declare()

    def queue(self, queue: topology.Queue) -> None:
        KombuQueue(
            queue.name,
            exchange=KombuExchange(queue.exchange, no_declare=True),
            routing_key=queue.routing_key,
            durable=True,
            queue_arguments=queue.arguments,
            channel=self._channel,
        ).declare()
