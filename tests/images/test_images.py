"""Each image as it is: small, without a shell and without rights, and its process ends when it is told to."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from collect.testing.system import eventually, free_port
from images.conftest import SERVICES, docker, inspected
from stack.telling import say
from support.isolated_stores import Stores, fresh, rooms
from support.servers import Servers

MEGABYTE = 1_000_000
MOST_BYTES = 250 * MEGABYTE
DRAIN_SECONDS = 10
LEAST_RIGHTS = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
Images = Callable[[str], str]


@contextmanager
def running(image: str, *options: str) -> Iterator[str]:
    """A container of the image, on this machine's network."""
    name = docker("run", "--detach", "--network", "host", *LEAST_RIGHTS, *options, image)
    try:
        yield name
    finally:
        docker("rm", "--force", name)


@pytest.fixture
def stores(servers: Servers, mongodb_url: str, redis_url: str, management_url: str) -> Iterator[Stores]:
    with rooms(
        fresh("images"), servers=servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url
    ) as found:
        yield found


@pytest.mark.parametrize("service", SERVICES)
def test_it_is_small_and_says_what_it_is(image: Images, version: str, service: str) -> None:
    found = inspected(image(service))
    assert found["Size"] <= MOST_BYTES
    labels = found["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == f"collect-jobs {service}"
    assert labels["org.opencontainers.image.version"] == version
    assert found["Config"]["User"] == "10001:10001"


def test_all_have_the_layer_with_python_and_the_libraries_in_common(image: Images) -> None:
    layers = [inspected(image(service))["RootFS"]["Layers"] for service in SERVICES]
    assert len({first for first, *_ in layers}) == 1


@pytest.mark.parametrize("command", ["sh", "/bin/sh", "bash", "apt-get", "pip", "collect"])
def test_there_is_no_shell_and_nothing_to_install_with(image: Images, command: str) -> None:
    said = docker("run", "--rm", image("gateway"), command, "--version", check=False)
    assert "not found" in said or "no such file" in said


def test_the_operators_command_is_in_it(image: Images) -> None:
    assert docker("run", "--rm", *LEAST_RIGHTS, image("gateway"), "collect-admin", "--version").startswith(
        "collect-admin"
    )


IMPORT_ALL = """
import importlib, pathlib, sys
root = pathlib.Path("/opt/collect/app")
for path in sorted(root.rglob("*.py")):
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    # Wiring reads the settings; the client is for people's machines, and has libraries of its own.
    if not name.endswith((".__main__", ".wsgi")) and not name.startswith("collect.client.cli"):
        importlib.import_module(name)
"""


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_was_left_out_that_the_code_imports(image: Images, service: str) -> None:
    docker("run", "--rm", *LEAST_RIGHTS, image(service), "python", "-c", IMPORT_ALL)


def test_a_key_that_is_a_time_can_be_written_as_a_text(image: Images) -> None:
    said = docker(
        "run",
        "--rm",
        *LEAST_RIGHTS,
        image("upload-worker"),
        "python",
        "-c",
        "import pyarrow as pa, pyarrow.compute as pc; from collect.csv.cells import MOMENT\n"
        "print(pc.strftime(pa.array([0], MOMENT), format='%Y-%m-%dT%H:%M:%SZ')[0])",
    )
    assert said == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize("service", SERVICES)
def test_settings_that_are_missing_end_it_with_their_names(image: Images, service: str) -> None:
    with running(image(service)) as container:
        eventually(lambda: not inspected(container)["State"]["Running"], seconds=30, what="it has ended")
        assert inspected(container)["State"]["ExitCode"] == 78
        assert "MONGODB_URL: Field required" in docker("logs", container)


@pytest.mark.parametrize("service", SERVICES)
def test_its_first_process_serves_and_ends_when_it_is_told_to(image: Images, stores: Stores, service: str) -> None:
    port = free_port()
    settings = {
        "MONGODB_URL": stores["mongodb_url"],
        "MONGODB_DATABASE": stores["database"],
        "AMQP_URL": stores["amqp_url"],
        "REDIS_URL": stores["redis_url"],
        "COLLECT_BIND": f"127.0.0.1:{port}",
        "COLLECT_METRICS_PORT": str(port),
        "MONITOR_PORT": str(port),
    }
    options = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    began = time.monotonic()
    with running(image(service), *options) as container:
        eventually(lambda: ready(port), seconds=60, what="it is ready")
        say(f"{service}: ready {time.monotonic() - began:.1f} s after `docker run`")
        state: dict[str, Any] = inspected(container)["State"]
        assert state["Running"]
        told = time.monotonic()
        docker("stop", "--time", "30", container)
        assert time.monotonic() - told < DRAIN_SECONDS
        assert inspected(container)["State"]["ExitCode"] == 0


def ready(port: int) -> bool:
    """Asked as a probe asks."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
