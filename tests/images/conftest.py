"""The images that were built, where there is an engine to run them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from support.servers import ROOT

SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/pyproject.toml"))


def docker(*arguments: str, check: bool = True) -> str:
    """What the command answers, its errors too."""
    done = subprocess.run(
        ["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stdout}")
    return done.stdout.strip()


@pytest.fixture(scope="session")
def version() -> str:
    """COLLECT_TEST_IMAGES names the version of the images to try, as `make images` has built them."""
    found = os.environ.get("COLLECT_TEST_IMAGES")
    if not found:
        pytest.skip("COLLECT_TEST_IMAGES names no version: nothing was built to be tried")
    return found


@pytest.fixture(scope="session")
def image(version: str) -> Callable[[str], str]:
    """The name of a service's image."""
    registry = os.environ.get("REGISTRY", "collect-jobs")
    return lambda service: f"{registry}/{service}:{version}"


def inspected(name: str) -> Any:
    """What the engine knows of an image or a container."""
    return json.loads(docker("inspect", name))[0]
