"""What the routes work with, made once in each process and found through the application."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from flask import current_app
from redis import Redis

from collect.clock import Clock, SystemClock
from collect.messaging.outbox import OutboxSender
from collect.storage.database import Database
from collect.storage.object_store import Blobs
from gateway.http.long_polls import Polls
from gateway.http.rate_limit import RateLimiter
from gateway.settings import GatewaySettings

EXTENSION = "collect"


@dataclass(frozen=True, kw_only=True)
class Services:
    """Stores, broker, cache, settings."""

    settings: GatewaySettings
    db: Database
    blobs: Blobs
    sender: OutboxSender
    redis: Redis
    limiter: RateLimiter
    polls: Polls
    clock: Clock = field(default_factory=SystemClock)
    closing: threading.Event = field(default_factory=threading.Event)
    """The process has been asked to end: whoever waits for a job is answered now."""


def services() -> Services:
    """Those of the application that handles this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
