"""The gateway in this process, on real servers; everything empty but for two organisations before each test."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask_openapi3 import OpenAPI
from redis import Redis

from byhand import Recorder
from collect.jobs.template import Template
from collect.storage import datasets, indexes, keys, organisations
from collect.storage.blobs import GridFsBlobs
from collect.storage.database import Database, connect, transact
from gateway.app import create_app
from gateway.limits import RateLimiter
from gateway.polls import Polls
from gateway.services import Services
from gateway.settings import GatewaySettings
from integration.gateway.calls import TEMPLATE, Api

ORGANISATIONS = ("labs", "other")
BLOB_COLLECTIONS = ("blobs.files", "blobs.chunks")


@dataclass(frozen=True, kw_only=True)
class Running:
    """What lives as long as the module."""

    app: OpenAPI
    db: Database
    redis: Redis
    sender: Recorder


@pytest.fixture(scope="module")
def running(mongodb_url: str, redis_url: str, database_name: str) -> Iterator[Running]:
    db = connect(mongodb_url, database=database_name, app_name="gateway-tests")
    indexes.migrate(db)
    redis = Redis.from_url(redis_url)
    sender = Recorder()
    settings = GatewaySettings(
        MONGODB_URL=mongodb_url, MONGODB_DATABASE=database_name, AMQP_URL="amqp://nowhere", REDIS_URL=redis_url
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
    yield Running(app=app, db=db, redis=redis, sender=sender)
    redis.close()
    db.close()


@pytest.fixture
def api(running: Running) -> Api:
    """Two organisations with the same dataset, and a key for each role of the first."""
    for name in (*indexes.COLLECTIONS, *BLOB_COLLECTIONS):
        running.db[name].delete_many({})
    running.sender.entries.clear()
    running.sender.pokes.clear()
    for org_id in ORGANISATIONS:
        organisations.ensure(running.db, org_id=org_id, name=org_id.title())
        template = Template.model_validate(TEMPLATE)
        transact(running.db, lambda tx: datasets.put(tx, org_id=org_id, name="baseline", template=template))  # noqa: B023 - called at once
    return Api(client=running.app.test_client(), db=running.db, sender=running.sender, keys=made_keys(running.db))


def made_keys(db: Database) -> dict[str, str]:
    made = {role: keys.create(db, org_id="labs", name=f"labs {role}", role=role) for role in keys.ROLES[:3]}
    found: dict[str, str] = {role: key.secret for role, key in made.items()}
    found["platform"] = keys.create(db, org_id=None, name="staff", role="platform").secret
    for role in keys.ROLES[:3]:
        found[f"other {role}"] = keys.create(db, org_id="other", name=f"other {role}", role=role).secret
    return found
