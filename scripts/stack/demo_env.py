"""`.local/demo.env`: the addresses and keys of the running stack, for shells, the command line and scripts."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

KEY_NAMES = ("COLLECT_API_KEY", "COLLECT_ADMIN_KEY", "COLLECT_OTHER_KEY")
LINE = re.compile(r"(?:export )?([A-Z][A-Z0-9_]*)=(.*)")
# Without one of these a value means the same to a shell and to a reader that knows nothing of quotes.
SPECIAL = re.compile(r"[\s&;|<>()$`\\\"'*#~]")


def parse(text: str) -> dict[str, str]:
    """The `KEY=value` lines of a text; other lines are passed over."""
    matches = (LINE.fullmatch(line.strip()) for line in text.splitlines())
    return {match[1]: unquoted(match[2]) for match in matches if match}


def unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1].replace("'\\''", "'")
    return value


def render(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={shell_word(value)}\n" for name, value in values.items())


def shell_word(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'" if SPECIAL.search(value) else value


def read(path: Path) -> dict[str, str]:
    return parse(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replaces the file at once; it holds keys, so only its owner may read it."""
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(render(values), encoding="utf-8")
    os.replace(temporary, path)
