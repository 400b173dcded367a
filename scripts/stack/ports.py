"""Free ports, and waiting for something to become true."""

import random
import socket
import time
from collections.abc import Callable

from stack.telling import StackError

LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes ports for outgoing connections (32768 on), so that none of those can
# take a port between the moment it was found free and the moment its server binds it.
FIRST_PORT = 20_000
LAST_PORT = 29_999


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


def free_ports(names: tuple[str, ...], *, remembered: dict[str, int] | None = None) -> dict[str, int]:
    """A free port for each name; the remembered one where it is still free, so that addresses outlive a restart."""
    ports: dict[str, int] = {}
    for name in names:
        before = (remembered or {}).get(name)
        usable = before is not None and before not in ports.values() and is_free(before)
        ports[name] = before if usable and before is not None else free_port(taken=frozenset(ports.values()))
    return ports


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Blocks until the condition holds, looking ten times a second; raises StackError at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StackError(f"Waited {seconds:.0f} s in vain: {what}.")
        time.sleep(0.1)  # servers say nothing when they are ready
