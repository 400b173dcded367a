"""One process at a time in a folder."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack.turns import alone

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
HOLD = """
import subprocess, sys
from pathlib import Path
from stack.turns import alone
with alone(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    sys.stdin.read()
"""
TRY = """
import sys
from pathlib import Path
from stack.turns import alone
with alone(Path(sys.argv[1])):
    print("in", flush=True)
"""


@contextmanager
def running(code: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], cwd=SCRIPTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_process_waits_until_the_first_has_ended(tmp_path: Path) -> None:
    with running(HOLD, tmp_path) as first:
        child = int(line(first))
        with running(TRY, tmp_path) as second:
            assert line(second) == "… waiting for another make of this clone"
            first.communicate("")
            assert line(second) == "in"
        subprocess.run(["kill", str(child)], check=True)


def test_a_killed_holder_leaves_no_lock_and_nor_do_its_children(tmp_path: Path) -> None:
    with running(HOLD, tmp_path) as first:
        child = int(line(first))
        first.kill()
        first.wait()
        with running(TRY, tmp_path) as second:
            assert line(second) == "in"
        subprocess.run(["kill", str(child)], check=True)


def test_the_lock_ends_with_the_block_and_with_an_error_in_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), alone(tmp_path):
        raise ValueError("broken")
    with alone(tmp_path):
        assert list(tmp_path.iterdir()) == []
