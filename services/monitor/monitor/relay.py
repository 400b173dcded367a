"""The relay: it sends outbox entries that their committer has not sent, because it died or the broker was away."""

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
    """Publishes the overdue entries of the outbox, oldest first.

    A message may be sent twice: by two relays at once, or if a relay dies between the confirm and the deletion. The
    ticket in the message lets its part be claimed only once.

    A route (exchange and routing key) that takes no message is skipped until the next tick. So messages that cannot be
    sent do not hold up the others, however many they are.
    """

    def __init__(self, *, db: Database, publisher: Publisher, older_than_seconds: float) -> None:
        self._db = db
        self._publisher = publisher
        self._older_than_seconds = older_than_seconds

    def tick(self) -> int:
        """Send all overdue entries and delete them. Return the number of sent entries. Blocking.

        Raises:
            Transient: the broker does not confirm. The entries that it confirmed before are deleted.
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
        """Publish ``entries`` and delete the confirmed ones. Return the number of confirmed entries.

        Each call deletes entries or adds routes to ``barred``, so the loop in ``tick`` ends.
        """
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
