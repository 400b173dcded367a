"""XML-RPC through supervisord's Unix socket, with every socket closed again."""

import socket
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

RPC_SECONDS = 60


class UnixConnection(HTTPConnection):
    def __init__(self, *, path: Path) -> None:
        super().__init__("localhost", timeout=RPC_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(RPC_SECONDS)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.close()
            raise


class UnixTransport(xmlrpc.client.Transport):
    def __init__(self, *, path: Path) -> None:
        super().__init__()
        self._path = path
        self._open: UnixConnection | None = None

    def make_connection(self, host: Any) -> HTTPConnection:
        if self._open is None:
            self._open = UnixConnection(path=self._path)
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


@contextmanager
def supervisor_rpc(path: Path) -> Iterator[Any]:
    """The `supervisor` namespace of the supervisord behind the socket; calls raise OSError where there is none."""
    transport = UnixTransport(path=path)
    try:
        yield xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=transport).supervisor
    finally:
        transport.close()
