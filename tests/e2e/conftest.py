"""The whole system from outside: its processes, its two commands, and nothing of its code in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.shell import Town
from support.isolated_stores import Room


@pytest.fixture(scope="module")
def town(room: Room, management_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Gateway, worker and monitor, migrated and seeded by `collect-admin`, for one module of tests."""
    with room("e2e") as stores:
        town = Town(**stores, management_url=management_url, folder=tmp_path_factory.mktemp("town"))
        try:
            town.open()
            yield town
        finally:
            town.close()
            town.system.db.client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test writes its files."""
    return tmp_path
