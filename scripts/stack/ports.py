"""Free ports, and waiting for something to become true."""

import os
import random
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from stack.telling import StackError

LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes ports for outgoing connections (32768 on), so that none of those can
# take a port between the moment it was found free and the moment its server binds it.
FIRST_PORT = 20_000
LAST_PORT = 29_999
# The state of a listening socket in /proc/net/tcp.
LISTEN = "0A"


def is_free(port: int) -> bool:
    """True if a server could listen on the port now. A port whose last connections linger counts as free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """True if something answers on the port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def free_port(*, taken: frozenset[int] = frozenset()) -> int:
    """A port that is free now and not in `taken`."""
    candidates = random.sample(range(FIRST_PORT, LAST_PORT + 1), k=200)
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    raise StackError(f"No free port found between {FIRST_PORT} and {LAST_PORT}.")


def free_ports(
    names: tuple[str, ...], *, remembered: Mapping[str, int] | None = None, taken: frozenset[int] = frozenset()
) -> dict[str, int]:
    """A free port for each name; the remembered one where it is still free, so that addresses outlive a restart."""
    ports: dict[str, int] = {}
    for name in names:
        before, not_these = (remembered or {}).get(name), taken | frozenset(ports.values())
        usable = before is not None and before not in not_these and is_free(before)
        ports[name] = before if usable and before is not None else free_port(taken=not_these)
    return ports


def holder(port: int) -> str | None:
    """The program that listens on the port, with its pid; ``None`` when that is not seen, as of another user's."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            if any(os.readlink(file) in sockets for file in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:  # it has ended, or is another user's
            continue
    return None


def _listening(port: int) -> set[str]:
    """The inodes of the sockets that listen on the port, whatever their address."""
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        cells = [line.split() for line in lines]
        found |= {row[9] for row in cells if row[3] == LISTEN and int(row[1].rpartition(":")[2], 16) == port}
    return found


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Blocks until the condition holds, looking ten times a second; raises StackError at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StackError(f"Waited {seconds:.0f} s in vain: {what}.")
        time.sleep(0.1)  # servers say nothing when they are ready
