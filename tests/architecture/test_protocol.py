"""docs/protocol.md calls each operation by the name of its function."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


def operations() -> set[str]:
    """Return the first words of the lines that begin an operation in the code blocks."""
    section = PAGE[PAGE.index("\n## Operations\n") : PAGE.index("\n## What a task must know\n")]
    blocks = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return {name for block in blocks for name in re.findall(r"^(\w+)\b(?! =)", block, re.MULTILINE)}


def functions() -> set[str]:
    code = [path.read_text(encoding="utf-8") for path in (ROOT / "shared" / "collect" / "protocol").glob("*.py")]
    return {name for text in code for name in re.findall(r"^def _?(\w+)\(", text, re.MULTILINE)}


def modules_of_the_monitor() -> set[str]:
    return {path.stem for path in (ROOT / "services" / "monitor" / "monitor").glob("*.py")}


def test_every_operation_has_the_name_of_its_function() -> None:
    assert {"publish", "create", "claim", "reap"} <= operations()
    assert operations() - functions() - modules_of_the_monitor() == set()
