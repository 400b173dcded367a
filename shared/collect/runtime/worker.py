"""The parent process of a worker. It gives deliveries to slots, renews leases, passes commands on, sends heartbeats
and handles signals. It never touches a row."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import connection
from types import FrameType
from typing import assert_never

from pymongo.errors import PyMongoError

from collect.jobs.model import Part, Phase, part_id
from collect.messaging.consumer import Consumer, Delivery
from collect.messaging.messages import Heartbeat, Poke, SlotReport
from collect.messaging.outbox import OutboxSender
from collect.observability import metrics
from collect.protocol import reaper, verbs
from collect.protocol.lease import renew
from collect.runtime import processes
from collect.runtime.ipc import Alive, ChunkDone, Claimed, Crashed, Ended, Ending, Publish, Ready, Report
from collect.runtime.slot_handle import Running, Seat
from collect.runtime.slot_process import SlotSettings
from collect.storage.database import HUNG_SECONDS, Database

TICK_SECONDS = 0.2
HEARTBEAT_SECONDS = 1.0
DRAIN_SECONDS = 5.0
"""Seconds that the slots have for their last chunks in a drain; then they are killed.

Closing the broker's connection, the outbox and the traces comes after that. The whole drain takes ten seconds at most.
"""
RENEW_BELOW = 0.5
"""A share of the lease's length. A lease with less time left than this is renewed, unless its child has shown no life
for as long as this."""
MAX_STARTS_WITHOUT_READY = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """The settings of a worker. Times are in seconds.

    ``grace_seconds``: how long a slot whose part was taken from it may show no life before it is killed.
    """

    kind: str
    version: str
    slots: int
    lease_seconds: float
    grace_seconds: float
    slot: SlotSettings


class Worker:
    """A worker's parent, which runs until it is drained.

    All work happens on the main thread. The consumer's thread and the signal handler only leave notes for it.
    """

    def __init__(
        self,
        *,
        settings: WorkerSettings,
        db: Database,
        sender: OutboxSender,
        connect_consumer: Callable[[Worker], Consumer],
    ) -> None:
        self.worker_id = f"{socket.gethostname()}-{os.getpid()}"
        self._settings = settings
        self._db = db
        self._sender = sender
        self._deliveries: deque[Delivery] = deque()
        self._pokes: deque[str] = deque()
        self._lost = False
        self._stopping = False
        self._drain_until: float | None = None
        self._failed_starts = 0
        self._beat_at = 0.0
        self._acted_at = time.monotonic()
        self._upkeep_at = 0.0
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._seats: list[Seat] = []
        self.consumer = connect_consumer(self)

    # Methods for the consumer's thread and the signal handler: they leave a note and wake the main thread.

    def on_job(self, delivery: Delivery) -> None:
        """Take a delivery from the consumer. Any thread; does not block."""
        self._deliveries.append(delivery)
        self._wake()

    def on_control(self, message: object) -> None:
        """Take a control message from the consumer. Any thread; does not block."""
        if isinstance(message, Poke):
            self._pokes.append(message.job_id)
            self._wake()

    def on_lost(self) -> None:
        """Note that the connection is lost, and all its deliveries with it. Any thread; does not block."""
        self._lost = True
        self._wake()

    def on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        """Begin to drain the worker. A signal handler."""
        self._stopping = True
        self._wake()

    def health(self) -> str | None:
        """Return what is wrong with the parent, or ``None``.

        It asks neither broker nor database: a server that is away is no reason to restart this process.
        """
        silent = time.monotonic() - self._acted_at
        return None if silent < HUNG_SECONDS else f"nothing was done for {silent:.0f} s"

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"!")
        except BlockingIOError:
            return  # the pipe is full: the main thread wakes anyway

    # Methods for the main thread.

    def run(self) -> None:
        """Run the worker. Blocks until SIGTERM or SIGINT has drained it. Call it on the main thread.

        Raises:
            RuntimeError: slots end again and again before they are ready.
        """
        signal.signal(signal.SIGTERM, self.on_signal)
        signal.signal(signal.SIGINT, self.on_signal)
        names = [f"{self.worker_id}/{n}" for n in range(self._settings.slots)]
        self._seats = [Seat(name=name, settings=self._settings.slot) for name in names]
        self.consumer.start()
        _log.info("worker_started", extra={"worker": self.worker_id, "slots": self._settings.slots})
        while self._seats:
            self._acted_at = time.monotonic()
            self._wait()
            self._take_in()
            self._hand_out()
            self._look_after()
        self.consumer.close(timeout_seconds=1.5)
        self._sender.close(timeout_seconds=1.0)
        _log.info("worker_drained", extra={"worker": self.worker_id})

    def _wait(self) -> None:
        sources: list[object] = [self._wake_read]
        for seat in self._seats:
            sources += [seat.connection, seat.process.sentinel]
        ready = connection.wait(sources, timeout=TICK_SECONDS)  # type: ignore[arg-type]  # sentinels are file numbers
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        for seat in list(self._seats):
            if seat.connection in ready:
                self._hear(seat)
            if seat.process.sentinel in ready:
                self._hear(seat)
                self._child_ended(seat)

    def _take_in(self) -> None:
        if self._lost:
            self._lost = False
            self._deliveries = deque(d for d in self._deliveries if self.consumer.holds(d))
            for seat in self._seats:
                if seat.running and not self.consumer.holds(seat.running.delivery):
                    seat.abandon()
        while self._pokes:
            job_id = self._pokes.popleft()
            for seat in self._seats:
                if seat.running and seat.running.delivery.message.job_id == job_id:
                    seat.look()
        if self._stopping and self._drain_until is None:
            self._begin_drain()

    def _hand_out(self) -> None:
        for seat in self._seats:
            if not self._deliveries or self._drain_until is not None:
                return
            if seat.free:
                seat.start(self._deliveries.popleft())

    def _look_after(self) -> None:
        now = time.monotonic()
        if now - self._beat_at >= HEARTBEAT_SECONDS:
            self._beat_at = now
            self._sender.heartbeat(self._heartbeat())
        if now - self._upkeep_at >= HEARTBEAT_SECONDS:
            self._upkeep_at = now
            for seat in self._seats:
                self._look_after_lease(seat)
        if self._drain_until is not None and now > self._drain_until:
            for seat in self._seats:
                seat.kill()

    def _look_after_lease(self, seat: Seat) -> None:
        """Renew the lease of a child that shows life. Kill a child that shows none and whose part was taken from it."""
        running = seat.running
        if running is None or running.part is None:
            return
        lease = self._settings.lease_seconds
        self._acted_at = time.monotonic()
        try:
            if seat.silent_seconds() < lease * RENEW_BELOW:
                renew(self._db, part=running.part, lease_seconds=lease, left_seconds=lease * RENEW_BELOW)
            if seat.silent_seconds() > self._settings.grace_seconds and not self._still_ours(running.part):
                _log.warning("slot_killed", extra={"slot": seat.name, "job": running.part.job_id})
                seat.kill()
        except PyMongoError as error:  # leases are long; the next round is a second away
            _log.warning("lease_not_looked_after", extra={"error": type(error).__name__})

    def _still_ours(self, part: Part) -> bool:
        this = {"_id": part.id, "epoch": part.epoch, "status": "leased"}
        return self._db.parts.find_one(this, {"_id": 1}) is not None

    def _hear(self, seat: Seat) -> None:
        try:
            while seat.connection.poll(0):
                self._heard(seat, seat.connection.recv())
        except (EOFError, OSError):
            return  # the child is gone, which its sentinel reports

    def _heard(self, seat: Seat, report: Report) -> None:
        match report:
            case Ready():
                seat.ready = True
                self._failed_starts = 0
            case Claimed():
                if seat.running:
                    seat.running.part, seat.running.session_id = report.part, report.session_id
            case Alive():
                if seat.running:
                    seat.running.alive_at = time.monotonic()
                    seat.running.rows_per_second = report.rows_per_second
                if report.chunk is not None:
                    self._count(report.chunk)
            case Publish():
                self._sender.send(report.entries)
            case Crashed():
                if seat.running:
                    seat.running.error = report.error
            case Ended():
                self._ended(seat, report.ending)
            case _:
                assert_never(report)

    def _count(self, chunk: ChunkDone) -> None:
        kind = self._settings.kind
        metrics.CHUNK_SECONDS.labels(kind=kind, phase=chunk.phase.value).observe(chunk.seconds)
        if chunk.phase is Phase.RUN:
            # If a row displaces one of an earlier chunk, one of these is negative. A counter can only grow.
            metrics.ROWS.labels(kind=kind, outcome="succeeded").inc(max(0, chunk.succeeded))
            metrics.ROWS.labels(kind=kind, outcome="rejected").inc(max(0, chunk.rejected))

    def _ended(self, seat: Seat, ending: Ending) -> None:
        running, seat.running = seat.running, None
        if running is None:
            return
        metrics.SLICES.labels(kind=self._settings.kind, ending=ending.value).inc()
        match ending:
            case Ending.ABANDONED:
                self._let_go(running)
            case Ending.UNTOUCHED:
                self.consumer.requeue(running.delivery)
            case Ending.FENCED:
                self._let_go(running)
                self.consumer.ack(running.delivery)
            case _:
                self.consumer.ack(running.delivery)

    def _let_go(self, running: Running, *, quiet: bool = True) -> None:
        """Record that the slot of a part that was cut is free, so that the verb that cut it can show when.

        ``quiet``: the slot has reported by itself, so it writes no object any more.
        """
        if running.part is None or running.session_id is None:
            return
        try:
            action = verbs.freed(
                self._db, part_id=running.part.id, job_id=running.part.job_id, session_id=running.session_id,
                quiet=quiet,
            )  # fmt: skip
            if action is not None and action.effective_at is not None and action.slots_free_at is not None:
                seconds = (action.slots_free_at - action.effective_at).total_seconds()
                metrics.SLOTS_FREE_SECONDS.labels(kind=self._settings.kind).observe(max(0.0, seconds))
        except PyMongoError as error:
            _log.warning("freed_not_recorded", extra={"error": type(error).__name__})

    def _child_ended(self, seat: Seat) -> None:
        seat.process.join()
        running = seat.running
        if running is not None:
            self._lost_child(seat, running)
        if self._drain_until is not None:
            self._seats.remove(seat)
            return
        if not seat.ready:
            self._failed_starts += 1
        if self._failed_starts >= MAX_STARTS_WITHOUT_READY:
            raise RuntimeError(f"slots do not start: the last one ended with {seat.process.exitcode}")
        seat.respawn()

    def _lost_child(self, seat: Seat, running: Running) -> None:
        """Clean up after a child that died at work: publish its part again and ack its message.

        The database aborts the transaction that it had open.
        """
        why = running.error or processes.ending(seat.process.exitcode)
        _log.warning("slot_died", extra={"slot": seat.name, "why": why})
        try:
            part = running.part or self._claimed_unheard(seat, running)
            if part is not None:
                reaped = reaper.reap(self._db, part, why=f"its process died ({why}).", expired_only=False)
                self._sender.send(reaped.outbox)
                if not reaped.value:
                    self._let_go(running, quiet=False)
        except PyMongoError as error:  # the lease runs out, and then the monitor frees the part
            _log.warning("part_not_reaped", extra={"error": type(error).__name__})
        self.consumer.ack(running.delivery)

    def _claimed_unheard(self, seat: Seat, running: Running) -> Part | None:
        """Return the part, if the child had claimed it and died before it could report the claim; else ``None``."""
        message = running.delivery.message
        document = self._db.parts.find_one(
            {"_id": part_id(message.job_id, message.part), "ticket": message.ticket, "status": "leased"}
        )
        if document is None or document["owner"] != seat.name:
            return None
        return Part.model_validate(document)

    def _begin_drain(self) -> None:
        self._drain_until = time.monotonic() + DRAIN_SECONDS
        _log.info("worker_draining", extra={"worker": self.worker_id})
        self.consumer.stop_consuming()
        while self._deliveries:
            self.consumer.requeue(self._deliveries.popleft())
        for seat in self._seats:
            seat.drain()

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            worker_id=self.worker_id,
            kind=self._settings.kind,
            version=self._settings.version,
            slots=[_slot_report(seat) for seat in self._seats],
            at=datetime.now(UTC),
        )


def _slot_report(seat: Seat) -> SlotReport:
    running = seat.running
    part = running.part if running else None
    rss, cpu = processes.usage(seat.process.pid)
    return SlotReport(
        job_id=part.job_id if part else None,
        part=part.n if part else None,
        epoch=part.epoch if part else None,
        rate=running.rows_per_second if running else 0.0,
        rss=rss,
        cpu=cpu,
    )
