"""The command `collect-admin`: migrate, keys, seed, check, dead letters."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command. Exits with a message when the packages of the services are not installed."""
    try:
        from collect.admin.cli import main as run
    except ModuleNotFoundError as error:
        missing = f"The Python package {error.name} is missing."
        sys.exit(f"collect-admin needs the packages of the services: install collect-jobs[services]. {missing}")
    run()
