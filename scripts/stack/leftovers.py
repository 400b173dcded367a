"""Processes of the stack that lost their supervisor, found by a mark in their environment.

Everything that supervisord starts inherits the mark, and nothing else has it: so these may be ended, and no others.
Redis writes its title over its environment; it is known by the folder that it works in.
"""

import os
import signal
from pathlib import Path

from stack.ports import wait_until
from stack.telling import StackError

MARKER = "COLLECT_STACK_HOME"
PROC = Path("/proc")


def find(home: Path) -> list[int]:
    """The pids of live processes that belong to the stack of this folder."""
    mark = f"{MARKER}={home}".encode()
    found = []
    for entry in PROC.glob("[0-9]*"):
        pid = int(entry.name)
        if pid != os.getpid() and (mark in environment_of(entry).split(b"\0") or is_redis_in(home, entry)):
            found.append(pid)
    return sorted(found)


def environment_of(entry: Path) -> bytes:
    """Empty for a process that has ended meanwhile, a zombie, and one of another user."""
    try:
        return (entry / "environ").read_bytes()
    except OSError:
        return b""


def is_redis_in(home: Path, entry: Path) -> bool:
    try:
        working_in = Path(os.readlink(entry / "cwd"))
        return (entry / "comm").read_text().strip() == "redis-server" and working_in.is_relative_to(home)
    except OSError:
        return False


def end(home: Path, *, seconds: float = 15) -> int:
    """Ends what is left, with SIGTERM first and SIGKILL for what does not listen; returns how many there were."""
    pids = find(home)
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in find(home):
            send(pid, how)
        try:
            wait_until(lambda: not find(home), seconds=seconds, what="leftover processes to end")
        except StackError:
            continue
        break
    return len(pids)


def send(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return
