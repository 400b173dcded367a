"""The monitor's main module. All wiring of the monitor is here."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from collect import settings
from collect.clock import SystemClock
from collect.messaging import topology
from collect.messaging.consumer import Consumer, Subscription
from collect.messaging.outbox import OutboxSender
from collect.messaging.publisher import Publisher
from collect.observability import logs, traces
from collect.observability.endpoint import Endpoint, Probe
from collect.runtime.probes import readiness
from collect.storage import outbox
from collect.storage.database import HUNG_SECONDS, connect
from collect.storage.object_store import open_blobs
from monitor.heartbeats import Heartbeats
from monitor.metrics import Gauges
from monitor.part_publisher import PartPublisher
from monitor.queues import Queues
from monitor.reaper import Reaper
from monitor.relay import Relay
from monitor.retention import Leftovers, Retention
from monitor.settings import MonitorSettings
from monitor.sweep import Sweeper
from monitor.ticking import Ticker
from monitor.timers import Timers
from monitor.windows import Windows

SERVICE = "monitor"
STOP_SECONDS = 4.0
TOPOLOGY_SECONDS = 10.0
REMOVING_SECONDS = 3600.0
"""Seconds that one round of removing may take, in one act, before it counts as hanging."""

_log = logging.getLogger(__name__)


class Monitor:
    """The monitor's process: its threads, its endpoint, and its end."""

    def __init__(self, found: MonitorSettings) -> None:
        self._settings = found
        self._stop = threading.Event()
        self._crashed = False
        self._db = connect(found.mongodb_url, database=found.mongodb_database, app_name=SERVICE)
        self._publisher = Publisher(found.amqp_url)
        self._relay_publisher = Publisher(found.amqp_url)
        self._sender = OutboxSender(self._publisher, delete=lambda ids: outbox.delete(self._db, ids))
        self._queues = Queues(url=found.amqp_url, queue_of=topology.job_queue)
        self._heartbeats = Heartbeats(db=self._db, clock=SystemClock())
        self._consumer = Consumer(
            found.amqp_url,
            subscriptions=[
                Subscription(queue=topology.HEARTBEAT_QUEUE, on_message=self._heartbeats.on_message),
            ],
            on_lost=lambda: None,
            heartbeat_seconds=found.broker_heartbeat_seconds,
        )
        self._tickers = self._make_tickers()
        self._endpoint = Endpoint(
            host=found.host,
            port=found.port,
            health={ticker.name: _acts(ticker) for ticker in self._tickers},
            readiness=readiness(self._db, self._consumer),
        )

    def run(self) -> int:
        """Run the monitor. Blocks until SIGTERM or SIGINT comes, or a thread crashes. Return the exit code."""
        threading.excepthook = self._on_crash
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._endpoint.start()
        self._consumer.start()
        for ticker in self._tickers:
            ticker.start()
        _log.info("monitor_started", extra={"port": self._endpoint.port})
        self._stop.wait()
        closing = threading.Thread(target=self._close, name="closing", daemon=True)
        closing.start()
        closing.join(STOP_SECONDS)
        _log.info("monitor_ended", extra={"well": not self._crashed})
        return 1 if self._crashed else 0

    def _make_tickers(self) -> list[Ticker]:
        found, db, sender, clock = self._settings, self._db, self._sender, SystemClock()
        acts = {
            "relay": Relay(db=db, publisher=self._relay_publisher, older_than_seconds=found.relay_after_seconds).tick,
            "reaper": Reaper(
                db=db,
                sender=sender,
                clock=clock,
                lease_seconds=found.lease_seconds,
                max_expired=found.max_expired_leases,
                tick_seconds=found.tick_seconds,
            ).tick,
            "sweeper": Sweeper(
                db=db,
                sender=sender,
                depth=self._queues.depth,
                after_seconds=found.sweep_after_seconds,
                busy_after_seconds=found.sweep_busy_after_seconds,
            ).tick,
            "part_publisher": PartPublisher(db=db, sender=sender).tick,
            "timers": Timers(db=db, sender=sender, clock=clock).tick,
            "windows": Windows(db=db, seen_seconds=found.worker_seen_seconds).tick,
            "heartbeats": self._heartbeats.tick,
            "gauges": Gauges(
                db=db, seen_seconds=found.worker_seen_seconds, overdue_seconds=found.relay_after_seconds
            ).tick,
        }
        often = [
            Ticker(name=name, act=act, interval_seconds=found.tick_seconds, hung_seconds=HUNG_SECONDS, stop=self._stop)
            for name, act in acts.items()
        ]
        # The broker does not report a deleted queue or binding, and other services have no right to declare them.
        whole = Ticker(
            name="topology",
            act=self._relay_publisher.declare,
            interval_seconds=TOPOLOGY_SECONDS,
            hung_seconds=HUNG_SECONDS,
            stop=self._stop,
        )
        return [*often, whole, *self._make_removers()]

    def _make_removers(self) -> list[Ticker]:
        found, db, clock = self._settings, self._db, SystemClock()
        blobs = open_blobs(found.storage_url, db)
        leftovers = Leftovers(db=db, blobs=blobs, clock=clock, after_seconds=found.leftover_after_seconds)
        acts: list[tuple[str, Callable[[], object], float]] = [
            ("retention", Retention(db=db, blobs=blobs, clock=clock).tick, found.retention_tick_seconds),
            ("leftovers", leftovers.tick, found.leftovers_tick_seconds),
        ]
        return [
            Ticker(name=name, act=act, interval_seconds=seconds, hung_seconds=REMOVING_SECONDS, stop=self._stop)
            for name, act, seconds in acts
        ]

    def _close(self) -> None:
        """Close everything. Acts that still run get two seconds; then they are left, and the database aborts their open
        transactions."""
        self._endpoint.close()
        self._consumer.close(timeout_seconds=1.0)
        deadline = time.monotonic() + STOP_SECONDS / 2
        for ticker in self._tickers:
            ticker.join(max(0.0, deadline - time.monotonic()))
        self._sender.close(timeout_seconds=1.0)
        self._relay_publisher.close()
        self._queues.close()
        traces.shutdown()

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _on_crash(self, crash: threading.ExceptHookArgs) -> None:
        """Log the crash of a thread and end the process with code 1.

        An unexpected error is a defect, and a new process is better than one that lacks a thread.
        """
        if self._stop.is_set():
            return
        name = crash.thread.name if crash.thread else "?"
        error = crash.exc_value or crash.exc_type()
        _log.critical("thread_crashed", extra={"crashed": name}, exc_info=error)
        self._crashed = True
        self._stop.set()


def _acts(ticker: Ticker) -> Probe:
    def probe() -> str | None:
        silent = ticker.silent_seconds()
        return None if silent < ticker.hung_seconds else f"no act has ended for {silent:.0f} s"

    return probe


def main() -> int:
    """Run the monitor until a signal ends it. Return the exit code."""
    found = settings.read(MonitorSettings, service=SERVICE)
    logs.configure(SERVICE, found.log_level)
    traces.configure(SERVICE)
    return Monitor(found).run()


if __name__ == "__main__":
    sys.exit(main())
