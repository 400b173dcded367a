"""What the kernel knows of a process, and what it does for one."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

PR_SET_PDEATHSIG = 1
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
KEPT_BYTES = 128 * 1024 * 1024
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def usage(pid: int | None) -> tuple[int, float]:
    """Resident memory in bytes and processor time in seconds so far; zeros for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0, 0.0
    return int(fields[21]) * _PAGE_BYTES, (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def ending(exit_code: int | None) -> str:
    """How a process ended, in words."""
    if exit_code is None:
        return "no exit code"
    if exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


def keep_freed_memory() -> None:
    """Let glibc keep up to :data:`KEPT_BYTES` of what is freed, and take no pages of their own for up to 32 MiB.

    A chunk's buffers are megabytes, and getting their pages anew from the kernel each time takes a tenth of a slot's
    time (docs/figures.md). Without glibc nothing is changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def share_freed_memory(arenas: int = 2) -> None:
    """Let the threads of this process, which begin after it, take memory from a few arenas of glibc's between them.

    By default each of some has its own, and keeps in it what it has freed: of twenty downloads at once, three times
    what they hold.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, arenas)


def die_with(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the parent is gone; and look whether it is already, which it would not tell.

    The parent's thread that has made this process counts as the parent: it must be one that lives as long.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)
