"""One process at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.telling import say


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the block runs; wait for it, and say so, if another process holds it.

    The lock is the folder's own: no file is made. It ends with the process, however that ends, and no command started
    in the block inherits it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("  … waiting for another make of this clone")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
