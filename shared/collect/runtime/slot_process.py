"""A slot: a warm child process that runs one slice after the other, and dies with its parent."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from collect.observability import logs, traces
from collect.runtime.faults import FaultPoints
from collect.runtime.ipc import Crashed, Ready
from collect.runtime.processes import die_with, keep_freed_memory
from collect.runtime.slice import Slice
from collect.runtime.slot_pipe import Control
from collect.runtime.task import Task
from collect.storage.database import Database, connect

SWITCH_SECONDS = 0.0005
"""Seconds after which a thread must give the interpreter to another thread. Python's default is ten times as much.

The committing thread needs the interpreter after each answer of the server. Another thread makes the next chunk then.
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SlotSettings:
    """The settings of a slot. They are pickled for the child, so ``make_task`` must be a top-level function."""

    service: str
    mongodb_url: str
    mongodb_database: str
    storage_url: str
    lease_seconds: float
    make_task: Callable[[Database, str], Task]
    fault_points: str = ""


def slot_main(connection: Connection[Any, Any], settings: SlotSettings, parent_pid: int, name: str) -> None:
    """Run slices until the slot is drained. The main function of the child process.

    An unexpected error is logged and reported to the parent; then the process exits with code 1.
    """
    die_with(parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logs.configure(settings.service)
    traces.configure(settings.service)
    keep_freed_memory()
    sys.setswitchinterval(SWITCH_SECONDS)
    control = Control(connection=connection)
    db = connect(settings.mongodb_url, database=settings.mongodb_database, app_name=f"{settings.service}-slot")
    task = FaultPoints.read(settings.fault_points).around(settings.make_task(db, settings.storage_url))
    slice_ = Slice(db=db, task=task, control=control, owner=name, lease_seconds=settings.lease_seconds)
    control.report(Ready())
    while (command := control.next_run()) is not None:
        try:
            ended = slice_.run(command)
        except Exception as error:  # noqa: BLE001 - the boundary of the process: report the error, then exit
            _log.error("slot_crashed", extra={"error": _where(error)}, exc_info=True)
            control.report(Crashed(run=command.run, error=_where(error)))
            traces.shutdown()
            sys.exit(1)
        control.report(ended)
    traces.shutdown()
    db.close()


def _where(error: Exception) -> str:
    """Return the error's type and place. Its text is left out, because it may contain a row's content."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    place = f" in {os.path.basename(last.filename)}, line {last.lineno}" if last else ""
    return f"{type(error).__name__}{place}"
