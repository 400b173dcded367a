"""Supervision by supervisord: it outlives the shell that called `make up`, and starts again whatever dies."""

import getpass
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from stack.leftovers import MARKER
from stack.ports import wait_until
from stack.server import Server
from stack.supervisor_rpc import supervisor_rpc
from stack.telling import StackError

ALREADY_STARTED = 60
# The path of a Unix socket may have 107 bytes.
MAX_SOCKET_PATH = 100
# Each failed start in a row is waited for a second longer, so this is given up only after a day.
START_RETRIES = 400
LOG_BYTES = "20MB"


@dataclass(frozen=True, kw_only=True)
class Program:
    """One supervised process. Those with a lower priority start before and stop after the others."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    priority: int
    stop_seconds: int


def program_of(server: Server, *, priority: int) -> Program:
    return Program(
        name=server.name,
        command=server.command,
        environment=server.environment,
        priority=priority,
        stop_seconds=server.stop_seconds,
    )


def quoted(value: str) -> str:
    """A value for supervisord's `environment`, which knows both kinds of quotes but no escapes."""
    if "\n" in value or ('"' in value and "'" in value):
        raise StackError(f"A setting with a line break or both kinds of quotes cannot be passed on: {value!r}")
    return f"'{value}'" if '"' in value else f'"{value}"'


def program_section(program: Program, *, directory: Path, log_folder: Path) -> str:
    pairs = ",".join(f"{name}={quoted(value)}" for name, value in sorted(program.environment.items()))
    settings = {
        "command": shlex.join(program.command),
        "directory": str(directory),
        "environment": pairs,
        "priority": str(program.priority),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": "1",
        "startretries": str(START_RETRIES),
        "stopwaitsecs": str(program.stop_seconds),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(log_folder / f"{program.name}.log"),
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": "1",
    }
    return section(f"program:{program.name}", settings)


def section(title: str, settings: Mapping[str, str]) -> str:
    """Percent signs are doubled, because supervisord expands `%(...)s`."""
    lines = [f"{name} = {value.replace('%', '%%')}" for name, value in settings.items() if value]
    return "\n".join([f"[{title}]", *lines, ""])


def socket_path(folder: Path) -> Path:
    """In the folder, unless the path would be too long for a socket."""
    path = folder / "supervisor.sock"
    if len(str(path).encode()) <= MAX_SOCKET_PATH:
        return path
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"collect-{os.getuid()}-{name}.sock"


def configuration(programs: Sequence[Program], *, folder: Path, directory: Path, log_folder: Path) -> str:
    daemon = {
        "logfile": str(log_folder / "supervisord.log"),
        "pidfile": str(folder / "supervisord.pid"),
        "user": getpass.getuser() if os.getuid() == 0 else "",
        "identifier": "collect-jobs",
    }
    return "\n".join(
        [
            section("unix_http_server", {"file": str(socket_path(folder)), "chmod": "0700"}),
            section("supervisord", daemon),
            section(
                "rpcinterface:supervisor",
                {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
            section("supervisorctl", {"serverurl": f"unix://{socket_path(folder)}"}),
            *(program_section(program, directory=directory, log_folder=log_folder) for program in programs),
        ]
    )


class Supervisor:
    """Talks to the supervisord of one folder, which need not be running."""

    def __init__(self, *, folder: Path, home: Path) -> None:
        self._folder = folder
        self._home = home
        self._config = folder / "supervisord.conf"

    def _rpc(self) -> AbstractContextManager[Any]:
        return supervisor_rpc(socket_path(self._folder))

    def is_running(self) -> bool:
        try:
            with self._rpc() as rpc:
                return bool(rpc.getState()["statename"] == "RUNNING")
        except (OSError, HTTPException, xmlrpc.client.Fault):
            return False

    def apply(self, config: str) -> None:
        """Makes the configuration the running one. What it does not change goes on undisturbed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(config, encoding="utf-8")
        self._config.chmod(0o600)
        if self.is_running():
            with self._rpc() as rpc:
                reload(rpc)
        else:
            self._launch()

    def _launch(self) -> None:
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)]
        # Several workers run here, and a port for metrics can be had by one of them only.
        environment = {name: value for name, value in os.environ.items() if name != "COLLECT_METRICS_PORT"}
        environment[MARKER] = str(self._home)
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
        if result.returncode != 0:
            raise StackError(f"supervisord did not start: {result.stdout}{result.stderr}")
        wait_until(self.is_running, seconds=15, what="supervisord to answer")

    def start(self, name: str) -> None:
        """Has the process started, unless it runs or is being started; does not wait for it."""
        try:
            with self._rpc() as rpc:
                rpc.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != ALREADY_STARTED:
                raise

    def states(self) -> dict[str, str]:
        """The state of each process (`RUNNING`, `BACKOFF`, …), in supervisord's words; empty if it does not run."""
        try:
            with self._rpc() as rpc:
                return {info["name"]: info["statename"] for info in rpc.getAllProcessInfo()}
        except (OSError, HTTPException, xmlrpc.client.Fault):
            return {}

    def running(self) -> frozenset[str]:
        """The processes that run, or have just been started."""
        return frozenset(name for name, state in self.states().items() if state in ("STARTING", "RUNNING"))

    def shutdown(self) -> None:
        """Stops every process, the services before the servers, then supervisord itself; blocks until it is done."""
        with self._rpc() as rpc:
            pid = int(rpc.getPID())
            rpc.shutdown()
        wait_until(lambda: not is_alive(pid), seconds=120, what="supervisord to end")


def reload(rpc: Any) -> None:
    """Stops and exchanges the programs that changed, adds the new ones, drops the old ones; the others go on."""
    added, changed, removed = rpc.reloadConfig()[0]
    for name in [*changed, *removed]:
        rpc.stopProcessGroup(name)
        rpc.removeProcessGroup(name)
    for name in [*changed, *added]:
        rpc.addProcessGroup(name)


def is_alive(pid: int) -> bool:
    """False also for a process that has ended and that nobody has waited for yet."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
