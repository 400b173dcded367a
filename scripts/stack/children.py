"""Servers as plain children of this process, for tests: they end with it, whatever way it ends."""

import ctypes
import os
import signal
import subprocess
from pathlib import Path
from typing import IO

from stack.ports import wait_until
from stack.server import Server
from stack.telling import StackError

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def end_with_parent() -> None:
    """Runs in the child before exec: the kernel ends it when the parent dies, even by SIGKILL."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One running server. Starting twice or stopping twice is harmless; both block until it is so."""

    def __init__(self, *, server: Server, log_folder: Path) -> None:
        self.server = server
        self._log_path = log_folder / f"{server.name}.out"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise StackError(f"{self.server.name} is not running.")
        return self._process.pid

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the server and waits until it is ready; a server that ends instead is said with its last words."""
        if self.is_running():
            return
        self.server.prepare()
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("ab") as log:
            self._process = self._spawn(log)
        wait_until(
            lambda: not self.is_running() or self.server.ready(),
            seconds=self.server.ready_seconds,
            what=f"{self.server.name} to be ready",
        )
        if not self.is_running():
            raise StackError(f"{self.server.name} ended at once: {self._log_path.read_text(errors='replace')[-2000:]}")

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.server.command,
            env={**os.environ, **self.server.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(timeout=self.server.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()
