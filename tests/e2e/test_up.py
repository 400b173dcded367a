"""`make up` beside another system: nothing of it is in the way of the other, and what is in its way is named."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from stack import demo_env, mongodb
from stack.listeners import LISTENERS
from stack.ports import LOOPBACK

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 240
OURS = re.compile(r"COLLECT_|MONITOR_|(MONGODB|AMQP|REDIS|STORAGE|RABBITMQ_MANAGEMENT)_")


class Clone:
    """A folder with the scripts of this clone, and its programs, that has everything else of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / ".venv").symlink_to(ROOT / ".venv")
        (folder / ".local").mkdir()
        (folder / ".local" / "mongodb").symlink_to(ROOT / ".local" / "mongodb")

    def run(self, script: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not OURS.match(name)} | settings
        command = [sys.executable, str(self.folder / "scripts" / script)]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def up(self, **settings: str) -> Mapping[str, str]:
        """Start it; what stands in its `demo.env`."""
        started = self.run("up.py", **settings)
        assert started.returncode == 0, started.stdout + started.stderr
        self.said = started.stdout
        return demo_env.read(self.folder / ".local" / "demo.env")

    def ports(self) -> set[int]:
        return set(json.loads((self.folder / ".local" / "ports.json").read_text()).values())


@pytest.fixture
def clones(tmp_path: Path) -> Iterator[tuple[Clone, Clone]]:
    if not mongodb.wheel_programme(ROOT / ".local" / "mongodb").exists():
        pytest.skip("the servers' programmes are not installed: `make bootstrap`")
    made = Clone(tmp_path / "one"), Clone(tmp_path / "two")
    try:
        yield made
    finally:
        for clone in made:
            clone.run("down.py")


@pytest.fixture
def occupied() -> Iterator[None]:
    """Another system has the usual ports of the gateway and the monitor."""
    with ExitStack() as stack:
        for listener in LISTENERS:
            listening = stack.enter_context(socket.socket())
            with suppress(OSError):  # then somebody else has it
                listening.bind((LOOPBACK, listener.usual))
                listening.listen()
        yield


def is_ready(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
        return bool(answer.status == 200)


@pytest.mark.usefixtures("occupied")
def test_two_clones_come_up_beside_another_system_without_any_setting(clones: tuple[Clone, Clone]) -> None:
    one, two = clones
    first, second = one.up(), two.up()
    for listener in LISTENERS:
        assert f"Port {listener.usual} is taken" in one.said
    assert is_ready(first["COLLECT_URL"])
    assert is_ready(second["COLLECT_URL"])
    assert not one.ports() & two.ports()
    assert not (one.ports() | two.ports()) & {listener.usual for listener in LISTENERS}
    assert one.up() == first, "up again changes nothing"

    other = first["COLLECT_URL"].rpartition(":")[2]
    refused = two.run("up.py", COLLECT_PORT=other)
    assert refused.returncode == 1
    assert f"Port {other} is taken by" in refused.stdout
    suggested = re.search(r"COLLECT_PORT=(\d+) make up", refused.stdout)
    assert suggested is not None
    moved = two.up(COLLECT_PORT=suggested[1])
    assert moved["COLLECT_URL"] == f"http://{LOOPBACK}:{suggested[1]}"
    assert is_ready(moved["COLLECT_URL"])
    assert is_ready(first["COLLECT_URL"])
