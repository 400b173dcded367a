"""The command ``collect``."""

from collect.client.cli.app import main

__all__ = ["main"]
