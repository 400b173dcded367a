"""Sending what its committer did not get out: it died, or the broker was away. The net below every publish."""

from __future__ import annotations

import logging

from collect.messaging.publisher import Publisher, Unroutable
from collect.observability.metrics import RELAYED
from collect.storage import outbox
from collect.storage.database import Database

BATCH = 100

_log = logging.getLogger(__name__)


class Relay:
    """Publishes overdue entries of the outbox, oldest first. Two side by side, or one that dies between the confirm
    and the deletion, send a message twice: its ticket lets it be claimed once."""

    def __init__(self, *, db: Database, publisher: Publisher, older_than_seconds: float) -> None:
        self._db = db
        self._publisher = publisher
        self._older_than_seconds = older_than_seconds

    def tick(self) -> int:
        """Send all that is overdue; returns how many were sent.

        Raises:
            Transient: the broker does not confirm. What it has confirmed before is deleted.
        """
        sent = 0
        while entries := outbox.overdue(self._db, older_than_seconds=self._older_than_seconds, limit=BATCH):
            confirmed = self._publish(entries)
            sent += confirmed
            if confirmed < len(entries):
                break
        if sent:
            RELAYED.inc(sent)
            _log.info("relayed", extra={"count": sent})
        else:
            self._publisher.keep_alive()
        return sent

    def _publish(self, entries: list[outbox.OutboxEntry]) -> int:
        confirmed: list[str] = []
        try:
            for entry in entries:
                try:
                    self._publisher.publish(
                        exchange=entry.exchange,
                        routing_key=entry.routing_key,
                        body=entry.body,
                        mandatory=entry.mandatory,
                    )
                except Unroutable:
                    _log.error("message_unroutable", extra={"exchange": entry.exchange, "key": entry.routing_key})
                else:
                    confirmed.append(entry.id)
        finally:
            if confirmed:
                outbox.delete(self._db, confirmed)
        return len(confirmed)
