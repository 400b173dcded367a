"""Sending what its committer did not get out: it died, or the broker was away. The net below every publish."""

from __future__ import annotations

import logging

from collect.messaging.publisher import Publisher, Refused, Unroutable
from collect.observability.metrics import RELAYED
from collect.storage import outbox
from collect.storage.database import Database

BATCH = 100

Route = tuple[str, str]

_log = logging.getLogger(__name__)


class Relay:
    """Publishes overdue entries of the outbox, oldest first. Two side by side, or one that dies between the confirm
    and the deletion, send a message twice: its ticket lets it be claimed once.

    A route (exchange, routing key) that takes nothing is left alone until the next tick, so that what cannot be sent,
    however much it is, holds up nothing else.
    """

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
        barred: set[Route] = set()
        while entries := outbox.overdue(
            self._db, older_than_seconds=self._older_than_seconds, limit=BATCH, without=barred
        ):
            sent += self._publish(entries, barred)
        if sent:
            RELAYED.inc(sent)
            _log.info("relayed", extra={"count": sent})
        else:
            self._publisher.keep_alive()
        return sent

    def _publish(self, entries: list[outbox.OutboxEntry], barred: set[Route]) -> int:
        """Each round deletes entries or bars routes, so the rounds come to an end."""
        confirmed: list[str] = []
        try:
            for entry in entries:
                if entry.route not in barred and self._sent(entry, barred):
                    confirmed.append(entry.id)
        finally:
            if confirmed:
                outbox.delete(self._db, confirmed)
        return len(confirmed)

    def _sent(self, entry: outbox.OutboxEntry, barred: set[Route]) -> bool:
        try:
            self._publisher.publish(
                exchange=entry.exchange, routing_key=entry.routing_key, body=entry.body, mandatory=entry.mandatory
            )
        except Unroutable:
            _log.error("message_unroutable", extra={"exchange": entry.exchange, "key": entry.routing_key})
        except Refused:
            _log.error("message_refused", extra={"exchange": entry.exchange, "key": entry.routing_key})
        else:
            return True
        barred.add(entry.route)
        return False
