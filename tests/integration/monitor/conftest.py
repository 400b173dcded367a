"""The stores as a monitor finds them, a clock that stands still, and a sender that remembers."""

from collections.abc import Iterator

import pytest
from kombu.connection import Connection

from collect.admin.check import check
from collect.messaging import topology
from collect.messaging.publisher import Publisher
from collect.storage.database import Database, connect
from support import protocol_driver

MONITORS = 2


@pytest.fixture(scope="module")
def connection(mongodb_url: str, database_name: str) -> Iterator[Database]:
    db = connect(mongodb_url, database=database_name, app_name="test")
    yield db
    db.close()


@pytest.fixture
def db(connection: Database) -> Iterator[Database]:
    protocol_driver.prepare(connection)
    yield connection
    assert check(connection, patience_seconds=0.0) == []


@pytest.fixture
def clock() -> protocol_driver.StandingClock:
    return protocol_driver.StandingClock()


@pytest.fixture
def sender() -> protocol_driver.Recorder:
    return protocol_driver.Recorder()


@pytest.fixture
def publisher(amqp_url: str) -> Iterator[Publisher]:
    """A broker whose queue of jobs is empty."""
    publisher = Publisher(amqp_url)
    publisher.publish(exchange=topology.EVENTS, routing_key="x.y", body="{}", mandatory=False)
    with Connection(amqp_url) as broker:
        broker.channel().queue_purge(topology.job_queue("upload"))
    yield publisher
    publisher.close()
