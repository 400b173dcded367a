"""Builds the gateway's application for `python -m gateway`. gunicorn imports it in each of its processes."""

from __future__ import annotations

from collect import settings
from collect.messaging.outbox import OutboxSender
from collect.messaging.publisher import Publisher
from collect.observability import logs, traces
from collect.storage import outbox
from collect.storage.database import connect
from collect.storage.object_store import open_blobs
from gateway.app import create_app
from gateway.http import rate_limit
from gateway.http.long_polls import Polls
from gateway.http.rate_limit import RateLimiter
from gateway.services import Services
from gateway.settings import GatewaySettings

SERVICE = "gateway"


def services() -> Services:
    """Return the services that the environment names. Configures logs and traces."""
    found = settings.read(GatewaySettings, service=SERVICE)
    logs.configure(SERVICE, found.log_level)
    traces.configure(SERVICE)
    redis = rate_limit.connect(found.redis_url)
    db = connect(found.mongodb_url, database=found.mongodb_database, app_name=SERVICE)
    return Services(
        settings=found,
        db=db,
        blobs=open_blobs(found.storage_url, db),
        sender=OutboxSender(Publisher(found.amqp_url), delete=lambda ids: outbox.delete(db, ids)),
        redis=redis,
        limiter=RateLimiter(redis=redis),
        polls=Polls(found.max_polls),
    )


application = create_app(services())
