"""The entry point `python -m gateway`: runs gunicorn, whose own options may follow.

The settings are read here first, so that an error in them is reported once and not by each worker.
"""

from __future__ import annotations

import sys

from gunicorn.app import wsgiapp

from collect import settings
from gateway.settings import GatewaySettings


def main() -> None:
    """Serve until a signal ends the process."""
    settings.read(GatewaySettings, service="gateway")
    sys.argv[1:1] = ["--config", "python:gateway.server.gunicorn_config"]
    wsgiapp.run(prog="gateway")


if __name__ == "__main__":
    main()
