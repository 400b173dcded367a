"""One running system for all files; at the end of each module every invariant holds."""

from collections.abc import Iterator

import pytest

from integration.teams.desk import Desk, Office
from support.isolated_stores import Room


@pytest.fixture(scope="package")
def running(room: Room, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The services, in a database and a virtual host of their own."""
    with room("teams") as stores:
        desk = Desk(**stores, folder=tmp_path_factory.mktemp("desk"))
        try:
            desk.open()
            yield desk
        finally:
            desk.close()


@pytest.fixture(scope="module")
def desk(running: Desk) -> Iterator[Desk]:
    """The system; it is sound when the module ends."""
    yield running
    running.sound()


@pytest.fixture
def office(desk: Desk) -> Office:
    """An organisation of its own."""
    return desk.office()
