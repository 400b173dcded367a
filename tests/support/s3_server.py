"""A server that speaks S3, as a process of its own on the loopback interface."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from collect.testing.system import LOOPBACK, eventually, free_port

READY_SECONDS = 60.0
ACCOUNT = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


@contextmanager
def s3_server(*buckets: str) -> Iterator[dict[str, str]]:
    """The environment variables under which it is found. It has these buckets, and ends with the context."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _answers(url), seconds=READY_SECONDS, what="the S3 server is ready")
        for bucket in buckets:
            _call(f"{url}/{bucket}", "PUT")
        yield {"AWS_ENDPOINT_URL": url, **ACCOUNT}
    finally:
        process.kill()
        process.wait()


@contextmanager
def refusing(status: int, code: str) -> Iterator[dict[str, str]]:
    """The same variables, of a server that answers whatever it is asked with this status and this code of S3's."""
    body = f"<Error><Code>{code}</Code><Message>In words.</Message><Key>a secret</Key></Error>".encode()

    class Refusal(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer  # noqa: N815 - as the library names them

        def log_message(self, *_args: object) -> None:
            """Not to the terminal."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Refusal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{server.server_port}", **ACCOUNT}
    finally:
        server.shutdown()
        server.server_close()


def _answers(url: str) -> bool:
    try:
        _call(url, "GET")
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _call(url: str, method: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5):
        pass
