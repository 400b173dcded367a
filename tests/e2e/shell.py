"""A shell with the two commands in it, and the system that they talk to."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collect.messaging import topology
from collect.storage.database import Database
from collect.testing.system import Service, System

BIN = Path(sys.executable).parent
COMMAND_SECONDS = 90


class Result:
    """How a command ended, and what it said."""

    def __init__(self, completed: subprocess.CompletedProcess[str]) -> None:
        self.code = completed.returncode
        self.out = completed.stdout
        self.err = completed.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Town:
    """One running system with its demo organisations, and the commands as people in it call them."""

    worker: Service
    gateway: Service
    monitor: Service
    keys: dict[str, str]

    def __init__(
        self, *, mongodb_url: str, database: str, amqp_url: str, redis_url: str, management_url: str, folder: Path
    ) -> None:
        self.stores = {
            "MONGODB_URL": mongodb_url,
            "MONGODB_DATABASE": database,
            "AMQP_URL": amqp_url,
            "REDIS_URL": redis_url,
            "RABBITMQ_MANAGEMENT_URL": management_url,
        }
        self.system = System(
            mongodb_url=mongodb_url, database=database, amqp_url=amqp_url, redis_url=redis_url, folder=folder
        )

    @property
    def db(self) -> Database:
        return self.system.db

    def open(self) -> None:
        assert self.admin("migrate").code == 0
        seeded = self.admin("seed", "demo", "--env")
        assert seeded.code == 0, seeded.err
        self.keys = dict(line.split("=", 1) for line in seeded.out.splitlines())
        self.gateway = self.system.gateway()
        self.monitor = self.system.monitor()
        self.worker = self.system.worker(kind=topology.KINDS[0])
        for kind in topology.KINDS[1:]:
            self.system.worker(kind=kind)

    def close(self) -> None:
        self.system.close()

    def environment(self, key: str = "COLLECT_API_KEY") -> dict[str, str]:
        return {**os.environ, "COLLECT_URL": self.system.url, "COLLECT_API_KEY": self.keys[key], "COLUMNS": "120"}

    def collect(self, *arguments: object, key: str = "COLLECT_API_KEY") -> Result:
        return _run("collect", arguments, self.environment(key))

    def admin(self, *arguments: object, **environment: str) -> Result:
        return _run("collect-admin", arguments, {**os.environ, **self.stores, **environment})

    @contextmanager
    def begin(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """`collect …` in the background; it is killed if it is still there at the end."""
        command = [str(BIN / "collect"), *(str(argument) for argument in arguments)]
        with subprocess.Popen(
            command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, preexec_fn=_hear_interrupts,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def csv(self, path: Path, *, rows: int, first: int, **options: str) -> Path:
        more = [word for name, value in options.items() for word in (f"--{name}", value)]
        made = self.admin("seed", "baseline-csv", "--rows", rows, "--first", first, "-o", path, *more)
        assert made.code == 0, made.err
        return path

    def roster(self, path: Path, *, rows: int, first: int, **options: str) -> Path:
        """A list of teams, as `collect-admin` makes it."""
        more = [word for name, value in options.items() for word in (f"--{name}", value)]
        made = self.admin("seed", "teams-csv", "--rows", rows, "--first", first, "-o", path, *more)
        assert made.code == 0, made.err
        return path

    def upload(self, path: Path, *options: object) -> str:
        """Start an upload; the job's id."""
        started = self.collect("jobs", "create", "upload", path, "--dataset", "baseline", "--json", *options)
        assert started.code == 0, started.err
        return str(started.json["id"])

    def written(self, job_id: str) -> int:
        """Rows with the job's mark, counted in the database."""
        return self.db.rows.count_documents({"written_by": {"$gte": f"{job_id}:", "$lt": f"{job_id};"}})

    def rows(self) -> list[dict[str, Any]]:
        """Every dataset, document for document."""
        return list(self.db.rows.find().sort("_id", 1))

    def until_written(self, job_id: str, rows: int, *, seconds: float = 30) -> None:
        until(lambda: self.written(job_id) >= rows, seconds=seconds, what=f"{rows} rows of {job_id} are written")


class Terminal:
    """A command on a real terminal: what it shows can be waited for, keys can be pressed."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._fd, theirs = pty.openpty()
        self.seen = ""
        self.process = subprocess.Popen(
            command, env={**environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, preexec_fn=_hear_interrupts,
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def expect(self, words: str, *, seconds: float = 30) -> None:
        """Read until ``words`` are shown; what was shown before them is not looked at again."""
        deadline = time.monotonic() + seconds
        while words not in self.seen:
            assert time.monotonic() < deadline, f"{words!r} was not shown within {seconds} s:\n{self.seen}"
            self._read(0.2)
        self.seen = self.seen.split(words, 1)[1]

    def end(self, *, seconds: float = 30) -> int:
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end:\n{self.seen}"
            self._read(0.2)
        return self.process.returncode

    def _read(self, seconds: float) -> None:
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if ready:
            try:
                self.seen += os.read(self._fd, 65536).decode(errors="replace")
            except OSError:  # the other side has closed it
                self.process.wait(timeout=10)


def until(condition: Any, *, seconds: float, what: str) -> None:
    from support.waiting import eventually

    eventually(condition, seconds=seconds, what=what)


def _run(command: str, arguments: tuple[object, ...], environment: dict[str, str]) -> Result:
    return Result(
        subprocess.run(
            [str(BIN / command), *(str(argument) for argument in arguments)],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS,
            check=False,
        )
    )  # fmt: skip


def _hear_interrupts() -> None:
    """A shell starts what it runs in the background deaf to Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
