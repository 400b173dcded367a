"""One running system for all exports; at the end of each module every invariant holds."""

from collections.abc import Iterator

import pytest

from integration.export.counter import Counter
from support.isolated_stores import Room


@pytest.fixture(scope="package")
def running(room: Room, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    """The services, in a database and a virtual host of their own."""
    with room("exports") as stores:
        counter = Counter(**stores, folder=tmp_path_factory.mktemp("counter"))
        try:
            counter.open()
            yield counter
        finally:
            counter.close()


@pytest.fixture(scope="module")
def counter(running: Counter) -> Iterator[Counter]:
    """The system; it is sound when the module ends."""
    yield running
    running.sound()
