"""The sweeper: it publishes parts again whose messages may be lost.

The new message has the same ticket, so a message too many does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from collect.jobs.model import Part
from collect.messaging.outbox import OutboxSender
from collect.observability.metrics import SWEPT
from collect.protocol import maintenance
from collect.storage.database import Database
from monitor.ticking import each

MOST_PARTS = 500

_log = logging.getLogger(__name__)


class Sweeper:
    """Publishes again the parts that wait to be claimed although their message seems lost.

    A part that waits for ``after_seconds`` while its queue is empty has lost its message. A part that waits for
    ``busy_after_seconds`` may have lost it, although its queue is not empty.

    ``depth``: kind → the number of messages in the kind's queue that no consumer holds.
    """

    def __init__(
        self,
        *,
        db: Database,
        sender: OutboxSender,
        depth: Callable[[str], int],
        after_seconds: float,
        busy_after_seconds: float,
    ) -> None:
        self._db = db
        self._sender = sender
        self._depth = depth
        self._after_seconds = after_seconds
        self._busy_after_seconds = busy_after_seconds

    def tick(self) -> int:
        """Publish again the tickets that seem lost. Return their number.

        Raises:
            Transient: the broker does not answer how many messages its queues hold.
        """
        waiting = maintenance.waiting(self._db, older_than_seconds=self._after_seconds, limit=MOST_PARTS)
        if not waiting:
            return 0
        empty = {kind for kind in {part.kind for part in waiting} if self._depth(kind) == 0}
        long = maintenance.waiting(self._db, older_than_seconds=self._busy_after_seconds, limit=MOST_PARTS)
        lost = {part.id: part for part in [*waiting, *long] if part.kind in empty or part in long}
        swept: list[str] = []
        each(lost.values(), lambda part: self._sweep(part, swept), name=lambda part: part.id)
        return len(swept)

    def _sweep(self, part: Part, swept: list[str]) -> None:
        again = maintenance.publish_again(self._db, part)
        if again.value:
            swept.append(part.id)
            self._sender.send(again.outbox)
            SWEPT.labels(kind=part.kind).inc()
            _log.warning("ticket_published_again", extra={"job": part.job_id, "part": part.n, "ticket": part.ticket})
