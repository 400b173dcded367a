"""`make python` in a small clone of its own: started twice at once, broken off, started again.

The clone holds the scripts, the package `collect` and a lock file of what building it needs.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.lockfile import entry

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
SECONDS = 120


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    for folder in ("scripts", "shared"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    pinned = [entry(REQUIREMENTS / "dev.txt", "uv"), entry(REQUIREMENTS / "dev.txt", "editables")]
    build = (REQUIREMENTS / "build.txt").read_text(encoding="utf-8")
    (requirements / "dev.txt").write_text("".join(pinned) + build, encoding="utf-8")
    yield tmp_path
    shutil.rmtree(tmp_path / ".venv", ignore_errors=True)


def started(clone: Path) -> "subprocess.Popen[str]":
    """A bootstrap, as the leader of a process group."""
    return subprocess.Popen(
        [sys.executable, str(clone / "scripts" / "bootstrap.py"), "--only-python"],
        cwd=clone,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(bootstrap: "subprocess.Popen[str]") -> str:
    output, _ = bootstrap.communicate(timeout=SECONDS)
    assert bootstrap.returncode == 0, output
    return output


def python(clone: Path, code: str) -> str:
    command = [str(clone / ".venv" / "bin" / "python"), "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout.strip()


def test_two_at_once_make_one_environment_and_what_is_there_is_left_alone(clone: Path) -> None:
    with started(clone) as first, started(clone) as second:
        outputs = [ended(first), ended(second)]
    assert sum("virtual environment" in output for output in outputs) == 1
    assert sum("pinned packages" in output for output in outputs) == 1
    assert python(clone, "import collect, hatchling; print(collect.__path__[0])") == str(clone / "shared" / "collect")
    pinned = re.search(r"uv==([\w.]+)", (clone / "requirements" / "dev.txt").read_text(encoding="utf-8"))
    assert pinned is not None
    version = subprocess.run([clone / ".venv/bin/uv", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.split()[1] == pinned[1]
    assert ended(started(clone)) == ""
    a_lock_file_that_is_refused_does_not_pass_for_the_one_before_it(clone)


def a_lock_file_that_is_refused_does_not_pass_for_the_one_before_it(clone: Path) -> None:
    lock = clone / "requirements" / "dev.txt"
    before = lock.read_text(encoding="utf-8")
    lock.write_text(before + "vine==0 \\\n    --hash=sha256:" + "0" * 64 + "\n", encoding="utf-8")
    refused = started(clone)
    output, _ = refused.communicate(timeout=SECONDS)
    assert refused.returncode == 1
    assert "vine" in output
    lock.write_text(before, encoding="utf-8")
    assert "pinned packages" in ended(started(clone))


def test_what_was_broken_off_is_done_again(clone: Path) -> None:
    bootstrap = started(clone)
    assert bootstrap.stdout is not None
    assert "virtual environment" in bootstrap.stdout.readline()  # uv is fetched now
    os.killpg(bootstrap.pid, signal.SIGKILL)
    bootstrap.communicate(timeout=SECONDS)
    assert "pinned packages" in ended(started(clone))
    assert python(clone, "import collect, hatchling; print('whole')") == "whole"
