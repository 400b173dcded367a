"""A gateway process, and one within this process, on real servers; all is empty but for two organisations at first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from flask_openapi3 import OpenAPI
from redis import Redis

from collect.jobs.limits import ROLES
from collect.jobs.template import Template
from collect.storage import api_keys, datasets, indexes, organisations
from collect.storage.database import Database, transact
from collect.storage.object_store import GridFsBlobs
from collect.testing.system import System
from gateway.app import create_app
from gateway.http.long_polls import Polls
from gateway.http.rate_limit import RateLimiter
from gateway.services import Services
from gateway.settings import GatewaySettings
from integration.gateway.calls import TEMPLATE, Api, OverHttp
from support.protocol_driver import Recorder

ORGANISATIONS = ("labs", "other")
BLOB_COLLECTIONS = ("blobs.files", "blobs.chunks")


@dataclass(frozen=True, kw_only=True)
class Running:
    """What lives as long as the module."""

    system: System
    app: OpenAPI
    sender: Recorder


@pytest.fixture(scope="module")
def running(
    mongodb_url: str, redis_url: str, amqp_url: str, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    system = System(
        mongodb_url=mongodb_url,
        database=database_name,
        amqp_url=amqp_url,
        redis_url=redis_url,
        folder=tmp_path_factory.mktemp("gateway"),
    )
    try:
        system.prepare(*ORGANISATIONS)
        system.gateway(COLLECT_MAX_WAIT_SECONDS="1")
        with Redis.from_url(redis_url) as redis:
            yield within_this_process(system, redis, mongodb_url=mongodb_url, redis_url=redis_url)
    finally:
        system.close()


def within_this_process(system: System, redis: Redis, *, mongodb_url: str, redis_url: str) -> Running:
    db = system.db
    sender = Recorder()
    settings = GatewaySettings(
        MONGODB_URL=mongodb_url, MONGODB_DATABASE=db.db.name, AMQP_URL="amqp://nowhere", REDIS_URL=redis_url
    )
    services = Services(
        settings=settings,
        db=db,
        blobs=GridFsBlobs(db=db),
        sender=sender,
        redis=redis,
        limiter=RateLimiter(redis=redis),
        polls=Polls(settings.max_polls),
    )
    app = create_app(services)
    app.testing = True
    return Running(system=system, app=app, sender=sender)


@pytest.fixture
def api(running: Running) -> Api:
    """The process, over HTTP: two organisations with the same dataset, and a key for each role of the first."""
    db = running.system.db
    for name in (*indexes.COLLECTIONS, *BLOB_COLLECTIONS):
        db[name].delete_many({})
    running.sender.entries.clear()
    running.sender.pokes.clear()
    for org_id in ORGANISATIONS:
        organisations.ensure(db, org_id=org_id, name=org_id.title())
        template = Template.model_validate(TEMPLATE)
        transact(db, lambda tx: datasets.put(tx, org_id=org_id, name="baseline", template=template))  # noqa: B023 - called at once
    return Api(client=OverHttp(running.system.url), db=db, sender=running.sender, keys=made_keys(db))


@pytest.fixture
def inside(api: Api, running: Running) -> Api:
    """The gateway within this process, whose sender only remembers and whose parts can be replaced."""
    return replace(api, client=running.app.test_client())


def made_keys(db: Database) -> dict[str, str]:
    made = {role: api_keys.create(db, org_id="labs", name=f"labs {role}", role=role) for role in ROLES[:3]}
    found: dict[str, str] = {role: key.secret for role, key in made.items()}
    found["platform"] = api_keys.create(db, org_id=None, name="staff", role="platform").secret
    for role in ROLES[:3]:
        found[f"other {role}"] = api_keys.create(db, org_id="other", name=f"other {role}", role=role).secret
    return found
