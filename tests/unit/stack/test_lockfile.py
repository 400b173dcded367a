"""One package's entry in a lock file."""

import re
from pathlib import Path

import pytest

from stack.lockfile import entry
from stack.telling import StackError

REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements"
LOCK = """\
other-tool==1.0 \\
    --hash=sha256:aa
    # via -r requirements/dev.in
tool==2.0 ; python_version < '3.13' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via
    #   -c requirements/runtime.txt
    #   other-tool
tool-more==3.0 \\
    --hash=sha256:dd
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "dev.txt"
    path.write_text(LOCK, encoding="utf-8")
    return path


def test_an_entry_has_its_version_its_condition_and_all_of_its_hashes(lock: Path) -> None:
    assert entry(lock, "tool") == (
        "tool==2.0 ; python_version < '3.13' \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    )


@pytest.mark.parametrize("name", ["too", "ool", "more", "requirements"])
def test_a_name_that_is_not_pinned_is_refused_with_what_to_do(lock: Path, name: str) -> None:
    with pytest.raises(StackError, match=rf"does not pin {name} with hashes. `make lock` writes it"):
        entry(lock, name)


def test_a_pin_without_a_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "dev.txt"
    lock.write_text("tool==2.0\n", encoding="utf-8")
    with pytest.raises(StackError, match="with hashes"):
        entry(lock, "tool")


@pytest.mark.parametrize("lock", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda path: path.name)
def test_every_package_of_every_lock_file_is_pinned_with_hashes(lock: Path) -> None:
    names = re.findall(r"^([A-Za-z0-9][\w.\-]*)(?:\[[\w,-]+\])?\b", lock.read_text(encoding="utf-8"), re.MULTILINE)
    assert names
    for name in names:
        assert "--hash=sha256:" in entry(lock, name)


@pytest.mark.parametrize("file", sorted(REQUIREMENTS.iterdir()), ids=lambda path: path.name)
def test_no_lock_file_names_a_host(file: Path) -> None:
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links", file.read_text(encoding="utf-8"))
