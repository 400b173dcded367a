"""The gateway under gunicorn, whose own options may follow. What is wrong with its settings is said here, once."""

from __future__ import annotations

import sys

from gunicorn.app import wsgiapp

from collect import settings
from gateway.settings import GatewaySettings


def main() -> None:
    """Serve until told to go."""
    settings.read(GatewaySettings, service="gateway")
    sys.argv[1:1] = ["--config", "python:gateway.server.gunicorn_config"]
    wsgiapp.run(prog="gateway")


if __name__ == "__main__":
    main()
