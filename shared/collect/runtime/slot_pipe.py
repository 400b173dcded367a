"""The slot's end of the pipe: it reads the parent's commands between chunks."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from typing import Any

from collect.errors import Abandoned, Drained
from collect.runtime.ipc import Abandon, Command, Drain, Look, Report, Run


class Control:
    """Reads the commands for one slot and sends its reports. Not thread-safe.

    When the parent is gone, the process exits at once.
    """

    def __init__(self, *, connection: Connection[Any, Any]) -> None:
        self._connection = connection
        self._run = 0
        self._look = False
        self._abandoned = False
        self._draining = False

    def next_run(self) -> Run | None:
        """Return the next slice to run. Blocks until there is one. ``None``: the slot is drained, no more will come."""
        while not self._draining:
            command = self._receive()
            if isinstance(command, Run):
                self._run, self._look, self._abandoned = command.run, False, False
                return command
            self._note(command)
        return None

    def report(self, report: Report) -> None:
        """Send ``report`` to the parent. Exits the process if the parent is gone."""
        try:
            self._connection.send(report)
        except OSError:
            os._exit(1)

    def check(self) -> bool:
        """Read the commands that have come. Return whether the slice has to look at its part and job again.

        Commands to look that came since the last call count as one. Does not block.

        Raises:
            Abandoned: the delivery is gone.
            Drained: the worker is going away.
        """
        self._hear()
        if self._abandoned:
            raise Abandoned
        if self._draining:
            raise Drained
        look, self._look = self._look, False
        return look

    def rest(self, seconds: float) -> None:
        """Wait for ``seconds``, or until a command comes.

        Raises:
            Abandoned: the delivery is gone. A drain raises nothing here, so that work that was begun can be completed.
        """
        deadline = time.monotonic() + seconds
        heard = False
        while not heard and (left := deadline - time.monotonic()) > 0:
            heard = self._connection.poll(left)
            self._hear()
            if self._abandoned:
                raise Abandoned

    def _hear(self) -> None:
        while self._connection.poll():
            self._note(self._receive())

    def _receive(self) -> Command:
        try:
            command: Command = self._connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        return command

    def _note(self, command: Command) -> None:
        match command:
            case Look(run=run) if run == self._run:
                self._look = True
            case Abandon(run=run) if run == self._run:
                self._abandoned = True
            case Drain():
                self._draining = True
            case _:  # meant for a slice that has ended
                return
