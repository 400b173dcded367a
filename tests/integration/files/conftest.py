"""One running system for all files; at the end of each module every invariant holds."""

from collections.abc import Iterator

import pytest

from collect.testing.system import Service
from integration.files.desk import Desk
from support.isolated_stores import Room


@pytest.fixture(scope="package")
def running(room: Room, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The services, in a database and a virtual host of their own."""
    with room("files") as stores:
        desk = Desk(**stores, folder=tmp_path_factory.mktemp("desk"))
        try:
            desk.open()
            yield desk
        finally:
            desk.close()


@pytest.fixture(scope="module")
def desk(running: Desk) -> Iterator[Desk]:
    """The system; it is sound when the module ends, and no process of it has died."""
    before = processes(running)
    yield running
    running.sound()
    assert processes(running) == before


def processes(desk: Desk) -> dict[str, list[int]]:
    """The pids of the services and of their children: a crash would change them."""
    services: list[Service] = [desk.gateway_service, desk.worker_service, desk.monitor_service]
    return {service.name: [service.pid, *sorted(service.children())] for service in services}
