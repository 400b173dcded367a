"""The parent's side of one slot: its process, its pipe, and the slice that it runs."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from collect.jobs.model import Part
from collect.messaging.consumer import Delivery
from collect.protocol.lease import Ticket
from collect.runtime.ipc import Abandon, Command, Drain, Look, Run
from collect.runtime.slot_process import SlotSettings, slot_main
from collect.storage.database import SessionId


@dataclass(kw_only=True)
class Running:
    """The slice that a slot runs. ``part`` and ``session_id`` are set once the slot has reported its claim.

    ``alive_at``: when the slice last showed life, by the monotonic clock.
    """

    run: int
    delivery: Delivery
    part: Part | None = None
    session_id: SessionId | None = None
    alive_at: float = field(default_factory=time.monotonic)
    rows_per_second: float = 0.0
    error: str | None = None


class Seat:
    """The parent's handle of one slot. Only the parent's main thread may use it.

    The child must be spawned from that thread too: the kernel kills the child when the thread that made it ends.
    """

    def __init__(self, *, name: str, settings: SlotSettings) -> None:
        self.name = name
        self.ready = False
        self.running: Running | None = None
        self._settings = settings
        self._runs = 0
        self._spawn()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection: Connection[Any, Any]
        self.connection, theirs = context.Pipe(duplex=True)
        self.process: SpawnProcess = context.Process(
            target=slot_main, args=(theirs, self._settings, os.getpid(), self.name), name=self.name, daemon=True
        )
        self.process.start()
        theirs.close()
        self.ready = False

    def respawn(self) -> None:
        """Start a new child process in place of one that has ended."""
        self.connection.close()
        self.running = None
        self._spawn()

    @property
    def free(self) -> bool:
        return self.ready and self.running is None

    def start(self, delivery: Delivery) -> None:
        """Give the slot a slice to run."""
        self._runs += 1
        self.running = Running(run=self._runs, delivery=delivery)
        message = delivery.message
        ticket = Ticket(kind=message.kind, job_id=message.job_id, part=message.part, ticket=message.ticket)
        self._send(
            Run(run=self._runs, ticket=ticket, redelivered=delivery.redelivered, traceparent=delivery.traceparent)
        )

    def look(self) -> None:
        """Tell the slot to look at its part and job again, because something happened to the job."""
        if self.running is not None:
            self._send(Look(run=self.running.run))

    def abandon(self) -> None:
        """Tell the slot to stop its slice, because the delivery is gone."""
        if self.running is not None:
            self._send(Abandon(run=self.running.run))

    def drain(self) -> None:
        """Tell the slot to finish its chunk, release its part and end."""
        self._send(Drain())

    def _send(self, command: Command) -> None:
        """Send ``command`` to the child. Does nothing if the child is gone: its sentinel reports that."""
        try:
            self.connection.send(command)
        except OSError:
            return

    def silent_seconds(self) -> float:
        """Return the seconds since the slice last showed life; 0 if the slot runs none."""
        return time.monotonic() - self.running.alive_at if self.running else 0.0

    def kill(self) -> None:
        """Kill the child's process with SIGKILL."""
        self.process.kill()
