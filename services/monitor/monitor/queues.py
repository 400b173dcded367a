"""The depth of the broker's queues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amqp.exceptions import AMQPError, NotFound
from kombu.connection import Connection
from kombu.exceptions import KombuError

from collect.errors import Transient

TIMEOUT_SECONDS = 5.0


class Queues:
    """Asks the broker how many messages its queues hold. For one thread; blocking.

    It connects at the first question, and again after each failure. ``queue_of``: kind → the name of its queue.
    """

    def __init__(self, *, url: str, queue_of: Callable[[str], str]) -> None:
        self._url = url
        self._queue_of = queue_of
        self._connection: Any = None

    def depth(self, kind: str) -> int:
        """Return the number of messages in the kind's queue that no consumer holds; 0 if there is no such queue.

        Raises:
            Transient: the broker did not answer.
        """
        try:
            return self._ask(self._queue_of(kind))
        except (AMQPError, KombuError, OSError) as error:
            broken, self._connection = self._connection, None
            if broken is not None:
                broken.collect()
            raise Transient(f"The broker does not say how full its queues are: {error}") from error

    def close(self) -> None:
        """Close the connection. Idempotent; a later question opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _ask(self, queue: str) -> int:
        if self._connection is None:
            timeouts = {"read_timeout": TIMEOUT_SECONDS, "write_timeout": TIMEOUT_SECONDS}
            make: Any = Connection
            connection = make(self._url, connect_timeout=TIMEOUT_SECONDS, transport_options=timeouts, heartbeat=0)
            connection.connect()
            self._connection = connection
        channel = self._connection.channel()
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except NotFound:  # which closes the channel, but not the connection
            return 0
        finally:
            channel.close()
