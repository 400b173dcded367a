"""Fixtures for every layer. Servers start when a test first asks for one; unit tests may not ask."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pymongo import MongoClient

from collect.observability import traces
from stack import rabbitmq
from stack.children import Child
from stack.server import ServerMissing
from support.isolated_stores import Room, fresh, in_vhost, rooms
from support.servers import Servers, unavailable

TESTS = Path(__file__).resolve().parent
LAYERS_WITHOUT_SERVERS = ("unit", "architecture")
# Files that take minutes begin first. Small ones fill up the end, so that no process of a shared run waits long for
# the other.
LAYERS_IN_ORDER = ("images", "e2e", "faults", "model", "integration", "chart", "unit", "architecture")

settings.register_profile("untimed", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {layer: place for place, layer in enumerate(LAYERS_IN_ORDER)}
    items.sort(key=lambda item: order.get(layer_of(item), 0))
    for item in items:
        if layer_of(item) in LAYERS_WITHOUT_SERVERS and "servers" in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(f"{item.nodeid} asks for a server: it belongs into tests/integration")


def layer_of(item: pytest.Item) -> str:
    """The folder of `tests` that the test lies in; nothing if it lies elsewhere."""
    return item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their argument, not by themselves: a gzip or zip holds the second of its making, and the
    processes that share a run must collect the same names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """All servers of the session, each started at first use."""
    running = Servers()
    yield running
    running.close()


@pytest.fixture(scope="session")
def mongodb_url(servers: Servers) -> str:
    try:
        return servers.mongodb_url
    except ServerMissing as error:
        unavailable(error)
        raise


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    try:
        return servers.redis_url
    except ServerMissing as error:
        unavailable(error)
        raise


@pytest.fixture(scope="session")
def management_url(servers: Servers) -> str:
    """The management API, credentials included: `rabbitmq.call(management_url, "GET", "/api/queues")`."""
    try:
        return servers.management_url
    except ServerMissing as error:
        unavailable(error)
        raise


@pytest.fixture(scope="session")
def room(servers: Servers, mongodb_url: str, redis_url: str, management_url: str) -> Room:
    """Where a whole system finds its stores: ``with room("exports") as stores``."""
    return lambda prefix: rooms(
        fresh(prefix), servers=servers, mongodb_url=mongodb_url, redis_url=redis_url, management_url=management_url
    )


@pytest.fixture(scope="module")
def vhost(management_url: str) -> Iterator[str]:
    """The name of a fresh virtual host, so that the queues of two modules never mix."""
    name = f"test-{secrets.token_hex(6)}"
    rabbitmq.create_vhost(management_url, name)
    yield name
    rabbitmq.delete_vhost(management_url, name)


@pytest.fixture(scope="module")
def amqp_url(servers: Servers, vhost: str) -> str:
    """The broker, in the module's own virtual host."""
    return in_vhost(servers.amqp_url, vhost)


@pytest.fixture(scope="module")
def database_name(request: pytest.FixtureRequest, mongodb_url: str) -> Iterator[str]:
    """A database of the module's own, dropped afterwards."""
    module = re.sub(r"[^a-z0-9_]", "_", Path(str(request.path)).stem.lower())[:40]
    name = f"{module}_{secrets.token_hex(4)}"
    yield name
    with MongoClient[dict[str, object]](mongodb_url, serverSelectionTimeoutMS=10_000) as client:
        client.drop_database(name)


@pytest.fixture
def own_broker(servers: Servers, management_url: str) -> Iterator[Child]:
    """The private broker as a process, to be stopped, killed, restarted; it runs again when the test ends."""
    yield from lent(servers.rabbitmq_child)


@pytest.fixture
def own_mongodb(servers: Servers, mongodb_url: str) -> Iterator[Child]:
    """The private mongod as a process, likewise."""
    yield from lent(servers.mongodb_child)


@pytest.fixture
def own_redis(servers: Servers, redis_url: str) -> Iterator[Child]:
    """The private Redis as a process, likewise."""
    yield from lent(servers.redis_child)


def lent(child: Child | None) -> Iterator[Child]:
    if child is None:
        pytest.skip("the server was given by the environment: it is not ours to stop")
    yield child
    child.start()


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    """The spans that end during the test."""
    traces.configure("test")
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    processor = SimpleSpanProcessor(exporter)
    provider.add_span_processor(processor)
    yield exporter
    processor.shutdown()
