"""The slot's end of the pipe: what the parent wants, looked at between chunks."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from typing import Any

from collect.errors import Abandoned, Drained
from collect.runtime.ipc import Abandon, Command, Drain, Look, Report, Run


class Control:
    """Listens for one slot. Not thread-safe. When the parent is gone, the process ends on the spot."""

    def __init__(self, *, connection: Connection[Any, Any]) -> None:
        self._connection = connection
        self._run = 0
        self._look = False
        self._abandoned = False
        self._draining = False

    def next_run(self) -> Run | None:
        """Block until there is a slice to run; ``None``: there will be none any more."""
        while not self._draining:
            command = self._receive()
            if isinstance(command, Run):
                self._run, self._look, self._abandoned = command.run, False, False
                return command
            self._note(command)
        return None

    def report(self, report: Report) -> None:
        """Tell the parent."""
        try:
            self._connection.send(report)
        except OSError:
            os._exit(1)

    def check(self) -> bool:
        """Hear what there is to hear. Returns whether to look at the part, once for each time that one was told to.

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
        """Wait, or less when something is heard.

        Raises:
            Abandoned: the delivery is gone. Being drained does not end this: what was begun is brought to its end.
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
