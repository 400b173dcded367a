"""One package's entry in a lock file of `requirements/`, for what is installed on its own."""

import re
from pathlib import Path

from stack.telling import StackError


def entry(lock: Path, name: str) -> str:
    """Return the lines of `lock` that pin the package `name`, with its hashes.

    Raises StackError if the file does not pin it.
    """
    content = lock.read_text(encoding="utf-8")
    pinned = re.search(rf"^{re.escape(name)}==[^\\\n]+\\\n(?:    --hash=\S+(?: \\)?\n)+", content, re.MULTILINE)
    if pinned is None:
        raise StackError(f"{lock} does not pin {name} with hashes. `make lock` writes it.")
    return pinned.group()
