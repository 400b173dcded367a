"""The stores and helpers that the routes use. Each process makes them once; the application holds them."""

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
    """The settings, stores, broker, cache and limits of one process."""

    settings: GatewaySettings
    db: Database
    blobs: Blobs
    sender: OutboxSender
    redis: Redis
    limiter: RateLimiter
    polls: Polls
    clock: Clock = field(default_factory=SystemClock)
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the process has to end: requests that wait for a job are then answered at once."""


def services() -> Services:
    """Return the services of the application that handles this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
