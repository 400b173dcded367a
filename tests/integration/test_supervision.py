"""Supervision with a real supervisord: what dies comes back, what is stopped is gone, and strangers are left alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import leftovers
from stack.supervision import Program, Supervisor, configuration
from support.waiting import eventually

FOREVER = (sys.executable, "-c", "import signal; signal.pause()")


class Stack:
    """A supervisord with programmes that do nothing, in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.supervisor = Supervisor(folder=home / "supervisor", home=home)

    def apply(self, *names: str, setting: str = "one") -> None:
        (self.home / "log").mkdir(parents=True, exist_ok=True)
        programs = [
            Program(name=name, command=FOREVER, environment={"SETTING": setting}, priority=10, stop_seconds=5)
            for name in names
        ]
        folder, log_folder = self.home / "supervisor", self.home / "log"
        self.supervisor.apply(configuration(programs, folder=folder, directory=self.home, log_folder=log_folder))
        for name in names:
            self.supervisor.start(name)

    def pids(self) -> set[int]:
        """Of the programmes, without supervisord itself."""
        return set(leftovers.find(self.home)) - {self.supervisor_pid()}

    def both_pids(self) -> set[int]:
        """Of two programmes, once both are there."""
        pids = self.pids()
        return pids if len(pids) == 2 else set()

    def supervisor_pid(self) -> int:
        return int((self.home / "supervisor" / "supervisord.pid").read_text())


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    running = Stack(tmp_path / "home")
    yield running
    if running.supervisor.is_running():
        running.supervisor.shutdown()
    leftovers.end(running.home)


def test_what_is_killed_comes_back(stack: Stack) -> None:
    stack.apply("one")
    (before,) = eventually(stack.pids, what="the programme to run")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: stack.pids() - {before}, what="another process in its place")


def test_applying_the_same_again_disturbs_nothing(stack: Stack) -> None:
    stack.apply("one", "two")
    before = eventually(stack.both_pids, what="both programmes to run")
    stack.apply("one", "two")
    assert stack.pids() == before


def test_a_changed_setting_restarts_the_programme_and_a_dropped_one_ends(stack: Stack) -> None:
    stack.apply("one", "two")
    before = eventually(stack.both_pids, what="both programmes to run")
    stack.apply("one", setting="another")
    eventually(lambda: len(stack.pids()) == 1 and not stack.pids() & before, what="one new process alone")
    assert set(stack.supervisor.states()) == {"one"}


def test_shutdown_leaves_nothing_behind(stack: Stack) -> None:
    stack.apply("one", "two")
    stack.supervisor.shutdown()
    assert leftovers.find(stack.home) == []
    assert stack.supervisor.states() == {}


def test_orphans_of_a_killed_supervisor_are_ended_and_no_stranger_with_them(stack: Stack) -> None:
    stranger = subprocess.Popen(FOREVER, cwd=stack.home.parent)
    try:
        stack.apply("one")
        orphans = eventually(stack.pids, what="the programme to run")
        os.kill(stack.supervisor_pid(), signal.SIGKILL)
        eventually(lambda: set(leftovers.find(stack.home)) == orphans, what="supervisord to be gone")
        assert leftovers.end(stack.home) == len(orphans)
        assert leftovers.find(stack.home) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
