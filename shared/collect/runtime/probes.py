"""The readiness probes of a process: whether its servers answer, so that it can work."""

from __future__ import annotations

from pymongo.errors import PyMongoError

from collect.messaging.consumer import Consumer
from collect.observability.endpoint import Probe
from collect.storage.database import Database


def readiness(db: Database, consumer: Consumer) -> dict[str, Probe]:
    """Return the probes of a process that consumes: the database answers, and the consumer is connected."""
    return {"mongodb": _answers(db), "rabbitmq": lambda: None if consumer.connected else "not connected"}


def _answers(db: Database) -> Probe:
    def probe() -> str | None:
        try:
            db.ping()
        except PyMongoError as error:
            return type(error).__name__
        return None

    return probe
