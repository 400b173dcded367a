"""A whole system of its own for each fault test, with short leases; the invariants are checked when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.isolated_stores import fresh, rooms
from support.servers import Servers
from support.system_under_test import Plant

LEASE_SECONDS = 3.0
GRACE_SECONDS = 1.0


@contextmanager
def opened(
    servers: Servers,
    *,
    mongodb_url: str,
    redis_url: str,
    management_url: str,
    folder: Path,
    kind: type[Plant] = Plant,
    name: str | None = None,
    **settings: str,
) -> Iterator[Plant]:
    """A plant with gateway and monitor, in a database and a virtual host of its own."""
    with rooms(
        name or fresh("faults"), servers=servers, mongodb_url=mongodb_url, redis_url=redis_url,
        management_url=management_url,
    ) as stores:  # fmt: skip
        plant = kind(
            **stores,
            folder=folder,
            management_url=management_url,
            settings={
                "COLLECT_LEASE_SECONDS": str(LEASE_SECONDS),
                "COLLECT_GRACE_SECONDS": str(GRACE_SECONDS),
                **settings,
            },
        )
        try:
            plant.open()
            yield plant
        finally:
            plant.close()


@pytest.fixture
def plant(servers: Servers, mongodb_url: str, redis_url: str, management_url: str, tmp_path: Path) -> Iterator[Plant]:
    """A plant of the test's own; workers are started by the test."""
    with opened(
        servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url, folder=tmp_path
    ) as plant:
        yield plant


@pytest.fixture(scope="module")
def standing_plant(
    servers: Servers, mongodb_url: str, redis_url: str, management_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    """A plant for a module's tests, which take it as `shared`."""
    folder = tmp_path_factory.mktemp("plant")
    with opened(
        servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url, folder=folder
    ) as plant:
        yield plant


@pytest.fixture
def shared(standing_plant: Plant, tmp_path: Path) -> Iterator[Plant]:
    """The module's plant, without workers and without jobs. It is sound when the test ends, or the test has failed."""
    standing_plant.marks = tmp_path
    yield standing_plant
    standing_plant.end_workers()
    try:
        standing_plant.sound()
    finally:
        standing_plant.empty()
