"""The sender of outbox entries: a thread publishes them right after their commit. The relay sends what it misses."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from collect.errors import Transient
from collect.messaging import topology
from collect.messaging.messages import Heartbeat, Poke, encode
from collect.messaging.publisher import Publisher, Refused, Unroutable
from collect.observability import traces

MAX_WAITING = 10_000
BATCH = 100
"""Most entries that are published and then deleted together. If the process dies before the deletion, the relay sends
them again."""
IDLE_SECONDS = 3.0
"""Seconds after the last message until the thread checks whether the broker is there."""

_log = logging.getLogger(__name__)


class Entry(Protocol):
    """An outbox entry, as the storage returns it."""

    @property
    def id(self) -> str: ...

    @property
    def exchange(self) -> str: ...

    @property
    def routing_key(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def mandatory(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class _Loose:
    """A message that is not in the outbox, because nothing depends on it: a poke or a heartbeat."""

    exchange: str
    routing_key: str
    body: str
    id: str = ""
    mandatory: bool = False


class OutboxSender:
    """Publishes outbox entries on a thread of its own, then deletes them. Its callers never block and never fail.

    Entries that cannot be sent stay in the outbox, where the relay finds them. The thread starts with the first
    message, so that a process may fork before that.
    """

    def __init__(self, publisher: Publisher, *, delete: Callable[[list[str]], None]) -> None:
        self._publisher = publisher
        self._delete = delete
        self._waiting: queue.Queue[Entry | None] = queue.Queue(maxsize=MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._reached: bool | None = None

    def send(self, entries: Sequence[Entry]) -> None:
        """Publish entries of a committed transaction. Does not block."""
        self._put(*entries)

    def poke(self, kind: str, job_id: str) -> None:
        """Publish a poke: the kind's workers look at the job. It carries the caller's trace. Does not block."""
        exchange, key = topology.poke_route(kind, job_id)
        body = encode(Poke(job_id=job_id, kind=kind), traceparent=traces.current_traceparent()).decode()
        self._put(_Loose(exchange=exchange, routing_key=key, body=body))

    def heartbeat(self, heartbeat: Heartbeat) -> None:
        """Publish a heartbeat. Does not block."""
        exchange, key = topology.heartbeat_route()
        body = encode(heartbeat, traceparent=None).decode()
        self._put(_Loose(exchange=exchange, routing_key=key, body=body))

    def reachable(self) -> bool | None:
        """Return whether the broker answered the thread's last request; ``None`` before the first one. Never blocks.

        An idle thread asks again every few seconds, so the answer is some seconds old.
        """
        self._start()
        return self._reached

    def close(self, *, timeout_seconds: float) -> None:
        """Send the messages that wait, then close the connection. Sending takes ``timeout_seconds`` at most."""
        deadline = time.monotonic() + timeout_seconds
        thread = self._thread
        if thread is not None and thread.is_alive():
            try:
                self._waiting.put(None, timeout=timeout_seconds)
                thread.join(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Full:
                _log.warning("outbox_sender_not_drained")
        self._publisher.close()

    def _put(self, *entries: Entry) -> None:
        if not entries:
            return
        try:
            for entry in entries:
                self._waiting.put_nowait(entry)
        except queue.Full:
            _log.warning("outbox_sender_full")
        self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="outbox-sender", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                first = self._waiting.get(timeout=0.0 if self._reached is None else IDLE_SECONDS)
            except queue.Empty:
                self._reached = self._publisher.reachable()
                continue
            batch = [first, *self._at_hand(BATCH - 1)]
            self._publish([entry for entry in batch if entry is not None])
            if None in batch:
                return

    def _at_hand(self, most: int) -> list[Entry | None]:
        found: list[Entry | None] = []
        try:
            while len(found) < most:
                found.append(self._waiting.get_nowait())
        except queue.Empty:
            pass
        return found

    def _publish(self, entries: Sequence[Entry]) -> None:
        sent: list[str] = []
        try:
            for entry in entries:
                if self._sent(entry) and entry.id:
                    sent.append(entry.id)
                self._reached = True
        except Transient as error:
            self._reached = False
            # Drop the messages that wait: each would wait as long for the broker. Late pokes and heartbeats are of no
            # use, and the relay sends the outbox entries. Only a stop from `close` is kept, which has its own deadline.
            left = [entry for entry in self._at_hand(MAX_WAITING) if entry is None]
            _log.warning("broker_unreachable", extra={"why": error.code})
            for stop in left:
                self._waiting.put_nowait(stop)
        finally:
            if sent:
                self._forget(sent)

    def _sent(self, entry: Entry) -> bool:
        try:
            self._publisher.publish(
                exchange=entry.exchange, routing_key=entry.routing_key, body=entry.body, mandatory=entry.mandatory
            )
        except (Unroutable, Refused) as error:  # only this message: other messages may have a queue that takes them
            _log.warning("message_not_sent", extra={"exchange": entry.exchange, "why": error.code})
            return False
        return True

    def _forget(self, ids: list[str]) -> None:
        started = time.monotonic()
        try:
            self._delete(ids)
        except Exception as error:  # noqa: BLE001 - after any error the relay sends the entries again and deletes them
            seconds = round(time.monotonic() - started, 3)
            _log.warning("outbox_not_cleared", extra={"error": type(error).__name__, "seconds": seconds})
