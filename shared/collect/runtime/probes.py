"""What a process is asked about its servers: whether it could do its work now."""

from __future__ import annotations

from pymongo.errors import PyMongoError

from collect.messaging.consumer import Consumer
from collect.observability.endpoint import Probe
from collect.storage.database import Database


def readiness(db: Database, consumer: Consumer) -> dict[str, Probe]:
    """For a process that consumes: its database answers, and its broker gives it messages."""
    return {"mongodb": _answers(db), "rabbitmq": lambda: None if consumer.connected else "not connected"}


def _answers(db: Database) -> Probe:
    def probe() -> str | None:
        try:
            db.ping()
        except PyMongoError as error:
            return type(error).__name__
        return None

    return probe
