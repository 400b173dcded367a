"""A mongod of a test's own: to be stopped, stepped down, filled, locked, and put back to what it was."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from stack import mongodb
from stack.children import Child
from stack.ports import free_ports
from stack.server import ServerMissing
from support.servers import MONGODB_WHEEL, unavailable

BLOCK_BYTES = 64 * 1024


class Mongod:
    """One server of its own, under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        ports = free_ports(mongodb.PORT_NAMES)
        self.url = mongodb.mongodb_url(ports)
        try:
            server = mongodb.mongodb(root, ports, installed=MONGODB_WHEEL, cache_gigabytes=0.25)
        except ServerMissing as error:
            unavailable(error)
            raise
        self.child = Child(server=server, log_folder=root / "log")

    def freeze(self) -> None:
        """It answers nothing any more, and closes nothing."""
        os.kill(self.child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.child.pid, signal.SIGCONT)

    def step_down(self, *, seconds: int = 3) -> None:
        """No primary for so long; then it elects itself."""
        self.command("replSetStepDown", seconds, force=True, secondaryCatchUpPeriodSecs=0)

    def command(self, name: str, value: Any = 1, **options: Any) -> Any:
        """A command on the database `admin`."""
        with MongoClient[dict[str, Any]](self.url, serverSelectionTimeoutMS=10_000) as client:
            return client.admin.command({name: value, **options})

    def save(self) -> Path:
        """What it holds now, as files. It is stopped for that, and runs again."""
        copy = self.root / "saved"
        self.child.stop()
        shutil.copytree(self.root / "data", copy)
        self.child.start()
        return copy

    def restore(self, copy: Path) -> None:
        """It dies, and comes back with what it held when ``copy`` was made."""
        self.child.kill()
        shutil.rmtree(self.root / "data")
        shutil.copytree(copy, self.root / "data")
        self.child.start()


@contextmanager
def running(root: Path) -> Iterator[Mongod]:
    """A mongod that runs, and has ended afterwards."""
    made = Mongod(root)
    made.child.start()
    try:
        yield made
    finally:
        made.child.kill()


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """A file system of that size at ``folder``, which only root can make."""
    folder.mkdir(parents=True, exist_ok=True)
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([*sudo, "mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*sudo, "umount", "--lazy", folder], check=True)


def fill(folder: Path, *, leave: int = 0) -> Path:
    """A file that takes all room of the file system but ``leave`` bytes; removing it gives the room back."""
    ballast = folder / "ballast"
    block = b"\0" * BLOCK_BYTES
    # Whoever else writes there at the same time may get the last of it.
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while shutil.disk_usage(folder).free > leave:
            file.write(block)
    return ballast
