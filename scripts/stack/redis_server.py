"""A private Redis that keeps nothing on disk: it is a cache."""

import shutil
import socket
from pathlib import Path

from stack.ports import LOOPBACK
from stack.server import Server, ServerMissing

PORT_NAMES = ("redis",)


def redis_url(ports: dict[str, int]) -> str:
    return f"redis://{LOOPBACK}:{ports['redis']}/0"


def redis(root: Path, ports: dict[str, int]) -> Server:
    programme = shutil.which("redis-server")
    if programme is None:
        raise ServerMissing("redis-server")
    port = ports["redis"]
    settings = ("--port", str(port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no", "--dir", str(root))
    return Server(
        name="redis",
        command=(programme, *settings),
        folders=(root,),
        ready=lambda: answers(port),
        ready_seconds=15,
        stop_seconds=10,
    )


def answers(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
