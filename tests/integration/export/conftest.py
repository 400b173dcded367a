"""One running system for all exports; at the end of each module every invariant holds."""

from collections.abc import Iterator

import pytest

from integration.export.counter import Counter
from rooms import fresh, rooms
from servers import Servers


@pytest.fixture(scope="package")
def running(
    servers: Servers,
    mongodb_url: str,
    redis_url: str,
    management_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Counter]:
    """The services, in a database and a virtual host of their own."""
    with rooms(
        fresh("exports"), servers=servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url
    ) as stores:
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
