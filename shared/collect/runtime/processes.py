"""Functions that ask the kernel or glibc: a process's usage, its end, its memory, its parent's death."""

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
    """Return the resident memory in bytes and the processor time so far in seconds. Zeros if the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0, 0.0
    return int(fields[21]) * _PAGE_BYTES, (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def ending(exit_code: int | None) -> str:
    """Return in words how a process ended: its signal's name, or its exit code."""
    if exit_code is None:
        return "no exit code"
    if exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


def keep_freed_memory() -> None:
    """Let glibc keep up to :data:`KEPT_BYTES` of freed memory, and use ``mmap`` only for blocks of 32 MiB and more.

    A chunk's buffers are megabytes. Without this, a slot spends a tenth of its time on getting their pages from the
    kernel again and again (docs/figures.md). With another C library than glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def share_freed_memory(arenas: int = 2) -> None:
    """Let the threads of this process share a few memory arenas of glibc. Call it before the threads start.

    By default threads get arenas of their own, and each arena keeps the memory that was freed in it. With twenty
    downloads at once, this takes three times the memory that they hold.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, arenas)


def die_with(parent_pid: int) -> None:
    """Have the kernel send SIGKILL to this process when its parent ends. Exit at once if the parent has ended already.

    The kernel sends no signal for a parent that ended before, so this function checks that itself. For the kernel, the
    parent is the thread that made this process: that thread must live as long as the parent process.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)
